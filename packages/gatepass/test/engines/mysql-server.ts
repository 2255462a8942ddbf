import { type ChildProcess, execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { killChild, startChild } from './child.ts'
import { freePort } from './free-port.ts'
import { until } from './until.ts'

const run = promisify(execFile)

/** A MariaDB that a test can stop, on its own port and in its own folder. User `root`, no password. */
export interface MysqlServer {
  readonly port: number
  start(): Promise<void>
  /** Ends it like a crash. The next start recovers from the log. */
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
  // The server refuses to run as root without this option.
  const common = ['--no-defaults', `--datadir=${data}`, `--user=${userInfo().username}`]
  await run('/usr/bin/mariadb-install-db', [...common, '--auth-root-authentication-method=normal'])
  const args = [...common, `--port=${port}`, '--bind-address=127.0.0.1', `--socket=${join(folder, 'socket')}`]
  let child: ChildProcess | undefined
  const server: MysqlServer = {
    port,
    async start() {
      const starting = startChild('/usr/sbin/mariadbd', args, folder)
      child = starting
      await until(async () => {
        if (starting.exitCode !== null) throw new Error(`mariadbd ended with ${starting.exitCode}`)
        return listens(port)
      })
    },
    kill: () => killChild(child),
    async close() {
      await server.kill()
      rmSync(folder, { recursive: true })
    },
  }
  await server.start()
  return server
}

function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  return new Promise((resolve) => {
    socket.once('data', () => resolve(true)).once('error', () => resolve(false))
  }).then((answer) => {
    socket.destroy()
    return answer === true
  })
}
