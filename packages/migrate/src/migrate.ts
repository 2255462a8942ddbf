import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { doctor, showFindings } from './doctor.ts'
import type { Manifest } from './manifest.ts'
import { moduleUses } from './modules.ts'
import { installCommand, type Manager, managerOf } from './package-manager.ts'
import { type DependencyChange, type Plan, planOf, type RewrittenFile, type Versions, wayBack } from './plan.ts'
import { GENERATED, manifestOf, type Project, pathIn, readProject, textOf } from './project.ts'
import { type MigrationRecord, RECORD, readRecord, recordOf, restored, withUsualVersions } from './record.ts'
import { nodesOf } from './syntax.ts'
import { failureOf, runToEnd, type Trial } from './trial.ts'

export interface MigrateOptions extends Versions, Trial {
  /** Print what would change, and write nothing. */
  readonly dryRun: boolean
  /** Change package.json alone: every original becomes its alias. */
  readonly aliasOnly: boolean
}

/** Lets the application load the drop-ins in place of the originals. Prints the changes, and returns the exit code. */
export async function migrate(project: Project, options: MigrateOptions): Promise<0 | 1> {
  const { folder } = project
  const manager = managerOf(project)
  const plan = planOf(project, { ...options, manager })
  const code = plan.unreadable.length === 0 ? 0 : 1
  if (plan.rewritten.length === 0 && plan.files.size === 0) {
    console.log(planText(plan))
    const isUntouched = plan.dependencies.length > 0
    console.log(isUntouched ? 'Nothing to change.' : 'No file loads what Gatepass could stand in for.')
    return code
  }
  console.log(`${options.dryRun ? 'Would change' : 'Changes'} in ${folder}\n${planText(plan)}`)
  if (options.dryRun) {
    console.log('\nLook at these yourself')
    showFindings(plan.findings)
    console.log('\nNothing was written. Leave --dry-run out to do it.')
    return code
  }
  const isTried = options.test !== undefined || options.start !== undefined
  if (isTried) {
    console.log('\nTries the application as it is')
    const failure = await failureOf(folder, options)
    if (failure !== undefined) {
      console.log(`It fails already, so a trial would show nothing. Nothing was written.\n  ${failure}`)
      return 1
    }
  }
  const undo = write(project, plan, manager)
  if (!isTried) {
    console.log(`\nDone. Now run: ${installCommand(manager)}\n`)
    showFindings(plan.findings)
    return code
  }
  console.log('Tries it on the drop-ins')
  const failure = (await runToEnd(folder, installCommand(manager))) ?? (await failureOf(folder, options))
  if (failure !== undefined) {
    undo()
    await runToEnd(folder, installCommand(manager))
    console.log(`It works no longer, so every file is again as it was.\n  ${failure}`)
    return 1
  }
  console.log('Done: it works as before.\n')
  const migrated = readProject(folder)
  return 'mistake' in migrated || (await doctor(migrated)) === 1 ? 1 : code
}

/** Writes the changes and notes what was there. The function that it returns takes all of it back. */
function write(
  { folder, sources, manifests }: Project,
  { rewritten, files }: Plan,
  { lock, root }: Manager,
): () => void {
  // It may be above the application's folder.
  const lockPath = lock === undefined ? undefined : pathIn(folder, join(root, lock))
  const lockText = lockPath === undefined ? undefined : textOf(join(folder, lockPath))
  const before = new Map<string, string | null>([
    ...rewritten.map(({ path }) => [path, sources.find((source) => source.path === path)?.text ?? ''] as const),
    ...[...files.keys()].map(
      (path) => [path, manifests.find((one) => one.path === path)?.text ?? textOf(join(folder, path)) ?? null] as const,
    ),
    [RECORD, textOf(join(folder, RECORD)) ?? null],
    ...(lockPath === undefined || lockText === undefined ? [] : [[lockPath, lockText] as const]),
  ])
  const noted = [...files].filter(([path]) => path !== lockPath)
  const record: MigrationRecord = {
    files: Object.fromEntries(noted.map(([path, after]) => [path, { before: before.get(path) ?? null, after }])),
    ...(lockPath !== undefined && lockText !== undefined && { lock: { path: lockPath, before: lockText } }),
    kept: sources.filter(({ path, text }) => importsDropIn(path, text)).map(({ path }) => path),
  }
  // First the record: after a crash, `--back` knows what was there.
  replaceFile(join(folder, RECORD), `${JSON.stringify(recordOf(readRecord(folder), record), undefined, 1)}\n`)
  for (const { path, text } of rewritten) replaceFile(join(folder, path), text)
  for (const [path, text] of files) replaceFile(join(folder, path), text)
  return () => {
    for (const [path, text] of before) putBack(join(folder, path), text)
  }
}

function importsDropIn(path: string, text: string): boolean {
  if (!text.includes('gatepass/compat/')) return false
  return moduleUses(nodesOf(path, text) ?? []).some(({ specifier }) => specifier.startsWith('gatepass/compat/'))
}

