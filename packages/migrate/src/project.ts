import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join, relative, sep } from 'node:path'
import { mentionsDropIn } from './drop-ins.ts'
import { type Manifest, readManifest } from './manifest.ts'

/** The parts of an application that a migration looks at. */
export interface Project {
  readonly folder: string
  /** Every package.json of the application: its own first, then those of its workspaces. */
  readonly manifests: readonly [Manifest, ...Manifest[]]
  readonly sources: readonly Source[]
  /** Paths of all other files that may name a package. */
  readonly others: readonly string[]
}

export interface Source {
  /** Relative to the project, with slashes. */
  readonly path: string
  readonly text: string
}

const SOURCE = /\.(?:[cm]?[jt]s|[jt]sx)$/
/** Folders of generated files: nothing in them is rewritten, since the next build would undo it. */
export const GENERATED: RegExp = /(?:^|\/)(?:\.[^/]*|dist|build|out|coverage|bower_components)\//
const NO_CODE_FOLDER = /^(?:\.git|coverage|bower_components)$/
const NO_CODE =
  /^(?:package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|\.gatepass-migrate\.json|\.pnp\..*|.*\.(?:md|txt|lock|lockb|map|css|scss|png|jpe?g|gif|svg|ico|webp|woff2?|ttf|pdf|zip|gz|tgz|mp[34]|wasm|db|sqlite))$/i
/** Bytes. Larger sources are generated. */
const LARGEST_SOURCE = 2 * 1024 * 1024
/** Bytes. No file of this size is code. */
const TOO_LARGE = 32 * 1024 * 1024

/** Reads every package.json and all sources below `folder`, except links and installed packages. */
export function readProject(folder: string): Project | { readonly mistake: string } {
  const own = readManifest(folder, 'package.json')
  if ('mistake' in own) return own
  const manifests: [Manifest, ...Manifest[]] = [own]
  const sources: Source[] = []
  const others: string[] = []
  for (const file of filesBelow(folder)) {
    const path = pathIn(folder, file)
    const name = basename(path)
    if (path === 'package.json' || NO_CODE.test(name) || statSync(file).size > TOO_LARGE) continue
    if (name === 'package.json') {
      const manifest = readManifest(folder, path)
      // One that only says `"type": "module"` belongs to the package around it.
      if ('mistake' in manifest || !isPackage(manifest)) continue
      manifests.push(manifest)
    } else if (isSource(path, file)) sources.push({ path, text: readFileSync(file, 'utf8') })
    else others.push(path)
  }
  return { folder, manifests, sources, others }
}

function isPackage({ json }: Manifest): boolean {
  return json.name !== undefined || json.dependencies !== undefined || json.devDependencies !== undefined
}

/** Also a script without an ending, such as `bin/www`. */
function isSource(path: string, file: string): boolean {
  if (GENERATED.test(path) || statSync(file).size > LARGEST_SOURCE) return false
  if (SOURCE.test(path)) return true
  if (basename(path).includes('.')) return false
  const text = textOf(file)
  if (text === undefined || text.includes('\0')) return false
  const [first = ''] = text.split('\n', 1)
  return first.startsWith('#!')
    ? /\b(?:node|tsx|ts-node|bun)\b/.test(first)
    : mentionsDropIn(text) && /\brequire\(|\bimport\b/.test(text)
}

/**
 * The files below a folder in alphabetical order, without links. A folder `node_modules` beside a package.json holds what is
 * installed; one without it is the application's own, as in `packages/node_modules`.
 */
export function filesBelow(folder: string, skipped: RegExp = NO_CODE_FOLDER): string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
  const installs = entries.some(({ name }) => name === 'package.json')
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isFile()) return [path]
    if (!entry.isDirectory() || skipped.test(entry.name) || (entry.name === 'node_modules' && installs)) return []
    return filesBelow(path, skipped)
  })
}

/** A file's path relative to `folder`, with slashes. */
export function pathIn(folder: string, file: string): string {
  return relative(folder, file).split(sep).join('/')
}

/** A file's text; `undefined` if it cannot be read. */
export function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

/** The folder of the package that code in `from` gets under `name`, as Node looks for it; `undefined` if it is not installed. */
export function installedFolder(from: string, name: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const place = join(folder, 'node_modules', name)
    if (existsSync(join(place, 'package.json'))) return realpathSync(place)
    if (folder === dirname(folder)) return undefined
  }
}

/** The manifest that a file belongs to: the nearest one upwards. */
export function manifestOf({ manifests }: Project, path: string): Manifest {
  return manifestsAbove(manifests, path)[0] ?? manifests[0]
}

/** The manifests in the folders around a file, the nearest first. */
export function manifestsAbove(manifests: readonly Manifest[], path: string): Manifest[] {
  return manifests
    .filter(({ folder }) => folder === '' || path.startsWith(`${folder}/`))
    .sort((a, b) => b.folder.length - a.folder.length)
}
