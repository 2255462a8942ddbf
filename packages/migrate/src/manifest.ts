import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { applyEdits, modify } from 'jsonc-parser'

/** A package.json, and the text it was read from. */
export interface Manifest {
  /** Relative to the project, with slashes. */
  readonly path: string
  /** The folder of `path`; empty for the project's own. */
  readonly folder: string
  readonly text: string
  readonly json: ManifestFields
}

/** What a package.json may say, as far as a migration reads it. */
export interface ManifestFields {
  readonly name?: string
  readonly version?: string
  readonly dependencies?: Ranges
  readonly devDependencies?: Ranges
  readonly optionalDependencies?: Ranges
  readonly peerDependencies?: Ranges
  readonly [field: string]: unknown
}

export type Ranges = Readonly<Record<string, string>>

/** The fields that install packages. */
export const sections = ['dependencies', 'devDependencies', 'optionalDependencies'] as const
export type Section = (typeof sections)[number]

/** Reads the package.json at `path` below `folder`. */
export function readManifest(folder: string, path: string): Manifest | { readonly mistake: string } {
  try {
    const text = readFileSync(join(folder, path), 'utf8')
    const json = JSON.parse(text.replace(/^\uFEFF/, '')) as ManifestFields | null
    if (typeof json !== 'object' || json === null || Array.isArray(json))
      return { mistake: `${path} in ${folder} is not an object.` }
    return { path, folder: path === 'package.json' ? '' : dirname(path), text, json }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return { mistake: `there is no package.json in ${folder}. Name the application's folder.` }
    return { mistake: `${path} in ${folder} cannot be read: ${message}` }
  }
}

/** What a manifest says of a package, and in which field; `undefined` if it does not install it. */
export function declaration({ json }: Manifest, name: string): { section: Section; spec: string } | undefined {
  for (const section of sections) {
    const spec = json[section]?.[name]
    if (spec !== undefined) return { section, spec }
  }
  return undefined
}

/** A value in a JSON file to set, or with `undefined` to remove. */
export interface JsonEdit {
  readonly path: readonly string[]
  readonly value: string | undefined
}

/** The JSON text with these edits. All other letters stay, and with them byte order mark, line ends and indentation. */
export function editedJson(text: string, edits: readonly JsonEdit[]): string {
  const mark = text.startsWith('\uFEFF') ? '\uFEFF' : ''
  const eol = text.includes('\r\n') ? '\r\n' : '\n'
  const [indent = '  '] = /^[ \t]+(?=")/m.exec(text) ?? []
  const formattingOptions = {
    eol,
    insertSpaces: !indent.includes('\t'),
    tabSize: indent.includes('\t') ? 1 : indent.length,
  }
  let edited = text.slice(mark.length)
  for (const { path, value } of edits) {
    const getInsertionIndex = (names: readonly string[]): number => {
      const after = names.findIndex((name) => name > (path.at(-1) ?? ''))
      return path.length < 2 || after < 0 ? names.length : after
    }
    edited = applyEdits(edited, modify(edited, [...path], value, { formattingOptions, getInsertionIndex }))
  }
  return mark + edited
}
