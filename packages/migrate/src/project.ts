import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join, relative, sep } from 'node:path'

/** The parts of an application that a migration looks at. */
export interface Project {
  readonly folder: string
  readonly manifest: Manifest
  readonly sources: readonly Source[]
}

/** A package.json, and the text it was read from. */
export interface Manifest {
  readonly text: string
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

export interface Source {
  /** Relative to the project, with slashes. */
  readonly path: string
  readonly text: string
}

const SOURCE = /\.(?:[cm]?[jt]s|[jt]sx)$/
const SKIPPED = /^(?:\..*|node_modules|dist|build|out|coverage|bower_components)$/
/** Bytes. Larger files are generated. */
const LARGEST = 2 * 1024 * 1024

/** Reads package.json and all sources below it, except links, hidden folders and folders of generated files. */
export function readProject(folder: string): Project | { readonly mistake: string } {
  const manifest = readManifest(folder)
  if ('mistake' in manifest) return manifest
  const sources = filesBelow(folder, SKIPPED)
    .filter((path) => SOURCE.test(path) && statSync(path).size <= LARGEST)
    .map((path) => ({ path: pathIn(folder, path), text: readFileSync(path, 'utf8') }))
  return { folder, manifest, sources }
}

function readManifest(folder: string): Manifest | { readonly mistake: string } {
  try {
    const text = readFileSync(join(folder, 'package.json'), 'utf8')
    const { dependencies = {}, devDependencies = {} } = JSON.parse(text) as Partial<Manifest>
    return { text, dependencies, devDependencies }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return { mistake: `there is no package.json in ${folder}. Name the application's folder.` }
    return { mistake: `package.json in ${folder} cannot be read: ${message}` }
  }
}

/** The files below a folder in alphabetical order, except those in skipped folders and links. */
function filesBelow(folder: string, skipped: RegExp): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) return skipped.test(entry.name) ? [] : filesBelow(path, skipped)
      return entry.isFile() ? [path] : []
    })
}

/**
 * Why packages may still be needed: for each, the first file that loads it, or a part of it, or names it in quotes if it is not a
 * source. It looks into templates, files without an ending and builds, too, but not into documents, lock files and installed
 * packages. Each file is read once.
 *
 * @param changed the new texts of files that a migration changes
 */
export function whyNeeded(
  folder: string,
  names: readonly string[],
  changed: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const patterns = names.map((name) => {
    const quoted = `['"\`]${name}(?:/[^'"\`]*)?['"\`]`
    return { name, named: new RegExp(quoted), loaded: new RegExp(`(?:\\(|\\bfrom|\\bimport)\\s*${quoted}`) }
  })
  const reasons = new Map<string, string>()
  for (const file of filesBelow(folder, NO_CODE_FOLDER)) {
    if (reasons.size === names.length) break
    if (NO_CODE.test(basename(file)) || statSync(file).size > TOO_LARGE) continue
    const path = pathIn(folder, file)
    const text = changed.get(path) ?? textOf(file)
    for (const { name, named, loaded } of patterns.filter((pattern) => !reasons.has(pattern.name))) {
      if (text === undefined) reasons.set(name, `${path} cannot be read`)
      else if ((SOURCE.test(path) ? loaded : named).test(text)) reasons.set(name, `${path} names it`)
    }
  }
  return reasons
}

const NO_CODE_FOLDER = /^(?:node_modules|\.git|coverage)$/
const NO_CODE = /^(?:package(?:-lock)?\.json|npm-shrinkwrap\.json|.*\.(?:md|txt|lock|map|lockb)|pnpm-lock\.yaml)$/
/** Bytes. No file of this size is code. */
const TOO_LARGE = 32 * 1024 * 1024

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

/** A file's path relative to the project, with slashes. */
function pathIn(folder: string, file: string): string {
  return relative(folder, file).split(sep).join('/')
}

/** The package.json of the installed package `name`; `undefined` if it is not installed. */
export function installed(folder: string, name: string): InstalledManifest | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8')) as InstalledManifest
  } catch {
    return undefined
  }
}

export interface InstalledManifest {
  readonly version?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
}
