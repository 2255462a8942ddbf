import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type Plan, planFor } from '../migrate/plan.ts'
import { readProject } from '../migrate/project.ts'
import { findingsText, planText } from '../migrate/report.ts'
import { doctor } from './doctor.ts'
import { DONE, FAILED, MISUSED, type Output } from './output.ts'

/** `gatepass migrate [folder]`: imports the drop-ins instead of the originals, or with `--back` the originals again. */
export async function migrate(args: readonly string[], output: Output): Promise<number> {
  const request = readRequest(args)
  if (request === undefined) {
    output.err('gatepass: write gatepass migrate [folder] [--dry-run] [--back]')
    return MISUSED
  }
  const { folder, dryRun, back } = request
  const project = readProject(folder)
  if ('mistake' in project) {
    output.err(`gatepass: ${project.mistake}`)
    return FAILED
  }
  const plan = planFor(project, back ? 'back' : 'forward', gatepassRange())
  if (plan.files.length === 0 && plan.manifest === undefined) {
    output.out(planText(plan))
    output.out(back ? 'No file imports a drop-in of Gatepass.' : 'No file imports what Gatepass could stand in for.')
    return plan.unreadable.length === 0 ? DONE : FAILED
  }
  output.out(`${dryRun ? 'Would change' : 'Changes'} in ${folder}\n${planText(plan)}`)
  if (!dryRun) carryOut(folder, plan)
  if (dryRun || back) {
    tellFindings(plan, output)
    output.out(dryRun ? '\nNothing was written. Leave --dry-run out to do it.' : '\nDone. Now run: npm install')
    return plan.unreadable.length === 0 ? DONE : FAILED
  }
  output.out('\nDone. Now run: npm install\n')
  await doctor([folder], output)
  return plan.unreadable.length === 0 ? DONE : FAILED
}

function tellFindings({ findings }: Plan, output: Output): void {
  if (findings.length > 0) output.out(`\nLook at these yourself\n${findingsText(findings)}`)
}

/** Each file is replaced as a whole, so that whatever stops us leaves no half of one. */
function carryOut(folder: string, { files, manifest }: Plan): void {
  for (const { path, text } of files) replaceFile(join(folder, path), text)
  if (manifest !== undefined) replaceFile(join(folder, 'package.json'), manifest)
}

function replaceFile(path: string, text: string): void {
  const beside = `${path}.gatepass-new`
  writeFileSync(beside, text, { mode: statSync(path).mode })
  renameSync(beside, path)
}

/** The library that this server was made with. */
function gatepassRange(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    dependencies: { gatepass: string }
  }
  return `^${manifest.dependencies.gatepass}`
}

function readRequest(args: readonly string[]): { folder: string; dryRun: boolean; back: boolean } | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { 'dry-run': { type: 'boolean' }, back: { type: 'boolean' } },
    })
    if (positionals.length > 1) return undefined
    return { folder: resolve(positionals[0] ?? '.'), dryRun: values['dry-run'] === true, back: values.back === true }
  } catch {
    return undefined
  }
}
