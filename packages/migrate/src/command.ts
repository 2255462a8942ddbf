import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import util from 'node:util'
import { doctor } from './doctor.ts'
import { goBack, type MigrateOptions, migrate } from './migrate.ts'
import { readProject } from './project.ts'

const help = `gatepass-migrate: moves an application to Gatepass's drop-ins, and back

  gatepass-migrate [folder]          import the drop-ins instead of the originals
    --alias                          change package.json alone: install the drop-ins under the originals' names
    --dry-run                        say what would change, and write nothing
    --test <command>                 run this before and after, and take all back if it fails: 'npm test'
    --start <command>                start the application before and after, likewise: 'npm start'
    --url <address>                  a page that the started application answers
    --from <folder>                  install from this clone of Gatepass instead of the registry
    --back                           load the originals again, in the versions that you had

  gatepass-migrate doctor [folder]   look over an application and its running server
    --url <address>                  a page of the running server, to look at its cookies

  gatepass-migrate --help, gatepass-migrate --version

The folder is the application's; default the current folder.`

const usage = `write gatepass-migrate [folder] [--alias] [--dry-run] [--test 'npm test'] [--start 'npm start' [--url http://localhost:3000/]],
                  gatepass-migrate [folder] --back [--dry-run],
                  or gatepass-migrate doctor [folder] [--url http://localhost:3000/]`

const { version, dependencies } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string
  dependencies: { gatepass: string }
}

/**
 * Does what the arguments ask for, and prints it. Returns the exit code: 0 for success, 1 if something is wrong with the
 * application, 2 if `args` are not understood.
 */
export async function command(args: string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) return print(help, 0)
  if (args.includes('--version')) return print(version, 0)
  const request = readRequest(args)
  if (request === undefined) return fail(usage, 2)
  const project = readProject(request.folder)
  if ('mistake' in project) return fail(project.mistake, 1)
  if (request.command === 'doctor') return doctor(project, request.url)
  if (request.command === 'back') return goBack(project, request)
  return migrate(project, { ...request, gatepass: `^${dependencies.gatepass}` })
}

type Request =
  | ({ readonly command: 'migrate' } & Common & Omit<MigrateOptions, 'gatepass'>)
  | ({ readonly command: 'back' } & Common & Pick<MigrateOptions, 'dryRun'>)
  | ({ readonly command: 'doctor' } & Common & Pick<MigrateOptions, 'url'>)

interface Common {
  readonly folder: string
}

const options = {
  alias: { type: 'boolean' },
  back: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  from: { type: 'string' },
  start: { type: 'string' },
  test: { type: 'string' },
  url: { type: 'string' },
} as const

function readRequest(args: string[]): Request | undefined {
  try {
    const { values, positionals } = util.parseArgs({ args, allowPositionals: true, options })
    const isDoctor = positionals[0] === 'doctor'
    const [folder = '.', ...rest] = isDoctor ? positionals.slice(1) : positionals
    const url = values.url === undefined ? undefined : new URL(values.url)
    if (rest.length > 0 || (url !== undefined && !/^https?:$/.test(url.protocol))) return undefined
    const common = { folder: resolve(folder) }
    const given = Object.keys(values)
    const only = (...names: string[]): boolean => given.every((name) => names.includes(name))
    if (isDoctor) return only('url') ? { command: 'doctor', ...common, url } : undefined
    const { back, alias: aliasOnly = false, 'dry-run': dryRun = false, from, start, test } = values
    if (back) return only('back', 'dry-run') ? { command: 'back', ...common, dryRun } : undefined
    if (url !== undefined && start === undefined) return undefined
    const clone = from === undefined ? undefined : resolve(from)
    return { command: 'migrate', ...common, dryRun, aliasOnly, clone, start, test, url }
  } catch {
    return undefined
  }
}

function print(text: string, code: number): number {
  console.log(text)
  return code
}

/** Prints an error and returns the exit code. */
function fail(message: string, code: number): number {
  console.error(`gatepass-migrate: ${message}`)
  return code
}
