import { renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { doctor } from './doctor.ts'
import { planFor } from './plan.ts'
import { type Project, readProject } from './project.ts'
import { findingsText, planText } from './report.ts'

export interface MigrateOptions {
  readonly dryRun: boolean
  /** Import the originals again. */
  readonly back: boolean
  /** The range of versions that package.json is to ask for. */
  readonly gatepass: string
}

/** Imports the drop-ins instead of the originals, or the originals again; prints what changes, and returns the exit code. */
export async function migrate(project: Project, { dryRun, back, gatepass }: MigrateOptions): Promise<0 | 1> {
  const { folder } = project
  const plan = planFor(project, back ? 'back' : 'forward', gatepass)
  const code = plan.unreadable.length === 0 ? 0 : 1
  if (plan.files.length === 0 && plan.manifest === undefined) {
    console.log(planText(plan))
    console.log(back ? 'No file imports a drop-in of Gatepass.' : 'No file imports what Gatepass could stand in for.')
    return code
  }
  console.log(`${dryRun ? 'Would change' : 'Changes'} in ${folder}\n${planText(plan)}`)
  if (!dryRun) {
    for (const { path, text } of plan.files) replaceFile(join(folder, path), text)
    if (plan.manifest !== undefined) replaceFile(join(folder, 'package.json'), plan.manifest)
  }
  if (dryRun || back) {
    if (plan.findings.length > 0) console.log(`\nLook at these yourself\n${findingsText(plan.findings)}`)
    console.log(dryRun ? '\nNothing was written. Leave --dry-run out to do it.' : '\nDone. Now run: npm install')
    return code
  }
  console.log('\nDone. Now run: npm install\n')
  const migrated = readProject(folder)
  if (!('mistake' in migrated)) await doctor(migrated)
  return code
}

/** Writes a new file beside the old one and renames it: a crash leaves the old file or the new one, and no half. */
function replaceFile(path: string, text: string): void {
  const beside = `${path}.gatepass-new`
  writeFileSync(beside, text, { mode: statSync(path).mode })
  renameSync(beside, path)
}
