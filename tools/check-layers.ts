/**
 * Checks who imports whom.
 *
 * Why it exists: a file of the library can be understood without the layers above it. One import upwards would compile, work,
 * and end that. The table is that of ARCHITECTURE.md.
 */
import { posix } from 'node:path'
import {
  conclude,
  type Fault,
  type Files,
  importedFiles,
  isLoading,
  isTest,
  library,
  type Package,
  packageOf,
  packagesIn,
  partOf,
  readFiles,
  resolveRelative,
  sourceFile,
} from './project.ts'
import type { ImportStatement } from './scan.ts'

/** The layer of every part of the library. */
const layerOf: Readonly<Record<string, number>> = {
  error: 0,
  awaitable: 0,
  register: 0,
  report: 0,
  timers: 0,
  'peer-package': 0,
  crypto: 0,
  cookie: 1,
  'number-options': 1,
  protocols: 1,
  http: 2,
  session: 3,
  passport: 4,
  stores: 5,
  strategies: 5,
  adapters: 5,
  testing: 6,
  index: 6,
  compat: 7,
}

/** The highest layer that a part may import, where it is not the one below its own. */
const reachOf: Readonly<Record<string, number>> = { index: 4, compat: 5 }

/** Files of layer 0 that import nothing. All files may import them, also those of layer 0. */
const ground: ReadonlySet<string> = new Set(['error', 'awaitable', 'register', 'report', 'timers', 'peer-package'])

/**
 * Packages and built-in modules that only certain files may load. A package that is not listed may be loaded only by the
 * file with its name: `express` by `adapters/express.ts`.
 */
