import { GatepassError } from 'gatepass'
import { openLog } from '../operation/log.ts'
import { type RunningServer, type ServerOptions, startServer } from '../server.ts'
import { type Config, type ConfigProblem, readConfig } from '../settings/config.ts'
import { isLoopbackAddress } from '../settings/origin.ts'
import { readFlags } from './arguments.ts'
import { DONE, FAILED, fail, MISUSED } from './exit.ts'

/**
 * `gatepass dev` and `gatepass serve` run until they are told to stop.
 *
 * @param parent the process that started this one
 */
export async function start(mode: Config['mode'], args: readonly string[], parent: number): Promise<number> {
  const read = readFlags(args)
  if ('mistake' in read) return fail(`${read.mistake}. See gatepass --help.`, MISUSED)
  const result = readConfig({ mode, flags: read.flags, environment: process.env, folder: process.cwd() })
  if ('problems' in result) return failConfig(result.problems)
  const { config } = result
  const log = openLog(config)
  const pretend = mode === 'dev' && process.env.NODE_ENV !== 'production'
  let server: RunningServer
  try {
    server = await startServer({ config, log, ...(pretend && { moreProviders: pretendProviders(config) }) })
  } catch (error) {
    return fail(startFailure(error, config))
  }
  const stopped = untilStopped(server, parent)
  // The state after an uncaught error is unknown. The error is logged, and a supervisor restarts the server.
  process.once('uncaughtException', (error) => {
    log.fatal({ event: 'sys_crash', err: error })
    process.exit(FAILED)
  })
  // In production standard output is only for JSON.
  if (mode === 'dev') console.log(`Gatepass listens on ${server.origin}`)
  if (server.origin.startsWith('http:') && !isLoopbackAddress(config.host)) {
    const message = 'Other machines reach this server over plain http: publish its port only on this machine'
    log.warn({ event: 'sys_plain_http', host: config.host, message })
  }
  log.info({ event: 'sys_startup', origin: server.origin, host: config.host, port: server.port, mode })
  const reason = await stopped
  log.info({ event: 'sys_shutdown', reason })
  return reason === LOG_CLOSED ? fail('stopped, since standard output, where its log goes, was closed') : DONE
}

/** Prints what is wrong with the configuration, and returns the exit code. */
export function failConfig(problems: readonly ConfigProblem[]): number {
  const lines = problems.map(({ key, message, fix }) => `  ${key} ${message}\n    ${fix}`)
  return fail(`the configuration cannot be used\n${lines.join('\n')}`)
}

/** Loaded only in dev: production has only the configured providers. */
function pretendProviders({ providers }: Config): NonNullable<ServerOptions['moreProviders']> {
  return async (place) => {
    const { startPretendProviders } = await import('../providers/pretend.ts')
    return startPretendProviders({ ...place, except: providers.map(({ name }) => name) })
  }
}

const LOG_CLOSED = 'log_closed'

/** SIGHUP: the terminal was closed. There is no configuration to read again. */
const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/** Milliseconds. The terminal sends Ctrl+C to the server and to npm, and npm passes it on: both count as one signal. */
const SAME_SIGNAL = 500

/** The first signal ends the server in good order, a later one at once. The end of npm and a closed log also stop it. */
async function untilStopped(server: RunningServer, parent: number): Promise<string> {
  let toldAt: number | undefined
  const reason = await new Promise<string>((resolve) => {
    const stop = (why: string): void => {
      toldAt ??= performance.now()
      resolve(why)
    }
    for (const name of STOP_SIGNALS) {
      process.on(name, () => {
        if (toldAt !== undefined && performance.now() - toldAt > SAME_SIGNAL) process.exit(FAILED)
        stop(name)
      })
    }
    process.stdout.on('error', () => stop(LOG_CLOSED))
    if (process.env.npm_lifecycle_event !== undefined) whenEnded(parent, () => stop('parent_ended'))
  })
  await server.stop()
  return reason
}

/**
 * npm and npx start a program through a shell, and send signals only to the shell. If the shell dies of it, the signal is
 * not passed on, so the end of the shell counts as the signal.
 */
function whenEnded(parent: number, done: () => void): void {
  const timer = setInterval(() => {
    if (process.ppid === parent && isRunning(parent)) return
    clearInterval(timer)
    done()
  }, 250)
  timer.unref()
}

/** On Windows `ppid` does not change when the parent ends. */
function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function startFailure(error: unknown, { host, port, data }: Config): string {
  const { code } = error as NodeJS.ErrnoException
  switch (code) {
    case 'EADDRINUSE':
      return `port ${port} is taken on ${host}. Stop what uses it, or choose another: --port ${port === 65_535 ? 3000 : port + 1}`
    case 'EACCES':
      return `not allowed: ${messageOf(error)}. Choose a port above 1023 and a data folder that you may write: --port 3000 --data <folder>`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `this machine has no address ${host}. Leave --host out, or use 127.0.0.1 or 0.0.0.0.`
    default:
      return dataFailure(error, data)
  }
}

/** Why the data folder or the database in it cannot be used. */
export function dataFailure(error: unknown, data: string): string {
  switch (causeIn(error)) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case SQLITE.readonly:
      return `not allowed to write in ${data}: ${messageOf(error)}. Give the folder to the user that runs the server, or choose another: --data <folder>`
    case 'EEXIST':
    case 'ENOTDIR':
      return `${data} is not a folder, or one of the folders above it is a file. Choose another: --data <folder>`
    case 'ENOSPC':
    case 'EDQUOT':
    case SQLITE.full:
      return `there is no room on the disk of ${data}. Make room, and start again.`
    case SQLITE.ioError:
      return `the disk of ${data} is full or failing: ${messageOf(error)}. Free some space or repair the disk, then start again.`
    case SQLITE.busy:
    case SQLITE.locked:
      return `another program holds the database in ${data}. End it, or wait until it is done, and start again.`
    case SQLITE.corrupt:
    case SQLITE.notADatabase:
      return `the database in ${data} is damaged: ${messageOf(error)}. Restore a backup of gatepass.db.`
    default:
      return `cannot start: ${messageOf(error)} (data in ${data})${hintOf(error)}`
  }
}

/** Primary result codes (https://sqlite.org/rescode.html). Higher bits give details. */
const SQLITE = { busy: 5, locked: 6, readonly: 8, ioError: 10, corrupt: 11, full: 13, notADatabase: 26 } as const

/** The code of the operating system or of SQLite. A store keeps it as the cause of its own error. */
function causeIn(error: unknown): string | number | undefined {
  if (!(error instanceof Error)) return undefined
  if (error instanceof GatepassError) return causeIn(error.cause)
  if ('errcode' in error && typeof error.errcode === 'number') return error.errcode & 0xff
  return (error as NodeJS.ErrnoException).code
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function hintOf(error: unknown): string {
  return error instanceof GatepassError && error.hint !== undefined ? `\n  ${error.hint}` : ''
}
