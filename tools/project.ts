/**
 * The repository as the checks see it: texts under their paths, packages with their entries, and a fault as a sentence.
 *
 * Why it exists: every check asks the same three questions (which files, which entries, what does this import mean), and a
 * test can pass a few invented files in place of the real ones.
 */
import { globSync, readFileSync } from 'node:fs'
import { posix, resolve, sep } from 'node:path'
import { type ImportStatement, type SourceFile, scan } from './scan.ts'

/** Texts under their path from the root of the repository, with `/` on every system. */
export type Files = ReadonlyMap<string, string>

/** Something that is wrong, where, and what to do about it. */
export interface Fault {
  readonly path: string
  readonly line?: number
  readonly message: string
  readonly remedy: string
}

/** One key of a package's `exports`. */
export interface Entry {
  /** As applications write it: `gatepass/cookie`. */
  readonly name: string
  readonly key: string
  /** Source file, from the root of the repository. */
  readonly source: string
  /** Conditions and targets in the order in which they are tried; a condition inside another one as `import.types`. */
  readonly targets: readonly Target[]
}

/** A condition of `exports`, and what it leads to. */
export type Target = readonly [condition: string, target: string]

/** A workspace. */
export interface Package {
  readonly name: string
  readonly version: string
  /** `packages/gatepass` */
  readonly folder: string
  readonly isPrivate: boolean
  readonly entries: readonly Entry[]
  /** Sources of the commands it installs. */
  readonly commands: readonly string[]
  /** Dependencies and peers: packages that it may load. */
  readonly dependencies: ReadonlySet<string>
  /** Dependencies: packages that are installed with it. */
  readonly installed: readonly string[]
}

/** The root of this repository. */
export const root: string = resolve(import.meta.dirname, '..')

/** Reads every source, manifest and page of the repository. */
export function readFiles(): Files {
  const patterns = ['**/*.ts', '**/*.md', '**/package.json']
  const exclude = ['**/node_modules', '**/dist', '**/coverage', '**/.*']
  const paths = globSync(patterns, { cwd: root, exclude }).map((path) => path.replaceAll(sep, '/'))
  return new Map(paths.sort().map((path) => [path, readFileSync(resolve(root, path), 'utf8')]))
}

/** The pages among `files`, with their texts. */
export function pagesIn(files: Files): [path: string, text: string][] {
  return [...files].filter(([path]) => path.endsWith('.md'))
}

/** The sources in the folder `src` of a package, without tests. */
export function sourcesOf(files: Files, { folder }: Pick<Package, 'folder'>): string[] {
  return [...files.keys()].filter((path) => path.startsWith(`${folder}/src/`) && path.endsWith('.ts') && !isTest(path))
}

interface Conditions extends Readonly<Record<string, Conditions | string>> {}

interface Manifest {
  readonly name: string
  readonly version?: string
  readonly private?: boolean
  readonly exports?: Readonly<Record<string, Conditions | string>>
  readonly bin?: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

/** The workspaces among `files`. */
export function packagesIn(files: Files): Package[] {
  return [...files.keys()]
    .filter((path) => /^(?:(?:packages|examples)\/[^/]+|bench)\/package\.json$/.test(path))
    .map((path) => readPackage(posix.dirname(path), JSON.parse(files.get(path) ?? '{}') as Manifest))
}

function readPackage(folder: string, manifest: Manifest): Package {
  return {
    name: manifest.name,
    version: manifest.version ?? '0.0.0',
    folder,
    isPrivate: manifest.private ?? false,
    entries: Object.entries(manifest.exports ?? {})
      .filter(([key]) => key !== './package.json')
      .map(([key, value]) => readEntry(folder, manifest.name, key, value)),
    commands: Object.values(manifest.bin ?? {}).map((target) => posix.join(folder, sourceOf(target))),
    dependencies: new Set(Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })),
    installed: Object.keys(manifest.dependencies ?? {}),
  }
}

function readEntry(folder: string, name: string, key: string, value: Conditions | string): Entry {
  const targets = typeof value === 'string' ? [['default', value] as const] : flatten(value)
  const source = targets.find(([condition]) => condition === 'gatepass:source')?.[1] ?? ''
  return { name: posix.join(name, key), key, source: posix.join(folder, source), targets }
}

function flatten(conditions: Conditions): Target[] {
  return Object.entries(conditions).flatMap(([condition, value]) =>
    typeof value === 'string'
      ? [[condition, value] as const]
      : flatten(value).map(([inner, target]) => [`${condition}.${inner}`, target] as const),
  )
}

