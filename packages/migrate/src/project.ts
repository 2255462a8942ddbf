import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative, sep } from 'node:path'

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
  const sources = sourceFiles(folder).map((path) => ({
    path: relative(folder, path).split(sep).join('/'),
    text: readFileSync(path, 'utf8'),
  }))
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

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) return SKIPPED.test(entry.name) ? [] : sourceFiles(path)
      const isSource = entry.isFile() && SOURCE.test(entry.name)
      return isSource && statSync(path).size <= LARGEST ? [path] : []
    })
}

/**
 * Why a package may still be needed: the first file that loads it, or a part of it, or names it in quotes if it is not a source.
 * It looks into templates, files without an ending and builds, too, but not into documents, lock files and installed packages.
 *
 * @param changed the new texts of files that a migration changes
 */
export function whyNeeded(folder: string, name: string, changed: ReadonlyMap<string, string>): string | undefined {
  const quoted = `['"\`]${name}(?:/[^'"\`]*)?['"\`]`
  const names = new RegExp(quoted)
  const loads = new RegExp(`(?:\\(|\\bfrom|\\bimport)\\s*${quoted}`)
  for (const file of possibleCode(folder)) {
    const path = relative(folder, file).split(sep).join('/')
    try {
      const text = changed.get(path) ?? readFileSync(file, 'utf8')
      if ((SOURCE.test(path) ? loads : names).test(text)) return `${path} names it`
    } catch {
      return `${path} cannot be read`
    }
  }
  return undefined
}

const NO_CODE = /^(?:package(?:-lock)?\.json|npm-shrinkwrap\.json|.*\.(?:md|txt|lock|map|lockb)|pnpm-lock\.yaml)$/
/** Bytes. No file of this size is code. */
const TOO_LARGE = 32 * 1024 * 1024

function possibleCode(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) return /^(?:node_modules|\.git|coverage)$/.test(entry.name) ? [] : possibleCode(path)
      const fits = entry.isFile() && !NO_CODE.test(entry.name) && statSync(path).size <= TOO_LARGE
      return fits ? [path] : []
    })
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
