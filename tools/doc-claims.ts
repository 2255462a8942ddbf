/**
 * Checks what pages claim besides their code: that a link leads somewhere, that a file, an error code or a test exists, that
 * a public export is described.
 *
 * Why it exists: names change, and prose is not renamed with them.
 */
import { posix } from 'node:path'
import { type Fault, type Files, isTest, packagesIn, pagesIn, sourceFile } from './project.ts'
import { lineFinder } from './scan.ts'

/** Links between pages that lead nowhere. */
export function linkFaults(files: Files, exists: (path: string) => boolean): Fault[] {
  return pagesIn(files).flatMap(([path, text]) =>
    linksIn(text).flatMap(({ target, line }) => {
      const message = linkComplaint(files, exists, path, target)
      const remedy = 'Correct the link, or write what it should lead to.'
      return message === undefined ? [] : [{ path, line, message, remedy }]
    }),
  )
}

/** Source files, and names in them, that pages mention (`session/commit.ts`, `session/manager.ts:open()`) and that do not exist. */
export function mentionFaults(files: Files): Fault[] {
  return pagesIn(files).flatMap(([path, text]) => {
    const lineOf = lineFinder(text)
    const mentions = text.matchAll(/`([\w./-]+\/[\w.-]+\.ts)(?::(\w+)(?:\(\))?)?`/g)
    return [...mentions].flatMap(({ 1: file = '', 2: name, index }) => {
      const source = files.get(file) ?? files.get(`packages/gatepass/src/${file}`)
      if (source !== undefined && (name === undefined || new RegExp(`\\b${name}\\b`).test(source))) return []
      const message = source === undefined ? `${file} does not exist` : `${file} has no ${name}`
      return [{ path, line: lineOf(index), message, remedy: 'Write its present name.' }]
    })
  })
}

function linksIn(text: string): { target: string; line: number }[] {
  const prose = text.replace(/^(\s*)(`{3,})[^\n]*\n[\s\S]*?^\s*\2\s*$/gm, (block) => block.replace(/[^\n]/g, ''))
  const lineOf = lineFinder(prose)
  const pattern = /\]\((?<inline>[^)\s]+)\)|^\[[^\]]+\]: (?<reference>\S+)|(?:src|srcset|href)="(?<html>[^"]+)"/gm
  return [...prose.replace(/`[^`\n]*`/g, (span) => ' '.repeat(span.length)).matchAll(pattern)].map(
    ({ groups, index }) => ({
      target: groups?.inline ?? groups?.reference ?? groups?.html ?? '',
      line: lineOf(index),
    }),
  )
}

function linkComplaint(
  files: Files,
  exists: (path: string) => boolean,
  from: string,
  target: string,
): string | undefined {
  if (/^[a-z][a-z+.-]*:/.test(target)) return undefined
  const [path = '', anchor] = target.split('#')
  const file = path === '' ? from : posix.join(posix.dirname(from), path)
  if (!files.has(file) && !exists(file)) return `${target} does not exist`
  if (anchor === undefined || !file.endsWith('.md')) return undefined
  return anchorsIn(files.get(file) ?? '').has(anchor) ? undefined : `${file} has no heading #${anchor}`
}

/** The anchors that GitHub gives to headings. */
function anchorsIn(text: string): Set<string> {
  const headings = [...text.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => heading.toLowerCase())
  return new Set(headings.map((heading) => heading.replace(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-')))
}

/** Error codes without an entry in docs/errors.md, entries without a code, and codes that nothing throws. */
export function errorFaults(files: Files): Fault[] {
  const source = 'packages/gatepass/src/error.ts'
  const page = 'docs/errors.md'
  const sources = [...files].filter(([path]) => /^packages\/[^/]+\/src\//.test(path) && !isTest(path))
  const codes = codesIn(files.get(source) ?? '', /^ {2}\| '(ERR_\w+)'/gm)
  const entries = codesIn(files.get(page) ?? '', /^### `?(ERR_\w+)/gm)
  // The codes of the login server are not in the library's union, but need entries as well.
  const server = sources
    .filter(([path]) => path.startsWith('packages/server/'))
    .flatMap(([, text]) => codesIn(text, /code: '(ERR_[A-Z_]+)'/g))
  const all = [...new Set([...codes, ...server])]
  // In the file that declares all codes, only thrown ones count.
  const used = sources.flatMap(([path, text]) =>
    codesIn(text, path === source ? /Error\('(ERR_[A-Z0-9_]+)'/g : /['"](ERR_[A-Z0-9_]+)['"]/g),
  )
  return [
    ...all
      .filter((code) => !entries.includes(code))
      .map((code) => ({
        path: page,
        message: `${code} has no entry`,
        remedy: 'Say under its heading what happened and what to do.',
      })),
    ...entries
      .filter((code) => !all.includes(code))
      .map((code) => ({
        path: page,
        message: `${code} is neither a code of ErrorCode nor one of the login server`,
        remedy: `Remove the entry, or add the code to ${source}.`,
      })),
    ...codes
      .filter((code) => !used.includes(code))
      .map((code) => ({
        path: source,
        message: `nothing throws ${code}`,
        remedy: 'Throw it where it belongs, or remove it before it is published.',
      })),
  ]
}

function codesIn(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([, code = '']) => code)
}

/** Tests that a page names, between curly quotes in the column `Test` of a table, and that do not exist. */
export function testFaults(files: Files): Fault[] {
  const titles = new Set(
    [...files.keys()]
      .filter((path) => path.endsWith('.ts') && (isTest(path) || path.includes('/testing/')))
      .flatMap((path) => sourceFile(files, path).titles),
  )
  return pagesIn(files).flatMap(([path, text]) =>
    namedTests(text)
      .filter(({ title }) => !titles.has(title))
      .map(({ title, line }) => ({
        path,
        line,
        message: `there is no test called “${title}”`,
        remedy: 'Correct the name, or write the test.',
      })),
  )
}

function namedTests(text: string): { title: string; line: number }[] {
  let isListing = false
  return text.split('\n').flatMap((content, at) => {
    if (!content.startsWith('|')) isListing = false
    else if (/\| Test \|$/.test(content)) isListing = true
    if (!isListing) return []
    return [...content.matchAll(/“([^”]+)”/g)].map(([, title = '']) => ({ title, line: at + 1 }))
  })
}

/** Public exports without a docstring. */
export function docstringFaults(files: Files): Fault[] {
  const entries = packagesIn(files).flatMap((one) => one.entries)
  const found = new Map<string, Fault>()
  for (const { name, source } of entries) {
    for (const { path, local } of publicNames(files, source)) {
      const declaration = sourceFile(files, path).declarations.get(local)
      if (declaration === undefined || declaration.docstring !== undefined) continue
      // The name of an options interface says what it is, and its members say the rest.
      if (declaration.kind === 'interface' && local.endsWith('Options')) continue
      const message = `${declaration.kind} ${local} is exported by ${name} and has no docstring`
      found.set(`${path} ${local}`, {
        path,
        line: declaration.line,
        message,
        remedy: 'Say in one sentence what it does or is.',
      })
    }
  }
  return [...found.values()]
}

/** What an entry exports, with the file that declares it. */
function publicNames(files: Files, path: string, wanted?: string): { path: string; local: string }[] {
  return sourceFile(files, path).exports.flatMap(({ name, local, from }) => {
    if (wanted !== undefined && name !== wanted && name !== '*') return []
    if (from === undefined) return [{ path, local }]
    const target = posix.join(posix.dirname(path), from)
    return publicNames(files, target, local === '*' ? (name === '*' ? wanted : undefined) : local)
  })
}