/**
 * The targets that `exports` gives an entry with this source, in their order. Of a drop-in, which exports `module.exports`,
 * `require()` gives that (docs/decisions/0011-two-forms-one-code.md).
 */
export function targetsOf(source: string, { isDropIn }: { isDropIn: boolean }): Target[] {
  const stem = source.slice('./src/'.length, -'.ts'.length)
  return [
    ['gatepass:source', source],
    ['import.types', `./dist/${stem}.d.ts`],
    ['import.module', `./dist/${stem}.js`],
    ['import.node', `./dist/node/${stem}.js`],
    ['import.default', `./dist/${stem}.js`],
    ...(isDropIn
      ? ([
          ['require.types', `./dist/cjs/${stem}.d.cts`],
          ['require.default', `./dist/${stem}.cjs`],
        ] as const)
      : ([
          ['require.types', `./dist/cjs/${stem}.d.ts`],
          ['require.module', `./dist/${stem}.js`],
          ['require.default', `./dist/cjs/${stem}.js`],
        ] as const)),
  ]
}

/** `src/main.ts` is the source of `./dist/main.js`. */
export function sourceOf(target: string): string {
  return target.replace(/^\.\/dist\//, 'src/').replace(/\.js$/, '.ts')
}

/** `dist/main.js` is built from `src/main.ts`. */
export function builtFrom(source: string): string {
  return source.replace(/^src\//, 'dist/').replace(/\.ts$/, '.js')
}

const scanned = new WeakMap<Files, Map<string, SourceFile>>()

/** What a file imports and exports. Each file is scanned once. */
export function sourceFile(files: Files, path: string): SourceFile {
  const known = scanned.get(files) ?? new Map<string, SourceFile>()
  scanned.set(files, known)
  const found = known.get(path) ?? scan(files.get(path) ?? '', path)
  known.set(path, found)
  return found
}

/** The file that a relative specifier means; `undefined` for a package. */
export function resolveRelative(from: string, specifier: string): string | undefined {
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : undefined
}

/** `@scope/name` of `@scope/name/part`, `name` of `name/part`. */
export function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** Whether only the test runner runs a file. */
export function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || /^packages\/[^/]+\/test\//.test(path)
}

/** Whether an import loads its file together with the importing file: it is not a type, nor an `import()` for later. */
export function isLoading({ typeOnly, dynamic }: ImportStatement): boolean {
  return !typeOnly && !dynamic
}

/** The files that `path` names in the imports that `follow` accepts. */
export function importedFiles(files: Files, path: string, follow: (statement: ImportStatement) => boolean): string[] {
  return sourceFile(files, path)
    .imports.filter(follow)
    .flatMap(({ specifier }) => resolveRelative(path, specifier) ?? [])
    .filter((target) => files.has(target))
}

/** The files that can be reached from `start` by the imports that `follow` accepts, each with the file that led to it. */
export function reachable(
  files: Files,
  start: string,
  follow: (statement: ImportStatement) => boolean,
): Map<string, string | undefined> {
  const reached = new Map<string, string | undefined>([[start, undefined]])
  for (const path of reached.keys())
    for (const target of importedFiles(files, path, follow)) if (!reached.has(target)) reached.set(target, path)
  return reached
}

/** The imports that led from the start of `reached` to `path`, in order. */
export function chainTo(reached: ReadonlyMap<string, string | undefined>, path: string): string[] {
  const chain: string[] = []
  for (let at: string | undefined = path; at !== undefined; at = reached.get(at)) chain.unshift(at)
  return chain
}

/** Sources of the library. */
export const library = 'packages/gatepass/src/'

/** The part of the library that a file belongs to: a folder of `src`, or a file directly in it. */
export function partOf(path: string): string {
  return path.slice(library.length).split('/')[0]?.replace(/\.ts$/, '') ?? ''
}

/** Prints what a check found, and sets the exit code of the process. */
export function conclude(check: string, faults: readonly Fault[], summary: string): void {
  for (const { path, line, message, remedy } of faults) {
    console.error(`${path}${line === undefined ? '' : `:${line}`}\n  ${message}\n  → ${remedy}\n`)
  }
  if (faults.length === 0) console.log(`${check}: ${summary}`)
  else {
    console.error(`${check}: ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}`)
    process.exitCode = 1
  }
}
