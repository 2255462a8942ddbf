import { GatepassError } from 'gatepass'
import { type Config, type ConfigProblem, readConfig } from '../config.ts'
import { openLog } from '../log.ts'
import { type RunningServer, type ServerOptions, startServer } from '../server.ts'
import { readFlags } from './arguments.ts'
import { DONE, FAILED, MISUSED, type Output } from './output.ts'

/** `gatepass dev` and `gatepass serve`: runs until it is told to stop. */
export async function start(mode: Config['mode'], args: readonly string[], output: Output): Promise<number> {
  const read = readFlags(args)
  if ('mistake' in read) {
    output.err(`gatepass: ${read.mistake}. See gatepass --help.`)
    return MISUSED
  }
  const result = readConfig({ mode, flags: read.flags, environment: process.env, folder: process.cwd() })
  if ('problems' in result) {
    output.err(problemText(result.problems))
    return FAILED
  }
  return run(result.config, output)
}

async function run(config: Config, output: Output): Promise<number> {
  const log = openLog(config)
  let server: RunningServer
  try {
    server = await startServer({
      config,
      log,
      ...(config.mode === 'dev' &&
        process.env.NODE_ENV !== 'production' && { moreProviders: pretendProviders(config) }),
    })
  } catch (error) {
    output.err(startFailure(error, config))
    return FAILED
  }
  const stopped = untilStopped(server)
  // What nobody caught leaves a state that nobody knows: it is written down, and whoever watches starts anew.
  process.once('uncaughtException', (error) => {
    log.fatal({ event: 'sys_crash', err: error })
    process.exit(FAILED)
  })
  // In production standard output is for JSON alone.
  if (config.mode === 'dev') output.out(`Gatepass listens on ${server.origin}`)
  log.info({ event: 'sys_startup', origin: server.origin, host: config.host, port: server.port, mode: config.mode })
  const reason = await stopped
  log.info({ event: 'sys_shutdown', reason })
  if (reason !== LOG_CLOSED) return DONE
  output.err('gatepass: stopped, since nobody reads its log on standard output any more')
  return FAILED
}

/** Loaded in dev alone: production knows only who is configured. */
function pretendProviders({ providers }: Config): NonNullable<ServerOptions['moreProviders']> {
  return async (place) => {
    const { startPretendProviders } = await import('../providers/pretend.ts')
    return startPretendProviders({ ...place, except: providers.map(({ name }) => name) })
  }
}

const LOG_CLOSED = 'log_closed'

/** The first signal ends it in good order, the second at once; so does a log that has nowhere to go. */
async function untilStopped(server: RunningServer): Promise<string> {
  const reason = await new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name))
    process.stdout.on('error', () => resolve(LOG_CLOSED))
  })
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => process.exit(FAILED))
  await server.stop()
  return reason
}

function problemText(problems: readonly ConfigProblem[]): string {
  const lines = problems.map(({ key, message, fix }) => `  ${key} ${message}\n    ${fix}`)
  return `gatepass: the configuration cannot be used\n${lines.join('\n')}`
}

/** SQLITE_CORRUPT and SQLITE_NOTADB. */
const DAMAGED: ReadonlySet<number> = new Set([11, 26])

function startFailure(error: unknown, { host, port, data }: Config): string {
  const { code, errcode } = error as NodeJS.ErrnoException & { errcode?: number }
  const reason = error instanceof Error ? error.message : String(error)
  if (errcode !== undefined && DAMAGED.has(errcode))
    return `gatepass: the database in ${data} is damaged: ${reason}. Restore a backup of gatepass.db.`
  switch (code) {
    case 'EADDRINUSE':
      return `gatepass: port ${port} is taken on ${host}. Stop what uses it, or choose another: --port ${port === 65_535 ? 3000 : port + 1}`
    case 'EACCES':
      return `gatepass: not allowed: ${reason}. Choose a port above 1023 and a data folder that you may write: --port 3000 --data <folder>`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `gatepass: this machine has no address ${host}. Leave --host out, or use 127.0.0.1 or 0.0.0.0.`
    default:
      return `gatepass: cannot start: ${reason} (data in ${data})${hintOf(error)}`
  }
}

function hintOf(error: unknown): string {
  return error instanceof GatepassError && error.hint !== undefined ? `\n  ${error.hint}` : ''
}
