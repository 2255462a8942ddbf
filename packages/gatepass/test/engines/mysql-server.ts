import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from './free-port.ts'
import { until } from './until.ts'

const run = promisify(execFile)

/** A MariaDB of the test's own, on a port and in a folder of its own, so that it can be taken down. User `root`, no password. */
export interface MysqlServer {
  readonly port: number
  start(): Promise<void>
  /** As a crash does; the next start recovers from the log. */
  kill(): Promise<void>
  /** Stops it and removes its folder. */
  close(): Promise<void>
}

/** Whether there is a server to start. */
export const hasMysqlServer: boolean =
  existsSync('/usr/sbin/mariadbd') && existsSync('/usr/bin/mariadb-install-db') && process.platform === 'linux'

/** Makes a new database `test`, with MariaDB's defaults for durability, and starts the server. */
export async function startMysql(): Promise<MysqlServer> {
  const folder = mkdtempSync(join(tmpdir(), 'gatepass-mysql-'))
  const data = join(folder, 'data')
  const port = await freePort()
  // The server refuses to run as root unless it is told by name.
  const common = ['--no-defaults', `--datadir=${data}`, `--user=${userInfo().username}`]
  await run('/usr/bin/mariadb-install-db', [...common, '--auth-root-authentication-method=normal'])
  const args = [...common, `--port=${port}`, '--bind-address=127.0.0.1', `--socket=${join(folder, 'socket')}`]
  let child: ChildProcess | undefined
  const server: MysqlServer = {
    port,
    async start() {
      const starting = spawn('/usr/sbin/mariadbd', args, { stdio: 'ignore' })
      child = starting
      running.add(starting)
      starting.once('exit', () => running.delete(starting))
      await until(async () => {
        if (starting.exitCode !== null) throw new Error(`mariadbd ended with ${starting.exitCode}`)
        return listens(port)
      })
    },
    async kill() {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      child.kill('SIGKILL')
      await exit
    },
    async close() {
      await server.kill()
      rmSync(folder, { recursive: true })
    },
  }
  await server.start()
  return server
}

const running = new Set<ChildProcess>()
// Whatever ends the tests ends the servers.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  return new Promise((resolve) => {
    socket.once('data', () => resolve(true)).once('error', () => resolve(false))
  }).then((answer) => {
    socket.destroy()
    return answer === true
  })
}
