/**
 * Prints what each entry loads, and refuses entries that load more than their idea.
 *
 * Why it exists: an application that wants cookies should not pay for sessions, nor need a database driver to start. One
 * convenient re-export would change that, and nothing else would show it. The report names the chain of imports.
 */
import { stripTypeScriptTypes } from 'node:module'
import { gzipSync } from 'node:zlib'
import {
  chainTo,
  conclude,
  type Entry,
  type Fault,
  type Files,
  isLoading,
  library,
  packageOf,
  packagesIn,
  partOf,
  reachable,
  readFiles,
  sourceFile,
} from './project.ts'

/** What one entry loads. */
export interface Size {
  readonly entry: string
  readonly files: number
  /** Of the sources, types and comments included. */
  readonly bytes: number
  /** Of what is left when types are stripped, compressed: about what travels. */
  readonly gzip: number
  /** Packages that are loaded with it. */
  readonly packages: readonly string[]
}

const cookieParts = ['error', 'awaitable', 'crypto', 'cookie']
const sessionParts = [...cookieParts, 'number-options', 'register', 'report', 'timers', 'http', 'session']
const passportParts = [...sessionParts, 'passport']

/** Parts of the library that an entry may load. Entries that are not listed may load anything. */
const budget: Readonly<Record<string, readonly string[]>> = {
  'gatepass/cookie': cookieParts,
  'gatepass/session': sessionParts,
  'gatepass/passport': passportParts,
  gatepass: [...passportParts, 'index'],
}

/** What every entry of the library loads. */
export function sizes(files: Files): Size[] {
  return libraryEntries(files).map((entry) => sizeOf(files, entry))
}

function libraryEntries(files: Files): readonly Entry[] {
  return packagesIn(files).find(({ name }) => name === 'gatepass')?.entries ?? []
}

function sizeOf(files: Files, entry: Entry): Size {
  const paths = [...reachable(files, entry.source, isLoading).keys()]
  const texts = paths.map((path) => files.get(path) ?? '')
  return {
    entry: entry.name,
    files: paths.length,
    bytes: texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0),
    gzip: gzipSync(texts.map((text) => stripTypeScriptTypes(text)).join('\n')).length,
    packages: [...new Set(paths.flatMap((path) => packagesLoadedBy(files, path)))].sort(),
  }
}

/** Packages and `node:sqlite`. Other built-in modules are always there and cost nothing to install. */
function packagesLoadedBy(files: Files, path: string): string[] {
  return sourceFile(files, path)
    .imports.filter(isLoading)
    .map(({ specifier }) => packageOf(specifier))
    .filter((name) => name === 'node:sqlite' || !/^(\.|node:)/.test(name))
}

/** Entries that load more than they may, with the imports that led there. */
export function sizeFaults(files: Files): Fault[] {
  return libraryEntries(files).flatMap((entry) => {
    const allowed = budget[entry.name]
    return allowed ? overBudget(files, entry, allowed) : []
  })
}

function overBudget(files: Files, entry: Entry, allowed: readonly string[]): Fault[] {
  const reached = reachable(files, entry.source, isLoading)
  const fault = (path: string, what: string): Fault => {
    const chain = chainTo(reached, path).map((file) => file.replace(library, ''))
    return {
      path: entry.source,
      message: `${entry.name} loads ${what}: ${chain.join(' → ')}`,
      remedy: 'Remove the first import of the chain that this entry does not need; import a type with `import type`.',
    }
  }
  const paths = [...reached.keys()]
  const foreign = paths.find((path) => !allowed.includes(partOf(path)))
  const driver = paths.find((path) => packagesLoadedBy(files, path).length > 0)
  return [
    ...(foreign === undefined ? [] : [fault(foreign, partOf(foreign))]),
    ...(driver === undefined ? [] : [fault(driver, packagesLoadedBy(files, driver).join(', '))]),
  ]
}

/** The sizes as a table for the console. */
export function table(rows: readonly Size[]): string {
  const cells = rows.map(({ packages, ...size }) => [...Object.values(size).map(String), packages.join(' ')])
  const all = [['entry', 'files', 'bytes', 'gzip', 'packages'], ...cells]
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const align = (cell: string, column: number): string => {
    const width = widths[column] ?? 0
    return column >= 1 && column <= 3 ? cell.padStart(width) : cell.padEnd(width)
  }
  return all.map((row) => row.map(align).join('  ').trimEnd()).join('\n')
}

if (import.meta.main) {
  const files = readFiles()
  console.log(table(sizes(files)))
  conclude('report-size', sizeFaults(files), 'no entry loads more than its idea')
}
