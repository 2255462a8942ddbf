import { type Direction, dropIns } from './drop-ins.ts'
import { installed, type Manifest, type Project } from './project.ts'
import type { FilePlan } from './rewrite.ts'

/** What happens to one entry of package.json, and why. */
export interface DependencyChange {
  readonly name: string
  readonly action: 'add' | 'remove' | 'keep'
  readonly range: string
  readonly reason: string
}

interface Migration {
  readonly direction: Direction
  readonly files: readonly FilePlan[]
  /** Packages that some file still imports afterwards. */
  readonly stillUsed: ReadonlySet<string>
  readonly unreadable: readonly string[]
  readonly gatepass: string
}

export function dependencyChanges(project: Project, migration: Migration): DependencyChange[] {
  return migration.direction === 'forward' ? toGatepass(project, migration) : toOriginals(project, migration)
}

function toGatepass(project: Project, migration: Migration): DependencyChange[] {
  const changes: DependencyChange[] = []
  if (migration.files.length > 0 && !declares(project.manifest, 'gatepass'))
    changes.push({ name: 'gatepass', action: 'add', range: migration.gatepass, reason: 'imported now' })
  for (const { original } of dropIns) {
    const range = project.manifest.dependencies[original]
    if (range === undefined) continue
    const kept = whyKept(project, original, migration)
    const action = kept === undefined ? 'remove' : 'keep'
    changes.push({ name: original, action, range, reason: kept ?? 'nothing imports it any more' })
  }
  return changes
}

function toOriginals({ manifest }: Project, { files, stillUsed, unreadable, gatepass }: Migration): DependencyChange[] {
  const imported = new Set(files.flatMap(({ changes }) => changes.map(({ to }) => to)))
  const adds = dropIns
    .filter(({ original }) => imported.has(original) && !declares(manifest, original))
    .map(({ original, range }) => ({ name: original, action: 'add', range, reason: 'imported again' }) as const)
  const range = manifest.dependencies.gatepass
  if (range === undefined || stillUsed.has('gatepass') || unreadable.length > 0) return adds
  return [...adds, { name: 'gatepass', action: 'remove', range: gatepass, reason: 'nothing imports it any more' }]
}

function whyKept(project: Project, original: string, migration: Migration): string | undefined {
  if (migration.stillUsed.has(original)) return 'the application imports it in some other way'
  if (migration.unreadable.length > 0) return 'not every file could be read'
  const others = Object.keys({ ...project.manifest.dependencies, ...project.manifest.devDependencies })
  const missing = others.find((name) => !name.startsWith('@types/') && installed(project.folder, name) === undefined)
  if (missing !== undefined) return `${missing} is not installed, so it is not known whether that needs it`
  const asking = others.find((name) => asksFor(project.folder, name, original))
  return asking === undefined ? undefined : `${asking} asks for it`
}

function asksFor(folder: string, name: string, original: string): boolean {
  const peers = installed(folder, name)
  return peers?.peerDependencies?.[original] !== undefined && peers.peerDependenciesMeta?.[original]?.optional !== true
}

function declares({ dependencies, devDependencies }: Manifest, name: string): boolean {
  return dependencies[name] !== undefined || devDependencies[name] !== undefined
}

/** package.json with these changes, indented as before; `undefined` if nothing changes. */
export function manifestWith(manifest: Manifest, changes: readonly DependencyChange[]): string | undefined {
  const effective = changes.filter(({ action }) => action !== 'keep')
  if (effective.length === 0) return undefined
  const parsed = JSON.parse(manifest.text) as Record<string, unknown>
  const dependencies = { ...manifest.dependencies }
  for (const { name, action, range } of effective) {
    if (action === 'add') dependencies[name] = range
    else delete dependencies[name]
  }
  parsed.dependencies = Object.fromEntries(Object.entries(dependencies).sort(([a], [b]) => (a < b ? -1 : 1)))
  const indent = /^[ \t]+(?=")/m.exec(manifest.text)?.[0] ?? 2
  return JSON.stringify(parsed, undefined, indent) + (manifest.text.endsWith('\n') ? '\n' : '')
}
