import { join } from 'node:path'
import type { Node } from '@babel/types'
import MagicString from 'magic-string'
import { type DropIn, dropInFor, dropIns, isAliasSpec, isMissingFile, mentionsDropIn } from './drop-ins.ts'
import { type Finding, findingsIn, remark } from './findings.ts'
import { type Installed, type Loader, readInstalled } from './installed.ts'
import { declaration, editedJson, type JsonEdit, type Manifest, type Section } from './manifest.ts'
import { type Mention, mentionInPath, mentionsInManifest, mentionsInSource, mentionsInText } from './mentions.ts'
import { type ModuleUse, moduleUses } from './modules.ts'
import { type Manager, overrideIn, withoutLocked } from './package-manager.ts'
import { manifestOf, manifestsAbove, type Project, pathIn, type Source, textOf } from './project.ts'
import { nodesOf } from './syntax.ts'
import { typesReason } from './tool-chain.ts'

/** Where the drop-ins come from. */
export interface Versions {
  /** The range of versions of gatepass. */
  readonly gatepass: string
  /** A clone of Gatepass to install from; `undefined` for the registry. */
  readonly clone: string | undefined
}

/** All changes of a migration. Nothing is written yet. */
export interface Plan {
  readonly rewritten: readonly RewrittenFile[]
  readonly dependencies: readonly DependencyChange[]
  /** The new texts of files that are not sources, by path. */
  readonly files: ReadonlyMap<string, string>
  /** Files that mention one of the packages and could not be parsed. */
  readonly unreadable: readonly string[]
  readonly findings: readonly Finding[]
}

/** A source file after the migration. */
export interface RewrittenFile extends Source {
  readonly changes: readonly { readonly line: number; readonly from: string; readonly to: string }[]
}

/** A line about one dependency: what is done with it, and why. */
export interface DependencyChange {
  readonly manifest: string
  readonly action: 'add' | 'remove' | 'alias' | 'override' | 'keep'
  readonly name: string
  readonly spec: string
  readonly reason: string
}

/** How one original is treated in the whole application. */
interface Treatment {
  readonly dropIn: DropIn
  /** Whether sources import the drop-in instead. */
  readonly rewrite: boolean
  /** What stands in the manifests that install the original. */
  readonly dependency: 'untouched' | 'removed' | 'alias'
  readonly reason: string
  /** Which installed package brings an original of its own that has to be ours. */
  readonly override: string | undefined
}

/** A source that mentions an original, parsed. */
interface Parsed extends Source {
  readonly nodes: readonly Node[]
  readonly uses: readonly ModuleUse[]
}

/** What to change so that the application loads the drop-ins. With `aliasOnly`, package.json alone. */
export function planOf(
  project: Project,
  options: Versions & { readonly aliasOnly: boolean; readonly manager: Manager },
): Plan {
  const { parsed, unreadable } = parse(project)
  const installed = readInstalled(project)
  const mentions = mentionsOf(project, parsed, unreadable)
  const treatments = dropIns.flatMap(
    (dropIn) => treatmentOf(dropIn, { project, parsed, mentions, installed, ...options }) ?? [],
  )
  const replaced = new Map(
    treatments.filter(({ rewrite }) => rewrite).map(({ dropIn }) => [dropIn.original, dropIn.entry]),
  )
  const rewritten = parsed.map((file) => rewrite(file, replaced)).filter(({ changes }) => changes.length > 0)
  const changes = dependencyChanges(project, { treatments, rewritten, ...options })
  const findings = parsed.flatMap(({ path, nodes }) => findingsIn(path, nodes))
  return { rewritten, ...changes, unreadable, findings: [...findings, ...changes.findings] }
}

/** What to change so that the sources import the originals again. */
export function wayBack(project: Project, isOurs: (path: string) => boolean): Pick<Plan, 'rewritten' | 'unreadable'> {
  const { parsed, unreadable } = parse(project)
  const originals = new Map(dropIns.map(({ original, entry }) => [entry, original]))
  const rewritten = parsed.filter(({ path }) => isOurs(path)).map((file) => rewrite(file, originals))
  return { rewritten: rewritten.filter(({ changes }) => changes.length > 0), unreadable }
}