/** Lets the application load the originals again, in the versions that it had. Prints the changes, and returns the exit code. */
export function goBack(project: Project, { dryRun }: Pick<MigrateOptions, 'dryRun'>): 0 | 1 {
  const { folder, manifests } = project
  const record = readRecord(folder)
  const { rewritten, unreadable } = wayBack(project, (path) => record?.kept.includes(path) !== true)
  const user = gatepassUser(project, rewritten)
  const { files, left } = record
    ? restored(project, record, user !== undefined)
    : { files: withUsualVersions(manifests, importedBy(project, rewritten), user !== undefined), left: [] }
  const code = unreadable.length === 0 ? 0 : 1
  if (rewritten.length === 0 && files.size === 0) {
    console.log('No file imports a drop-in of Gatepass.')
    return code
  }
  console.log(
    `${dryRun ? 'Would change' : 'Changes'} in ${folder}\n${planText({ rewritten, unreadable, dependencies: [] })}`,
  )
  for (const [path, text] of files) {
    const before = record?.files[path]?.before ?? record?.lock?.before
    console.log(
      `  ${path}: ${text === null ? 'removed' : text === before ? 'as it was before the migration' : 'the versions from before'}`,
    )
  }
  for (const path of left) console.log(`  ${path} has changed since: look for overrides there`)
  if (user !== undefined) console.log(`  = gatepass stays: ${user} loads it`)
  if (dryRun) {
    console.log('\nNothing was written. Leave --dry-run out to do it.')
    return code
  }
  for (const { path, text } of rewritten) replaceFile(join(folder, path), text)
  for (const [path, text] of files) putBack(join(folder, path), text)
  rmSync(join(folder, RECORD), { force: true })
  const built = project.others.some(
    (path) => GENERATED.test(path) && /['"`]gatepass\/compat\//.test(textOf(join(folder, path)) ?? ''),
  )
  console.log(`\nDone. Now run: ${installCommand(managerOf(project))}${built ? ', and build again' : ''}`)
  return code
}

/** The first file that loads gatepass after the way back. */
function gatepassUser({ sources, others, folder }: Project, rewritten: readonly RewrittenFile[]): string | undefined {
  const changed = new Map(rewritten.map(({ path, text }) => [path, text]))
  const user = sources.find(({ path, text: old }) => {
    const text = changed.get(path) ?? old
    return (
      text.includes('gatepass') &&
      moduleUses(nodesOf(path, text) ?? []).some(({ specifier }) => /^gatepass(?:\/|$)/.test(specifier))
    )
  })
  // A build names the drop-ins until it is made again.
  const naming = (path: string) =>
    GENERATED.test(path) ? /['"`]gatepass(?:\/(?!compat\/)[\w/-]+)?['"`]/ : /['"`]gatepass(?:\/[\w/-]+)?['"`]/
  return user?.path ?? others.find((path) => naming(path).test(textOf(join(folder, path)) ?? ''))
}

/** The originals that the files of each manifest import again. */
function importedBy(project: Project, rewritten: readonly RewrittenFile[]): Map<Manifest, Set<string>> {
  const imported = new Map<Manifest, Set<string>>()
  for (const { path, changes } of rewritten) {
    const manifest = manifestOf(project, path)
    for (const { to } of changes) imported.set(manifest, (imported.get(manifest) ?? new Set()).add(to))
  }
  return imported
}

const signs: Record<DependencyChange['action'], string> = {
  add: '+',
  remove: '-',
  keep: '=',
  alias: '→',
  override: '→',
}

function planText({
  rewritten,
  dependencies,
  unreadable,
}: Pick<Plan, 'rewritten' | 'dependencies' | 'unreadable'>): string {
  const lines = rewritten.flatMap(({ path, changes }) => [
    `  ${path}`,
    ...changes.map(({ line, from, to }) => `    line ${line}: ${from} → ${to}`),
  ])
  for (const path of new Set(dependencies.map(({ manifest }) => manifest))) {
    lines.push(`  ${path}`)
    for (const { name, action, spec, reason } of dependencies.filter(({ manifest }) => manifest === path))
      lines.push(
        `    ${signs[action]} ${name} ${spec}${action === 'keep' ? ' stays' : ''}${action === 'override' ? ' for all packages' : ''}: ${reason}`,
      )
  }
  if (unreadable.length > 0) lines.push('  Not understood, and left as they are:')
  return [...lines, ...unreadable.map((path) => `    ${path}`)].join('\n')
}

function putBack(path: string, text: string | null): void {
  if (text === null) rmSync(path, { force: true })
  else replaceFile(path, text)
}

/** Writes a new file beside the old one and renames it: after a crash, either the old or the new file is there, whole. */
function replaceFile(path: string, text: string): void {
  const beside = `${path}.gatepass-new`
  writeFileSync(beside, text, { mode: statSync(path, { throwIfNoEntry: false })?.mode ?? 0o644 })
  renameSync(beside, path)
}
