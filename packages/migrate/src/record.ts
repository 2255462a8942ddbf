import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { dropIns, isAliasSpec } from './drop-ins.ts'
import { declaration, editedJson, type JsonEdit, type Manifest, type ManifestFields, sections } from './manifest.ts'
import type { Project } from './project.ts'
import { textOf } from './project.ts'

/** The file in which a migration notes what was there before. `--back` reads it, and removes it. */
export const RECORD = '.gatepass-migrate.json'

/** What was there before a migration. */
export interface MigrationRecord {
  /** Texts of manifests and settings, by path. `before` is null for a file that did not exist. */
  readonly files: Readonly<Record<string, { readonly before: string | null; readonly after: string }>>
  /** The lock file, as the versions were. */
  readonly lock?: { readonly path: string; readonly before: string }
  /** Sources that imported a drop-in already. They go on doing so. */
  readonly kept: readonly string[]
}

export function readRecord(folder: string): MigrationRecord | undefined {
  const text = existsSync(join(folder, RECORD)) ? textOf(join(folder, RECORD)) : undefined
  return text === undefined ? undefined : (JSON.parse(text) as MigrationRecord)
}

/** The record of this migration, over that of one before it: what counts is how it was before the first. */
export function recordOf(earlier: MigrationRecord | undefined, latest: MigrationRecord): MigrationRecord {
  if (earlier === undefined) return latest
  const files = { ...latest.files }
  for (const [path, { before, after }] of Object.entries(earlier.files))
    files[path] = { before, after: latest.files[path]?.after ?? after }
  return { ...earlier, files }
}

/** Texts to write on the way back; null for a file to remove. */
export interface Restored {
  readonly files: ReadonlyMap<string, string | null>
  /** Files that have changed since in a way that cannot be told apart from the migration. */
  readonly left: readonly string[]
}

/**
 * The files of a record as they were. A package.json that has changed since only gets the old versions of what the migration
 * changed.
 *
 * @param gatepassStays whether something other than a drop-in still loads gatepass
 */
export function restored({ folder }: Project, record: MigrationRecord, gatepassStays: boolean): Restored {
  const files = new Map<string, string | null>()
  const left: string[] = []
  let whole = true
  for (const [path, { before, after }] of Object.entries(record.files)) {
    const now = textOf(join(folder, path))
    const isManifest = path.endsWith('package.json') && before !== null
    if (now === after && !(isManifest && gatepassStays)) files.set(path, before)
    else if (isManifest && now !== undefined) {
      files.set(path, withOldVersions({ before, after, now }, gatepassStays))
      whole = false
    } else if (path !== record.lock?.path) left.push(path)
  }
  if (record.lock !== undefined) {
    files.delete(record.lock.path)
    if (whole) files.set(record.lock.path, record.lock.before)
  }
  return { files, left }
}

/** Fields of package.json that a migration may change. */
const fields = [...sections.map((section) => [section]), ['overrides'], ['resolutions'], ['pnpm', 'overrides']]

function withOldVersions(texts: { before: string; after: string; now: string }, gatepassStays: boolean): string {
  const [before, after, now] = [texts.before, texts.after, texts.now].map(parseJson) as [
    ManifestFields,
    ManifestFields,
    ManifestFields,
  ]
  const edits: JsonEdit[] = []
  for (const field of fields) {
    const [was, became, is] = [before, after, now].map((json) => entriesAt(json, field)) as [Entries, Entries, Entries]
    for (const name of new Set([...Object.keys(was), ...Object.keys(became)])) {
      // What is not as the migration left it has been decided since.
      if (was[name] === became[name] || is[name] !== became[name] || (name === 'gatepass' && gatepassStays)) continue
      edits.push({ path: [...field, name], value: was[name] })
    }
  }
  return editedJson(texts.now, edits)
}

type Entries = Readonly<Record<string, string>>

function parseJson(text: string): ManifestFields {
  return JSON.parse(text.replace(/^\uFEFF/, '')) as ManifestFields
}

function entriesAt(json: ManifestFields, field: readonly string[]): Entries {
  let value: unknown = json
  for (const name of field) value = (value as Record<string, unknown> | undefined)?.[name]
  return (value ?? {}) as Entries
}

/** The manifests on the way back where no record says what was there: with the versions that the drop-ins stand for. */
export function withUsualVersions(
  manifests: readonly Manifest[],
  imported: ReadonlyMap<Manifest, ReadonlySet<string>>,
  gatepassStays: boolean,
): Map<string, string> {
  const files = new Map<string, string>()
  for (const manifest of manifests) {
    const edits: JsonEdit[] = []
    for (const { original, range } of dropIns) {
      const declared = declaration(manifest, original)
      const isAlias = isAliasSpec(declared?.spec, original)
      if (declared && isAlias) edits.push({ path: [declared.section, original], value: range })
      else if (!declared && imported.get(manifest)?.has(original))
        edits.push({ path: ['dependencies', original], value: range })
      for (const field of fields.slice(sections.length))
        if (entriesAt(manifest.json, field)[original] !== undefined && isAlias)
          edits.push({ path: [...field, original], value: undefined })
    }
    const gatepass = declaration(manifest, 'gatepass')
    if (gatepass && !gatepassStays && imported.size > 0)
      edits.push({ path: [gatepass.section, 'gatepass'], value: undefined })
    if (edits.length > 0) files.set(manifest.path, editedJson(manifest.text, edits))
  }
  return files
}
