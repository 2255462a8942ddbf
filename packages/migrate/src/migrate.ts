import { renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import MagicString from 'magic-string'
import { doctor } from './doctor.ts'
import { mentionsDropIn, originalOf, replacementOf } from './drop-ins.ts'
import { type Finding, findingsIn } from './findings.ts'
import { type ModuleUse, moduleUses } from './modules.ts'
import { type DependencyChange, dependencyChanges, packageJsonWith } from './package-json.ts'
import { type Project, readProject, type Source } from './project.ts'
import { nodesOf } from './syntax.ts'

export interface MigrateOptions {
  /** Print what would change, and write nothing. */
  readonly dryRun: boolean
  /** Import the originals again. */
  readonly back: boolean
  /** The range of versions for package.json. */
  readonly gatepass: string
}

/** Imports the drop-ins in place of the originals, or the originals again. Prints the changes, and returns the exit code. */
export async function migrate(project: Project, { dryRun, back, gatepass }: MigrateOptions): Promise<0 | 1> {
  const { folder } = project
  const plan = planOf(project, back, gatepass)
  const code = plan.unreadable.length === 0 ? 0 : 1
  if (plan.files.length === 0 && plan.packageJson === undefined) {
    console.log(planText(plan))
    console.log(back ? 'No file imports a drop-in of Gatepass.' : 'No file imports what Gatepass could stand in for.')
    return code
  }
  console.log(`${dryRun ? 'Would change' : 'Changes'} in ${folder}\n${planText(plan)}`)
  if (!dryRun) {
    for (const { path, text } of plan.files) replaceFile(join(folder, path), text)
    if (plan.packageJson !== undefined) replaceFile(join(folder, 'package.json'), plan.packageJson)
  }
  if (dryRun || back) {
    if (plan.findings.length > 0) console.log('\nLook at these yourself')
    for (const { where, what, advice } of plan.findings) console.log(`  ${where}: ${what}\n    ${advice}`)
    console.log(dryRun ? '\nNothing was written. Leave --dry-run out to do it.' : '\nDone. Now run: npm install')
    return code
  }
  console.log('\nDone. Now run: npm install\n')
  const migrated = readProject(folder)
  if (!('mistake' in migrated)) await doctor(migrated)
  return code
}

/** All changes of a migration. */
interface Plan {
  readonly files: readonly ChangedFile[]
  readonly dependencies: readonly DependencyChange[]
  /** The new text of package.json; `undefined` if it does not change. */
  readonly packageJson: string | undefined
  /** Files that mention one of the packages and could not be parsed. */
  readonly unreadable: readonly string[]
  readonly findings: readonly Finding[]
}

/** A source file after the migration. */
interface ChangedFile extends Source {
  readonly changes: readonly { readonly line: number; readonly from: string; readonly to: string }[]
}

function planOf(project: Project, back: boolean, gatepass: string): Plan {
  const files: ChangedFile[] = []
  const findings: Finding[] = []
  const unreadable: string[] = []
  const stillUsed = new Set<string>()
  for (const source of project.sources.filter(({ text }) => mentionsDropIn(text))) {
    const nodes = nodesOf(source.path, source.text)
    if (nodes === undefined) {
      unreadable.push(source.path)
      continue
    }
    const uses = moduleUses(nodes)
    const file = changedFile(source, uses, back)
    if (file.changes.length > 0) files.push(file)
    findings.push(...findingsIn(source.path, nodes))
    for (const { specifier } of uses) {
      const used = replacementOf(specifier, back) ?? specifier
      // An import of an internal file uses the package, too.
      const [name = ''] = used.split('/')
      if (used.startsWith('gatepass/') || originalOf(name) !== undefined) stillUsed.add(name)
    }
  }
  const imported = new Set(files.flatMap(({ changes }) => changes.map(({ to }) => to)))
  const changed = new Map(files.map(({ path, text }) => [path, text]))
  const dependencies = dependencyChanges(project, { back, imported, stillUsed, unreadable, changed, gatepass })
  const packageJson = packageJsonWith(project.manifest, dependencies)
  return { files, dependencies, packageJson, unreadable, findings }
}

/** The file with other modules imported. Nothing else in it changes. */
function changedFile({ path, text }: Source, uses: readonly ModuleUse[], back: boolean): ChangedFile {
  const edited = new MagicString(text)
  const changes = uses.flatMap(({ specifier, start, end, line }) => {
    const to = replacementOf(specifier, back)
    if (to === undefined) return []
    // The quotes stay as they are.
    edited.overwrite(start + 1, end - 1, to)
    return [{ line, from: specifier, to }]
  })
  return { path, text: edited.toString(), changes }
}

const signs: Record<DependencyChange['action'], string> = { add: '+', remove: '-', keep: '=' }

function planText({ files, dependencies, unreadable }: Plan): string {
  const lines = files.flatMap(({ path, changes }) => [
    `  ${path}`,
    ...changes.map(({ line, from, to }) => `    line ${line}: ${from} → ${to}`),
  ])
  if (dependencies.length > 0) lines.push('  package.json')
  for (const { name, action, range, reason } of dependencies)
    lines.push(`    ${signs[action]} ${name} ${range}${action === 'keep' ? ' stays' : ''}: ${reason}`)
  if (unreadable.length > 0) lines.push('  Not understood, and left as they are:')
  return [...lines, ...unreadable.map((path) => `    ${path}`)].join('\n')
}

/** Writes a new file beside the old one and renames it: after a crash, either the old or the new file is there, whole. */
function replaceFile(path: string, text: string): void {
  const beside = `${path}.gatepass-new`
  writeFileSync(beside, text, { mode: statSync(path).mode })
  renameSync(beside, path)
}
