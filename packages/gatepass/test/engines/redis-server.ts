import { type ChildProcess, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from 'redis'
import { killChild, startChild } from './child.ts'
import { freePort } from './free-port.ts'
import { until } from './until.ts'

/** The program that all these tests start: `GATEPASS_REDIS_SERVER=valkey-server` runs every one of them on Valkey. */
const program = process.env.GATEPASS_REDIS_SERVER ?? 'redis-server'

/** Whether there is a server to start. Continuous integration installs one: there, a missing one is a failure. */
export const hasRedis: boolean = isInstalled(program)
if (!hasRedis && process.env.CI) throw new Error(`${program} is not installed`)

/** Whether there is a Valkey besides: Debian 12 has it in its backports only. */
export const hasValkey: boolean = isInstalled('valkey-server')

function isInstalled(name: string): boolean {
  try {
    execFileSync(name, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
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
  /** Default: the program that all tests run on. */
  program?: 'valkey-server'
}

/** A Redis that a test can stop, on its own port and in its own folder. */
export class RedisServer {
  readonly port: number
  readonly folder: string
  readonly arguments: readonly string[]
  readonly #program: string
  #process: ChildProcess | undefined

  constructor(port: number, options: { folder: string; program: string; args: readonly string[] }) {
    this.port = port
    this.folder = options.folder
    this.arguments = options.args
    this.#program = options.program
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  async start(): Promise<void> {
    this.#process = startChild(this.#program, this.arguments, this.folder)
    await answering(this.port, this.#process)
  }

  pause(): void {
    this.#process?.kill('SIGSTOP')
  }

  resume(): void {
    this.#process?.kill('SIGCONT')
  }

  /** Ends it like a crash, without writing anything. */
  async kill(): Promise<void> {
    const child = this.#process
    this.#process = undefined
    await killChild(child)
  }

  async stop(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const { port = await freePort(), args = [], mode = 'server' } = options
  const folder = mkdtempSync(join(tmpdir(), 'gatepass-redis-'))
  const common = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '']
  const all = mode === 'sentinel' ? sentinelArgs(folder, port, args) : [...common, ...args]
  const server = new RedisServer(port, { folder, program: options.program ?? program, args: all })
  await server.start()
  return server
}

/** Sentinel rewrites its configuration, so it has to be a file. */
function sentinelArgs(folder: string, port: number, lines: readonly string[]): string[] {
  const path = join(folder, 'sentinel.conf')
  writeFileSync(path, [`port ${port}`, 'bind 127.0.0.1', `dir ${folder}`, ...lines].join('\n'))
  return [path, '--sentinel']
}

/** A primary, a replica that has caught up, and a Sentinel that watches both under the name `app`. */
export async function startSentinel(
  args: readonly string[] = [],
): Promise<{ primary: RedisServer; replica: RedisServer; sentinel: RedisServer }> {
  const primary = await startRedis({ args })
  const replica = await startRedis({ args: [...args, '--replicaof', '127.0.0.1', String(primary.port)] })
  await until(async () => String(await command(replica, ['INFO', 'replication'])).includes('master_link_status:up'))
  const watch = [
    `sentinel monitor app 127.0.0.1 ${primary.port} 1`,
    'sentinel down-after-milliseconds app 500',
    'sentinel failover-timeout app 2000',
  ]
  const sentinel = await startRedis({ mode: 'sentinel', args: watch })
  await until(async () =>
    String(await command(sentinel, ['SENTINEL', 'REPLICAS', 'app'])).includes(String(replica.port)),
  )
  return { primary, replica, sentinel }
}

/** Three masters that share the slots. */
export interface RedisCluster {
  readonly servers: RedisServer[]
  /** Adds a replica of the first. */
  addReplica(): Promise<RedisServer>
  stop(): Promise<void>
}

export async function startCluster(): Promise<RedisCluster> {
  const servers: RedisServer[] = []
  const stop = async () => {
    for (const server of servers) await server.stop()
  }
  try {
    for (let n = 0; n < 3; n++) servers.push(await startClusterNode())
    await joinThem(servers)
    return { servers, stop, addReplica: () => addReplica(servers) }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startClusterNode(): Promise<RedisServer> {
  // The default port of the cluster bus is 10000 more than the other, which may be above the highest port.
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

async function addReplica(servers: RedisServer[]): Promise<RedisServer> {
  const [first] = servers
  if (first === undefined) throw new Error('no servers')
  const replica = await startClusterNode()
  servers.push(replica)
  const id = String(await command(first, ['CLUSTER', 'MYID']))
  await command(replica, ['CLUSTER', 'MEET', '127.0.0.1', String(first.port), busPort(first)])
  await until(async () => String(await command(replica, ['CLUSTER', 'NODES'])).includes(id))
  await command(replica, ['CLUSTER', 'REPLICATE', id])
  await until(async () => String(await command(replica, ['INFO', 'replication'])).includes('master_link_status:up'))
  for (const server of servers) {
    await until(async () => String(await command(server, ['CLUSTER', 'NODES'])).includes('slave'))
  }
  return replica
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

async function answering(port: number, child: ChildProcess): Promise<void> {
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended with ${child.exitCode}`)
    return command({ url: `redis://127.0.0.1:${port}` }, ['PING']).then(
      () => true,
      () => false,
    )
  })
}