function parse({ sources }: Project): { parsed: Parsed[]; unreadable: string[] } {
  const parsed: Parsed[] = []
  const unreadable: string[] = []
  for (const source of sources.filter(({ text }) => mentionsDropIn(text))) {
    const nodes = nodesOf(source.path, source.text)
    if (nodes === undefined) unreadable.push(source.path)
    else parsed.push({ ...source, nodes, uses: moduleUses(nodes) })
  }
  return { parsed, unreadable }
}

function mentionsOf(
  { folder, manifests, sources, others }: Project,
  parsed: readonly Parsed[],
  unreadable: readonly string[],
): Mention[] {
  const unread = sources.filter(({ path }) => unreadable.includes(path))
  return [
    ...manifests.flatMap(mentionsInManifest),
    ...sources.flatMap(({ path }) => mentionInPath(path) ?? []),
    ...parsed.flatMap(({ path, nodes }) => mentionsInSource(path, nodes)),
    ...unread.flatMap(({ path, text }) => mentionsInText(path, text)),
    ...others.flatMap((path) => {
      const text = textOf(join(folder, path))
      if (text !== undefined) return mentionsInText(path, text)
      return dropIns.map(({ original }) => ({ original, kind: 'load', where: `${path} (cannot be read)` }) as const)
    }),
  ]
}

interface Evidence {
  readonly project: Project
  readonly parsed: readonly Parsed[]
  readonly mentions: readonly Mention[]
  readonly installed: Installed
  readonly aliasOnly: boolean
}

/** What happens to one original; `undefined` if the application has nothing to do with it. */
function treatmentOf(
  dropIn: DropIn,
  { project, parsed, mentions, installed, aliasOnly }: Evidence,
): Treatment | undefined {
  const { original, entry, stateful } = dropIn
  const declaring = project.manifests.filter((manifest) => declaration(manifest, original) !== undefined)
  const using = parsed.filter(({ uses }) => uses.some(({ specifier }) => specifier === original))
  const internal = parsed.filter(({ uses }) =>
    uses.some(({ specifier }) => dropInFor(specifier) === dropIn && specifier !== original),
  )
  const usingDropIn = parsed.some(({ uses }) => uses.some(({ specifier }) => specifier === entry))
  const loaders = installed.loaders.filter((loader) => loader.original === original)
  const taking = loaders.find(({ brings, gets }) => !brings && (gets !== undefined || declaring.length > 0))
  const bringing = loaders.find(({ brings }) => brings)
  const override = stateful ? bringing?.file : undefined
  const isOurs = usingDropIn || using.length > 0 || internal.length > 0
  const named = mentions.find((mention) => mention.original === original && mention.kind === 'name')
  const loaded = mentions.find((mention) => mention.original === original)
  const treated = { dropIn, rewrite: false, dependency: 'alias', override } as const
  const unfit = whyUnfit(dropIn, declaring, internal, loaders)
  if (unfit !== undefined && (isOurs || declaring.length > 0))
    return { ...treated, dependency: 'untouched', override: undefined, reason: unfit }
  if (!isOurs && (declaring.length === 0 || (!aliasOnly && taking === undefined))) return undefined
  if (aliasOnly) return { ...treated, reason: 'loads the drop-in under this name' }
  if (!isOurs) return { ...treated, reason: `${taking?.file} loads it` }
  const keepsName =
    using.length > 0 ? (whyNamed(project, using, dropIn) ?? (named && `${named.where} names it`)) : undefined
  if (keepsName !== undefined) return { ...treated, reason: `${keepsName}, so the sources keep the name` }
  const rewritten = { ...treated, rewrite: true }
  if (loaded !== undefined) return { ...rewritten, reason: `${loaded.where} names it` }
  if (internal[0] !== undefined) return { ...rewritten, reason: `${internal[0].path} loads an internal file of it` }
  if (taking !== undefined) return { ...rewritten, reason: `${taking.file} loads it` }
  if (override !== undefined) return { ...rewritten, reason: `${override} loads it` }
  if (installed.missing !== undefined)
    return { ...rewritten, reason: `${installed.missing} is not installed, so it is unknown whether that loads it` }
  return { ...rewritten, dependency: 'removed', reason: 'nothing loads it any more' }
}

