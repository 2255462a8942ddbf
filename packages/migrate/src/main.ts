#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import util from 'node:util'

const help = `gatepass-migrate: moves an application to Gatepass's drop-ins, and back

  gatepass-migrate [folder]          import the drop-ins instead of the originals
    --dry-run                        say what would change, and write nothing
    --back                           import the originals again

  gatepass-migrate doctor [folder]   look over an application and its running server
    --url <address>                  a page of the running server, to look at its cookies

  gatepass-migrate --help, gatepass-migrate --version

The folder is the application's; default the current folder.`

const usage = `write gatepass-migrate [folder] [--dry-run] [--back],
                  or gatepass-migrate doctor [folder] [--url http://localhost:3000/]`

const { version, engines, dependencies } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as { version: string; engines: { node: string }; dependencies: { gatepass: string } }

/** Returns the exit code: 0 for success, 1 if something is wrong with the application, 2 if `args` are not understood. */
async function main(args: string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) return print(help, 0)
  if (args.includes('--version')) return print(version, 0)
  const needed = engines.node.replace('>=', '')
  if (process.versions.node.localeCompare(needed, 'en', { numeric: true }) < 0)
    return fail(`it needs Node ${needed} or newer, and this is Node ${process.versions.node}. Install a newer Node.`, 1)
  const request = readRequest(args)
  if (request === undefined) return fail(usage, 2)
  // Imported after the check, because an old Node would fail on what it lacks.
  const { readProject } = await import('./project.ts')
  const { migrate } = await import('./migrate.ts')
  const { doctor } = await import('./doctor.ts')
  const project = readProject(request.folder)
  if ('mistake' in project) return fail(project.mistake, 1)
  if (request.command === 'doctor') return doctor(project, request.url)
  return migrate(project, { ...request, gatepass: `^${dependencies.gatepass}` })
}

type Request =
  | { readonly command: 'migrate'; readonly folder: string; readonly dryRun: boolean; readonly back: boolean }
  | { readonly command: 'doctor'; readonly folder: string; readonly url: URL | undefined }

function readRequest(args: string[]): Request | undefined {
  try {
    const { values, positionals } = util.parseArgs({
      args,
      allowPositionals: true,
      options: { 'dry-run': { type: 'boolean' }, back: { type: 'boolean' }, url: { type: 'string' } },
    })
    const { 'dry-run': dryRun = false, back = false } = values
    const isDoctor = positionals[0] === 'doctor'
    const [folder = '.', ...rest] = isDoctor ? positionals.slice(1) : positionals
    if (rest.length > 0 || (isDoctor ? dryRun || back : values.url !== undefined)) return undefined
    if (!isDoctor) return { command: 'migrate', folder: resolve(folder), dryRun, back }
    const url = values.url === undefined ? undefined : new URL(values.url)
    if (url !== undefined && !/^https?:$/.test(url.protocol)) return undefined
    return { command: 'doctor', folder: resolve(folder), url }
  } catch {
    return undefined
  }
}

function print(text: string, code: number): number {
  console.log(text)
  return code
}

function fail(message: string, code: number): number {
  console.error(`gatepass-migrate: ${message}`)
  return code
}

process.exitCode = await main(process.argv.slice(2))