const homes: readonly { readonly what: RegExp; readonly home: RegExp; readonly words: string }[] = [
  { what: /^node:crypto$/, home: /^crypto\//, words: 'src/crypto' },
  {
    what: /^node:(http|https|http2)$/,
    home: /^(http|adapters|testing|compat)\//,
    words: 'src/http, src/adapters and src/testing',
  },
  { what: /^(jose|oauth4webapi)$/, home: /^protocols\//, words: 'src/protocols' },
  {
    what: /^@node-rs\/(argon2|bcrypt)$/,
    home: /^(protocols\/password|crypto\/kdf)/,
    words: 'src/protocols/password.ts and src/crypto/kdf.ts',
  },
  { what: /^(node:sqlite|better-sqlite3)$/, home: /^stores\/sqlite/, words: 'src/stores/sqlite.ts' },
  { what: /^vitest$/, home: /^testing\//, words: 'src/testing' },
]

/** Everything that is wrong with the imports of `files`. */
export function layerFaults(files: Files): Fault[] {
  const packages = packagesIn(files)
  const faults: Fault[] = []
  for (const path of files.keys()) {
    if (!path.endsWith('.ts')) continue
    for (const statement of sourceFile(files, path).imports) {
      const fault = boundaryFault(packages, path, statement) ?? libraryFault(path, statement)
      if (fault) faults.push({ path, line: statement.line, ...fault })
    }
  }
  return [...faults, ...unknownParts(files), ...cycles(files)]
}

type Finding = Pick<Fault, 'message' | 'remedy'>

/** Workspaces see each other through public entries alone. */
function boundaryFault(packages: readonly Package[], path: string, statement: ImportStatement): Finding | undefined {
  const { specifier } = statement
  const own = packages.find(({ folder }) => path.startsWith(`${folder}/`))
  const target = resolveRelative(path, specifier)
  if (target !== undefined) {
    if (own === undefined || target.startsWith(`${own.folder}/`)) return undefined
    return {
      message: `${specifier} leaves ${own.folder}: a workspace may use only the public entries of another`,
      remedy: 'Import the public entry (gatepass/…) instead of the file.',
    }
  }
  const other = packages.find(({ name }) => name === packageOf(specifier))
  if (other === undefined) return undefined
  if (own === other && !isTest(path)) {
    return {
      message: `${own.name} imports itself by name (${specifier})`,
      remedy: 'Import the file by its relative path.',
    }
  }
  if (other.entries.some(({ name }) => name === specifier)) return undefined
  return {
    message: `${specifier} is not a public entry of ${other.name}`,
    remedy: `Import one of: ${other.entries.map(({ name }) => name).join(', ') || 'it has none'}. If what you need is missing, make it public first.`,
  }
}

/** The layers inside the library; tests may look anywhere. */
function libraryFault(path: string, statement: ImportStatement): Finding | undefined {
  if (!path.startsWith(library) || isTest(path)) return undefined
  const target = resolveRelative(path, statement.specifier)
  if (target === undefined) return packageFault(path, statement)
  if (!target.startsWith(library)) return undefined
  return partFault(partOf(path), partOf(target))
}

function partFault(from: string, to: string): Finding | undefined {
  const [layer, toLayer] = [layerOf[from], layerOf[to]]
  if (layer === undefined || toLayer === undefined || from === to) return undefined
  if (layer === 0) {
    if (from === 'crypto' && ground.has(to)) return undefined
    return {
      message: `${from} imports ${to}: in layer 0, crypto may import error, awaitable, register and report, and these import nothing`,
      remedy: `Move what ${from} needs into ${from}, or move the code that needs it to a higher layer.`,
    }
  }
  const reach = reachOf[from] ?? layer - 1
  if (toLayer <= reach) return undefined
  const rule = `${from} (layer ${layer}) may import layers 0–${reach} and itself`
  return {
    message: `${from} imports ${to}, which is in layer ${toLayer}: ${rule}`,
    remedy:
      toLayer === layer
        ? `${from} and ${to} stand side by side: move what both need to a layer below, or let the caller hand it in.`
        : `Turn the dependency round: let ${to} import ${from}, or let the caller hand in what is needed as a parameter.`,
  }
}

function packageFault(path: string, statement: ImportStatement): Finding | undefined {
  // A type leaves nothing in the built file that would load the driver.
  if (statement.typeOnly) return undefined
  const name = packageOf(statement.specifier)
  const file = path.slice(library.length)
  const known = homes.find(({ what }) => what.test(name))
  if (known ? known.home.test(file) : name.startsWith('node:') || posix.basename(file, '.ts') === name) return undefined
  return {
    message: `${file} loads ${statement.specifier}, which only ${known?.words ?? `a leaf called ${name}.ts`} may load`,
    remedy: known
      ? `Ask ${known.words} for what is needed, or import the type alone with \`import type\`.`
      : 'Put the code into a leaf of that name, or give the package a home in the table of tools/check-layers.ts and say why.',
  }
}

function unknownParts(files: Files): Fault[] {
  return [...files.keys()]
    .filter((path) => path.startsWith(library) && path.endsWith('.ts') && !isTest(path) && !(partOf(path) in layerOf))
    .map((path) => ({
      path,
      message: `${partOf(path)} is in no layer`,
      remedy:
        'Move the file into a folder that has a layer, or give it one in ARCHITECTURE.md and tools/check-layers.ts.',
    }))
}

/**
 * Files that load each other in a circle. Each circle is reported once, from its first file in alphabetical order. Types and
 * what is loaded later (`import()`, a thread) make no circle.
 */
function cycles(files: Files): Fault[] {
  const found = new Map<string, Fault>()
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path)
    if (at !== -1) {
      const circle = trail.slice(at)
      found.set([...circle].sort().join(), cycleFault(circle))
      return
    }
    if (done.has(path)) return
    for (const target of importedFiles(files, path, isLoading)) visit(target, [...trail, path])
    done.add(path)
  }
  for (const path of [...files.keys()].sort()) if (path.endsWith('.ts') && !isTest(path)) visit(path, [])
  return [...found.values()]
}

function cycleFault(circle: readonly string[]): Fault {
  const [path = ''] = circle
  return {
    path,
    message: `loads itself: ${[...circle, path].map((file) => file.replace(library, '')).join(' → ')}`,
    remedy: 'Move what both sides need into a file of its own, below them.',
  }
}

if (import.meta.main) {
  const files = readFiles()
  conclude(
    'check-layers',
    layerFaults(files),
    `${[...files.keys()].filter((path) => path.endsWith('.ts')).length} files, every import points down`,
  )
}