/** Why neither the drop-in nor its alias can stand in for an original here. */
function whyUnfit(
  { original }: DropIn,
  declaring: readonly Manifest[],
  internal: readonly Parsed[],
  loaders: readonly Loader[],
): string | undefined {
  for (const manifest of declaring) {
    const { spec = '' } = declaration(manifest, original) ?? {}
    const isFork = /[:/]/.test(spec) && !/^(?:catalog:|npm:[\^~\d])/.test(spec) && !isAliasSpec(spec, original)
    if (isFork) return `it is a package of your own choice (${manifest.path})`
  }
  const loads = [
    ...internal.flatMap(({ path, uses }) => uses.map(({ specifier }) => ({ file: path, specifier }))),
    ...loaders.filter(({ brings }) => !brings),
  ]
  const lacking = loads.find(({ specifier }) => dropInFor(specifier)?.original === original && isMissingFile(specifier))
  return lacking && `${lacking.file} loads ${lacking.specifier}, which the drop-in does not have`
}

/** Why sources that use an original cannot import the drop-in under another name. */
function whyNamed(project: Project, using: readonly Parsed[], { original }: DropIn): string | undefined {
  for (const { path } of using) {
    const { json, path: manifest } = manifestOf(project, path)
    if (json.peerDependencies?.[original] !== undefined) return `${manifest} has it as a peer`
    const reason = typesReason(project, path)
    if (reason !== undefined) return reason
  }
  return undefined
}

/** The file with other modules imported. Nothing else in it changes. */
function rewrite({ path, text, uses }: Parsed, replacements: ReadonlyMap<string, string>): RewrittenFile {
  const edited = new MagicString(text)
  const changes = uses.flatMap(({ specifier, start, end, line }) => {
    const to = replacements.get(specifier)
    if (to === undefined) return []
    // The quotes stay as they are.
    edited.overwrite(start + 1, end - 1, to)
    return [{ line, from: specifier, to }]
  })
  return { path, text: edited.toString(), changes }
}

interface Treated extends Versions {
  readonly treatments: readonly Treatment[]
  readonly rewritten: readonly RewrittenFile[]
  readonly aliasOnly: boolean
  readonly manager: Manager
}

