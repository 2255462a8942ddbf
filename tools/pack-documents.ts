/**
 * Puts what a reader needs into a package before it is packed, and takes it away afterwards: the licence, for the library the
 * README and the pages of `docs`, and for an alias the README of all aliases. Links that leave a package lead to the repository.
 *
 * Why it exists: a user of a package has its tarball and not the repository.
 *
 * `node tools/pack-documents.ts [--remove]`, in the folder of the package.
 */
import { copyFileSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'
import { root } from './project.ts'

/** A page of the repository, without the links that work only there: those to files other than `kept`. */
export function packedPage(text: string, path: string, kept: ReadonlySet<string>, repository: string): string {
  return text.replace(/\]\((?![a-z]+:|#)([^)#\s]+)(#[^)]*)?\)/g, (link, target: string, fragment = '') => {
    const file = posix.join(posix.dirname(path), target)
    return kept.has(file) ? link : `](${repository}/blob/main/${file}${fragment})`
  })
}

/** The pages that a package gets, under their paths from the root of the repository. */
function pagesOf(directory: string): { readonly from: string; readonly pages: readonly string[] } {
  if (directory.startsWith('packages/aliases/')) return { from: 'packages/aliases', pages: ['README.md'] }
  if (directory !== 'packages/gatepass') return { from: '', pages: [] }
  const pages = globSync(['README.md', 'docs/**/*.md'], { cwd: root }).map((path) => path.replaceAll(sep, '/'))
  return { from: '', pages }
}

if (import.meta.main) {
  const folder = process.cwd()
  const directory = relative(root, folder).replaceAll(sep, '/')
  const { repository } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const { from, pages } = pagesOf(directory)
  if (process.argv.includes('--remove')) {
    const brought = new Set(['LICENSE', ...pages.map((page) => page.split('/')[0] ?? page)])
    for (const path of brought) rmSync(join(folder, path), { recursive: true })
  } else {
    copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'))
    const kept = new Set(pages.map((page) => posix.join(from, page)))
    const address = String(repository.url).replace(/^git\+|\.git$/g, '')
    for (const page of pages) {
      const path = posix.join(from, page)
      mkdirSync(dirname(join(folder, page)), { recursive: true })
      writeFileSync(join(folder, page), packedPage(readFileSync(join(root, path), 'utf8'), path, kept, address))
    }
  }
}
