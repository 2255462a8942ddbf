import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool, type PoolConfig } from 'pg'
import { createClient } from 'redis'

/** The engines that the bench does not start itself. */
export const addresses = {
  redis: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379',
  postgres: process.env.POSTGRES_URL ?? 'postgres://root@127.0.0.1:5432/test',
  mysql: process.env.MYSQL_URL ?? 'mysql://root@127.0.0.1:3306/test',
} as const

/** A Redis that the bench starts for itself. It keeps nothing on disk. */
export interface OwnRedis {
  readonly url: string
  readonly stop: () => void
}

export type RedisConnection = Awaited<ReturnType<typeof connect>>

export async function startRedis(): Promise<OwnRedis> {
  const folder = mkdtempSync(join(tmpdir(), 'gatepass-bench-'))
  const port = await freePort()
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder]
  const server = spawn('redis-server', args, { stdio: 'ignore' })
  const failed = once(server, 'error').then(([error]) => Promise.reject(error as Error))
  const kill = () => server.kill('SIGKILL')
  process.once('exit', kill)
  const redis: OwnRedis = {
    url: `redis://127.0.0.1:${port}`,
    stop() {
      process.removeListener('exit', kill)
      kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  try {
    await Promise.race([answering(redis.url), failed])
    return redis
  } catch (error) {
    redis.stop()
    throw error
  }
}

/** A client that does not connect again when its connection breaks. */
export async function connect(url: string) {
  const client = createClient({ url, socket: { reconnectStrategy: false } })
  client.on('error', () => {})
  return client.connect()
}

async function answering(url: string): Promise<void> {
  for (let attempts = 0; ; attempts++) {
    try {
      return (await connect(url)).destroy()
    } catch (error) {
      if (attempts === 500) throw error
      await sleep(20)
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Bytes of memory that a Redis uses. */
export async function usedMemory(client: RedisConnection): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1])
}

/** A PostgreSQL schema for one run; `drop` leaves nothing behind. */
export function ownSchema(part: string, options: PoolConfig = {}) {
  const pool = new Pool({ connectionString: addresses.postgres, ...options })
  const schema = `gatepass_bench_${part}_${process.pid}`
  const drop = async () => {
    await pool.query(`DROP SCHEMA ${schema} CASCADE`)
    await pool.end()
  }
  return { pool, schema, create: () => pool.query(`CREATE SCHEMA ${schema}`), drop }
}

/** Places of their own for many servers: each gets a file, a database of one Redis and a PostgreSQL schema, as far as it asks. */
export class OwnPlaces {
  readonly #folder = mkdtempSync(join(tmpdir(), 'gatepass-bench-'))
  readonly #undo: (() => unknown)[] = [() => rmSync(this.#folder, { recursive: true, force: true })]
  #count = 0
  #redis: Promise<OwnRedis> | undefined

  file(): string {
    return join(this.#folder, `${++this.#count}.db`)
  }

  /** The databases are used again after sixteen. */
  async redis(): Promise<string> {
    this.#redis ??= startRedis()
    const { url, stop } = await this.#redis
    if (!this.#undo.includes(stop)) this.#undo.push(stop)
    return `${url}/${++this.#count % 16}`
  }

  async schema(): Promise<string> {
    const { schema, create, drop } = ownSchema(`place_${++this.#count}`, { max: 1 })
    await create()
    this.#undo.push(drop)
    return schema
  }

  async free(): Promise<void> {
    for (const undo of this.#undo.toReversed()) await undo()
  }
}

/** Starts a server of the bench in a process of its own, and waits until it tells its port. */
export async function startServer(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ readonly child: ChildProcess; readonly port: number }> {
  const child = forked(program, args, env)
  const ended = once(child, 'exit').then(() => Promise.reject(new Error(`${program} ${args[0]} did not start`)))
  const [{ port }] = (await Promise.race([once(child, 'message'), ended])) as [{ port: number }]
  ended.catch(() => {})
  return { child, port }
}

export function forked(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
  const execArgv = ['--conditions=gatepass:source', '--disable-warning=ExperimentalWarning']
  return fork(new URL(program, import.meta.url), args, { execArgv, env })
}
