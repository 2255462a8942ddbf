import { dropIns } from './drop-ins.ts'
import { installed, type Project, whyNeeded } from './project.ts'

/** A dependency in package.json that is added, removed or kept, and why. */
export interface DependencyChange {
  readonly name: string
  readonly action: 'add' | 'remove' | 'keep'
  readonly range: string
  readonly reason: string
}

/** The sources of a project after a migration. */
interface Migrated {
  readonly back: boolean
  /** Modules that files import in place of others. */
  readonly imported: ReadonlySet<string>
  /** Packages that a file still imports. */
  readonly stillUsed: ReadonlySet<string>
  readonly unreadable: readonly string[]
  /** The new texts of the files that change. */
  readonly changed: ReadonlyMap<string, string>
  /** The range of versions of gatepass. */
  readonly gatepass: string
}

const UNUSED = 'nothing imports it any more'

export function dependencyChanges(project: Project, migrated: Migrated): DependencyChange[] {
  const { dependencies, devDependencies } = project.manifest
  const isDeclared = (name: string) => dependencies[name] !== undefined || devDependencies[name] !== undefined
  const { back, imported, changed, gatepass } = migrated
  const changes: DependencyChange[] = []
  if (back) {
    for (const { original: name, range } of dropIns)
      if (imported.has(name) && !isDeclared(name))
        changes.push({ name, action: 'add', range, reason: 'imported again' })
    if (dependencies.gatepass === undefined || changed.size === 0) return changes
    return [...changes, removedOrKept('gatepass', gatepass, whyUsed(project, ['gatepass'], migrated)('gatepass'))]
  }
  if (imported.size > 0 && !isDeclared('gatepass'))
    changes.push({ name: 'gatepass', action: 'add', range: gatepass, reason: 'imported now' })
  const originals = dropIns.map(({ original }) => original).filter((name) => dependencies[name] !== undefined)
  const used = whyUsed(project, originals, migrated)
  const removed = originals.map((name) =>
    removedOrKept(name, dependencies[name] ?? '', used(name) ?? whyAsked(project, name)),
  )
  return [...changes, ...removed]
}

function removedOrKept(name: string, range: string, reason: string | undefined): DependencyChange {
  return reason === undefined
    ? { name, action: 'remove', range, reason: UNUSED }
    : { name, action: 'keep', range, reason }
}

/** Why the application may still need each of these packages. */
function whyUsed(
  { folder }: Project,
  names: readonly string[],
  { stillUsed, unreadable, changed }: Migrated,
): (name: string) => string | undefined {
  const needed = whyNeeded(folder, names, changed)
  return (name) => {
    if (stillUsed.has(name)) return 'the application imports it in some other way'
    return unreadable.length > 0 ? 'not every file could be read' : needed.get(name)
  }
}

/** Which dependency may still need a package. */
function whyAsked({ folder, manifest }: Project, original: string): string | undefined {
  const others = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })
  const missing = others.find((name) => !name.startsWith('@types/') && installed(folder, name) === undefined)
  if (missing !== undefined) return `${missing} is not installed, so it is unknown whether that needs it`
  const asking = others.find((name) => {
    const { peerDependencies, peerDependenciesMeta } = installed(folder, name) ?? {}
    return peerDependencies?.[original] !== undefined && peerDependenciesMeta?.[original]?.optional !== true
  })
  return asking === undefined ? undefined : `${asking} asks for it`
}

/** package.json with these changes, indented as before; `undefined` if nothing changes. */
export function packageJsonWith(
  { text, dependencies }: Project['manifest'],
  changes: readonly DependencyChange[],
): string | undefined {
  const removed = new Set(changes.filter(({ action }) => action === 'remove').map(({ name }) => name))
  const added = changes.filter(({ action }) => action === 'add').map(({ name, range }) => [name, range] as const)
  if (removed.size + added.length === 0) return undefined
  const entries = [...Object.entries(dependencies).filter(([name]) => !removed.has(name)), ...added]
  const sorted = Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
  const indent = /^[ \t]+(?=")/m.exec(text)?.[0] ?? 2
  const changed = JSON.stringify({ ...JSON.parse(text), dependencies: sorted }, undefined, indent)
  return changed + (text.endsWith('\n') ? '\n' : '')
}