function dependencyChanges(project: Project, treated: Treated): Pick<Plan, 'dependencies' | 'files' | 'findings'> {
  const { manifests } = project
  const findings: Finding[] = []
  const { treatments, rewritten, manager } = treated
  const dependencies: DependencyChange[] = []
  const edits = new Map<Manifest, JsonEdit[]>(manifests.map((manifest) => [manifest, []]))
  const set = (manifest: Manifest, section: Section, change: Omit<DependencyChange, 'manifest'>): void => {
    const value = change.action === 'remove' ? undefined : change.spec
    edits.get(manifest)?.push({ path: [section, change.name], value })
    dependencies.push({ manifest: manifest.path, ...change })
  }
  for (const [manifest, section] of manifestsFor(project, rewritten))
    set(manifest, section, {
      action: 'add',
      name: 'gatepass',
      spec: gatepassSpec(project, manifest, treated),
      reason: 'imported now',
    })
  for (const treatment of treatments) {
    const { dropIn, dependency, reason } = treatment
    const { original: name } = dropIn
    const declaring = manifests.flatMap((manifest) => {
      const declared = declaration(manifest, name)
      return declared === undefined ? [] : [{ manifest, ...declared }]
    })
    for (const { manifest, section, spec } of declaring) {
      const alias = aliasSpec(project, manifest, dropIn, treated)
      if (dependency === 'untouched') dependencies.push({ manifest: manifest.path, action: 'keep', name, spec, reason })
      else if (dependency === 'removed') set(manifest, section, { action: 'remove', name, spec, reason })
      else if (!isAliasSpec(spec, name)) set(manifest, section, { action: 'alias', name, spec: alias, reason })
    }
    // No package.json has the name by which it is still loaded: another dependency has brought it.
    const undeclared = declaring.length === 0 && dependency === 'alias' && (!treatment.rewrite || dropIn.stateful)
    if (undeclared)
      set(manifests[0], 'dependencies', {
        action: 'alias',
        name,
        spec: aliasSpec(project, manifests[0], dropIn, treated),
        reason,
      })
  }
  const files = new Map<string, string>()
  for (const [manifest, list] of edits) if (list.length > 0) files.set(manifest.path, editedJson(manifest.text, list))
  const overrides = treatments.filter(({ override }) => override !== undefined)
  if (manager.root !== project.folder && overrides.length > 0) {
    // Only the manifest beside the lock file may say this, and that is another project's.
    const path = pathIn(project.folder, join(manager.root, 'package.json'))
    for (const { dropIn, override = '' } of overrides) {
      const what = `${override} loads a ${dropIn.original} of its own`
      const advice = `Add there an override of ${dropIn.original} by ${aliasSpec(project, manifests[0], dropIn, treated)}.`
      findings.push(remark(path, what, advice))
    }
    return { dependencies, files, findings }
  }
  const root = files.get('package.json') ?? manifests[0].text
  for (const { dropIn, override = '' } of overrides) {
    const spec = aliasSpec(project, manifests[0], dropIn, treated)
    const edited = overrideIn(project, manager, {
      name: dropIn.original,
      spec,
      manifest: files.get('package.json') ?? root,
      files,
    })
    if (edited === undefined) continue
    files.set(edited.path, edited.text)
    dependencies.push({
      manifest: edited.path,
      action: 'override',
      name: dropIn.original,
      spec,
      reason: `${override} loads its own`,
    })
  }
  const locked = withoutLocked(
    project,
    manager,
    overrides.map(({ dropIn }) => dropIn.original),
  )
  if (locked !== undefined && dependencies.length > 0) files.set(locked.path, locked.text)
  return { dependencies, files, findings }
}

/** The manifests that need gatepass and lack it: for each rewritten file, the one that installs what it imported before. */
function manifestsFor({ manifests }: Project, rewritten: readonly RewrittenFile[]): Map<Manifest, Section> {
  const needing = new Map<Manifest, Section>()
  for (const { path, changes } of rewritten) {
    const above = manifestsAbove(manifests, path)
    for (const { from } of changes) {
      const home = above.find((manifest) => declaration(manifest, from) !== undefined) ?? above[0]
      if (home === undefined || declaration(home, 'gatepass') !== undefined) continue
      const section = declaration(home, from)?.section ?? 'dependencies'
      needing.set(home, needing.get(home) === 'dependencies' ? 'dependencies' : section)
    }
  }
  return needing
}

function gatepassSpec({ folder }: Project, manifest: Manifest, { clone, gatepass, manager }: Treated): string {
  return clone === undefined
    ? gatepass
    : linkTo(join(folder, manifest.folder), join(clone, 'packages/gatepass'), manager)
}

function aliasSpec(
  { folder }: Project,
  manifest: Manifest,
  { original, alias, aliasRange }: DropIn,
  { clone, manager }: Treated,
): string {
  if (clone === undefined) return `npm:${alias}@${aliasRange}`
  return linkTo(join(folder, manifest.folder), join(clone, 'packages/aliases', original), manager)
}

/** npm links what `file:` names; the others copy it, and link what `link:` names. */
function linkTo(from: string, folder: string, { name }: Manager): string {
  return `${name === 'npm' ? 'file' : 'link'}:${pathIn(from, folder)}`
}
