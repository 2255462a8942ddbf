import { execFile } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from './free-port.ts'

const run = promisify(execFile)

/** A PostgreSQL that a test can stop, on its own port and in its own folder. */
export interface PostgresServer {
  readonly port: number
  start(): Promise<void>
  /** `fast` ends connections and writes everything down; `immediate` is a crash, and the next start recovers from the log. */
  stop(mode: 'fast' | 'immediate'): Promise<void>
  /** Stops it and removes its folder. */
  close(): Promise<void>
}

/** Where PostgreSQL's programs are; undefined if it is not installed. */
export const postgresPrograms: string | undefined = globSync('/usr/lib/postgresql/*/bin')
  .filter((folder) => existsSync(join(folder, 'initdb')))
  .sort()
  .at(-1)

/** Makes a new cluster, with PostgreSQL's defaults for durability, and starts it. */
export async function startPostgres(): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), 'gatepass-postgres-'))
  const data = join(folder, 'data')
  const port = await freePort()
  if (asRoot) await run('chown', ['postgres', folder])
  await program('initdb', ['-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync', '-E', 'UTF8', '--no-locale'])
  writeFileSync(join(data, 'postgresql.auto.conf'), settings(port, folder))
  const server: PostgresServer = {
    port,
    start: () => program('pg_ctl', ['-D', data, '-l', join(folder, 'log'), '-w', 'start']),
    stop: (mode) => program('pg_ctl', ['-D', data, '-m', mode, '-w', 'stop']),
    async close() {
      if (existsSync(join(data, 'postmaster.pid'))) await server.stop('immediate')
      rmSync(folder, { recursive: true })
    },
  }
  await server.start()
  return server
}

function settings(port: number, folder: string): string {
  return `port = ${port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '${folder}'\nmax_connections = 60\n`
}

const asRoot = process.getuid?.() === 0

/** PostgreSQL refuses to run as root. */
async function program(name: string, args: readonly string[]): Promise<void> {
  const path = join(postgresPrograms ?? '', name)
  const [command, all] = asRoot ? ['runuser', ['-u', 'postgres', '--', path, ...args]] : [path, [...args]]
  // The server inherits the pipes of pg_ctl and does not close them, so this waits for the exit only.
  const child = execFile(command, all, { cwd: '/' })
  const code = await new Promise<number | null>((resolve) => child.once('exit', resolve))
  child.stdout?.destroy()
  child.stderr?.destroy()
  if (code !== 0) throw new Error(`${name} ended with ${code}`)
}
