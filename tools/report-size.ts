/**
 * Prints what each entry loads, and refuses entries that load more than their idea.
 *
 * Why it exists: an application that wants cookies should not pay for sessions, and should not need a database driver to start.
 * That is lost by one convenient re-export, and nothing else would show it. The report names the chain of imports that did it.
 */
import { stripTypeScriptTypes } from 'node:module'
import { gzipSync } from 'node:zlib'
import {
  chainTo,
  conclude,
  type Entry,
  type Fault,
  type Files,
  packageOf,
  packagesIn,
  reachable,
  readFiles,
  sourceFile,
} from './project.ts'
import type { ImportStatement } from './scan.ts'

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

const library = 'packages/gatepass/src/'

const cookieParts = ['error', 'awaitable', 'crypto', 'cookie']
const sessionParts = [...cookieParts, 'number-options', 'register', 'http', 'session']
const passportParts = [...sessionParts, 'passport']

/** Parts of the library that an entry may load; one that is not listed may load anything. */
const budget: Readonly<Record<string, readonly string[]>> = {
  'gatepass/cookie': cookieParts,
  'gatepass/session': sessionParts,
  'gatepass/passport': passportParts,
  gatepass: [...passportParts, 'index'],
}

/** Loaded when the entry is: not types, and not what an `import()` fetches when it is reached. */
function loads(statement: ImportStatement): boolean {
  return !statement.typeOnly && !statement.dynamic
}

/** What every entry of the library loads. */
export function sizes(files: Files): Size[] {
  return libraryEntries(files).map((entry) => sizeOf(files, entry))
}

function libraryEntries(files: Files): readonly Entry[] {
  return packagesIn(files).find(({ name }) => name === 'gatepass')?.entries ?? []
}

function sizeOf(files: Files, entry: Entry): Size {
  const paths = [...reachable(files, entry.source, loads).keys()]
  const texts = paths.map((path) => files.get(path) ?? '')
  return {
    entry: entry.name,
    files: paths.length,
    bytes: texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0),
    gzip: gzipSync(texts.map((text) => stripTypeScriptTypes(text)).join('\n')).length,
    packages: [...new Set(paths.flatMap((path) => packagesLoadedBy(files, path)))].sort(),
  }
}

/** Packages and `node:sqlite`; the other built-in modules are always there and cost nothing to install. */
function packagesLoadedBy(files: Files, path: string): string[] {
  return sourceFile(files, path)
    .imports.filter(loads)
    .map(({ specifier }) => packageOf(specifier))
    .filter((name) => name === 'node:sqlite' || !/^(\.|node:)/.test(name))
}

/** Entries that load what is not theirs, with the imports that led there. */
export function sizeFaults(files: Files): Fault[] {
  return libraryEntries(files).flatMap((entry) => {
    const allowed = budget[entry.name]
    return allowed ? overBudget(files, entry, allowed) : []
  })
}

function overBudget(files: Files, entry: Entry, allowed: readonly string[]): Fault[] {
  const reached = reachable(files, entry.source, loads)
  const chain = (path: string): string =>
    chainTo(reached, path)
      .map((file) => file.replace(library, ''))
      .join(' → ')
  const foreign = [...reached.keys()].find((path) => !allowed.includes(partOf(path)))
  const driver = [...reached.keys()].find((path) => packagesLoadedBy(files, path).length > 0)
  const remedy = 'Cut the chain at its first import that this entry can do without; import a type with `import type`.'
  return [
    ...(foreign
      ? [{ path: entry.source, message: `${entry.name} loads ${partOf(foreign)}: ${chain(foreign)}`, remedy }]
      : []),
    ...(driver
      ? [
          {
            path: entry.source,
            message: `${entry.name} loads ${packagesLoadedBy(files, driver).join(', ')}: ${chain(driver)}`,
            remedy,
          },
        ]
      : []),
  ]
}

function partOf(path: string): string {
  return path.slice(library.length).split('/')[0]?.replace(/\.ts$/, '') ?? ''
}

/** The sizes as a table for the console. */
export function table(rows: readonly Size[]): string {
  const cells = rows.map(({ entry, files, bytes, gzip, packages }) => [
    entry,
    `${files}`,
    `${bytes}`,
    `${gzip}`,
    packages.join(' '),
  ])
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
