import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from 'redis'

/** Whether there is a server to start. Continuous integration installs one: there, a missing one is a failure. */
export const hasRedis: boolean = findRedis()

function findRedis(): boolean {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' })
    return true
  } catch (error) {
    if (process.env.CI) throw error
    return false
  }
}

export interface RedisServerOptions {
  /** Default one that is free. */
  port?: number
  /** Further arguments, as on the command line. */
  args?: readonly string[]
  /** Default `server`. */
  mode?: 'server' | 'sentinel'
}

/** A server of our own on 127.0.0.1, with its files in a folder of its own. */
export class RedisServer {
  readonly port: number
  readonly folder: string
  readonly arguments: readonly string[]
  #process: ChildProcess | undefined

  constructor(port: number, folder: string, args: readonly string[]) {
    this.port = port
    this.folder = folder
    this.arguments = args
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  async start(): Promise<void> {
    const child = spawn('redis-server', [...this.arguments], { cwd: this.folder, stdio: 'ignore' })
    this.#process = child
    running.add(child)
    child.once('exit', () => running.delete(child))
    await answering(this.port, child)
  }

  pause(): void {
    this.#process?.kill('SIGSTOP')
  }

  resume(): void {
    this.#process?.kill('SIGCONT')
  }

  /** As a crash does: nothing is written any more. */
  async kill(): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }

  async stop(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

const running = new Set<ChildProcess>()
// Whatever ends the tests ends the servers.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const { port = await freePort(), args = [], mode = 'server' } = options
  const folder = mkdtempSync(join(tmpdir(), 'gatepass-redis-'))
  const common = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '']
  const server = new RedisServer(
    port,
    folder,
    mode === 'sentinel' ? sentinelArgs(folder, port, args) : [...common, ...args],
  )
  await server.start()
  return server
}

/** Sentinel rewrites its configuration, so it has to be a file. */
function sentinelArgs(folder: string, port: number, lines: readonly string[]): string[] {
  const path = join(folder, 'sentinel.conf')
  writeFileSync(path, [`port ${port}`, 'bind 127.0.0.1', `dir ${folder}`, ...lines].join('\n'))
  return [path, '--sentinel']
}

/** Three masters that share the slots. */
export async function startCluster(): Promise<{ servers: RedisServer[]; stop(): Promise<void> }> {
  const servers: RedisServer[] = []
  const stop = async () => {
    for (const server of servers) await server.stop()
  }
  try {
    for (let n = 0; n < 3; n++) servers.push(await startClusterNode())
    await joinThem(servers)
    return { servers, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startClusterNode(): Promise<RedisServer> {
  // The port of the cluster's own talk must not be the default, 10000 more than the other: that may not exist.
  const args = [
    '--cluster-enabled',
    'yes',
    '--cluster-node-timeout',
    '2000',
    '--cluster-port',
    String(await freePort()),
  ]
  return startRedis({ args })
}

async function joinThem(servers: readonly RedisServer[]): Promise<void> {
  const [first] = servers
  if (first === undefined) throw new Error('no servers')
  for (const [n, server] of servers.entries()) {
    const range = [Math.floor((n * 16384) / 3), Math.floor(((n + 1) * 16384) / 3) - 1]
    await command(server, ['CLUSTER', 'ADDSLOTSRANGE', ...range.map(String)])
    await command(server, ['CLUSTER', 'SET-CONFIG-EPOCH', String(n + 1)])
  }
  const bus = busPort(first)
  for (const server of servers.slice(1)) {
    await command(server, ['CLUSTER', 'MEET', '127.0.0.1', String(first.port), bus])
  }
  for (const server of servers) {
    await until(async () => {
      const info = String(await command(server, ['CLUSTER', 'INFO']))
      return info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3')
    })
  }
}

function busPort(server: RedisServer): string {
  const args = server.arguments
  return args[args.indexOf('--cluster-port') + 1] ?? ''
}

/** Sends one command on a connection of its own. */
export async function command(server: { readonly url: string }, args: string[]): Promise<unknown> {
  const client = createClient({ url: server.url, RESP: 2, socket: { reconnectStrategy: false } })
  client.on('error', () => {})
  await client.connect()
  try {
    return await client.sendCommand(args)
  } finally {
    client.destroy()
  }
}

/** Asks until the answer is yes; for what only an engine decides when. */
export async function until(condition: () => Promise<boolean>, seconds = 30): Promise<void> {
  const end = performance.now() + seconds * 1000
  while (!(await condition())) {
    if (performance.now() > end) throw new Error('it has not happened in time')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function answering(port: number, child: ChildProcess): Promise<void> {
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`)
    return command({ url: `redis://127.0.0.1:${port}` }, ['PING']).then(
      () => true,
      () => false,
    )
  })
}
