/** `npm run bench -- costs`: the CPU and memory that operations take from the engines, recorded for the simulation. */
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import type { SessionStore, SubjectIndex } from 'gatepass/session'
import { postgresStore } from 'gatepass/stores/postgres'
import { redisStore } from 'gatepass/stores/redis'
import { connect, ownSchema, startRedis } from './engines.ts'
import { bytesOfEach } from './million.ts'
import { benchRequests } from './requests.ts'
import { sampleSession } from './sample-session.ts'
import { costsFile, type EngineCosts, type MeasuredCosts } from './simulation/costs.ts'

/** The cheapest round counts, because other work on the machine only adds. */
const ROUNDS = 5
const OPERATIONS = 5000
/** How many operations run at a time. */
const TOGETHER = 50

interface Engine {
  readonly version: string
  readonly store: SessionStore & SubjectIndex
  /** Microseconds of CPU that the engine has used so far. */
  cpu(): Promise<number>
  close(): Promise<void>
}

type OperationCosts = Omit<EngineCosts, 'bytes'>

export async function benchCosts(): Promise<MeasuredCosts> {
  const servers = ['gatepass, Redis, node', 'gatepass, PostgreSQL, node', 'near cache over Redis']
  const { rows } = await benchRequests({ words: servers })
  const cpuOf = (server: string) => rounded(rows.find(({ name }) => name.includes(server))?.microseconds.median)
  const costs: MeasuredCosts = {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.version}`,
    redis: { ...(await costsOn(redis)), bytes: await bytesOfEach('redisStore', 200_000) },
    postgres: { ...(await costsOn(postgres)), bytes: await bytesOfEach('postgresStore', 200_000) },
    request: { redis: cpuOf('gatepass, Redis'), postgres: cpuOf('PostgreSQL'), nearCache: cpuOf('near cache') },
  }
  writeFileSync(costsFile, `${JSON.stringify(costs, null, 2)}\n`)
  return costs
}

async function costsOn(start: () => Promise<Engine>): Promise<OperationCosts & { version: string }> {
  const engine = await start()
  try {
    const rounds: OperationCosts[] = []
    for (let round = 0; round < ROUNDS; round++) rounds.push(await measure(engine, round * OPERATIONS))
    const cheapest = (what: keyof OperationCosts) => rounded(Math.min(...rounds.map((costs) => costs[what])))
    const [lookup, key] = [cheapest('lookup'), cheapest('key')]
    const writes = { login: cheapest('login'), touch: cheapest('touch'), change: cheapest('change') }
    return { version: engine.version, lookup, key, ...writes, logout: cheapest('logout') }
  } finally {
    await engine.close()
  }
}

async function measure({ store, cpu }: Engine, from: number): Promise<OperationCosts> {
  const now = Date.now()
  const session = (n: number) => sampleSession(from + n, { now })
  const each = (together: number, work: (n: number) => unknown) => costOfEach(cpu, together, work)
  const login = await each(TOGETHER, (n) => store.insertWithin(session(n), 20))
  const alone = await each(1, (n) => store.load(session(n).id))
  const batched = await each(TOGETHER, (n) => store.load(session(n).id))
  const touch = await each(TOGETHER, (n) => store.touch(session(n).id, now + 1, session(n).expiresAt + 1))
  const change = await each(TOGETHER, (n) => store.replace({ ...session(n), version: 2, data: '{"cart":[]}' }, 1))
  const logout = await each(TOGETHER, (n) => store.remove(session(n).id, 2))
  // alone = lookup + key, batched = lookup / TOGETHER + key
  const lookup = ((alone - batched) * TOGETHER) / (TOGETHER - 1)
  return { lookup, key: Math.max(alone - lookup, 0), login, touch, change, logout }
}

async function costOfEach(cpu: () => Promise<number>, together: number, work: (n: number) => unknown): Promise<number> {
  const before = await cpu()
  for (let n = 0; n < OPERATIONS; n += together) {
    await Promise.all(Array.from({ length: together }, (_, m) => work(n + m)))
  }
  return ((await cpu()) - before) / OPERATIONS
}

async function redis(): Promise<Engine> {
  const server = await startRedis()
  const client = await connect(server.url)
  const field = (text: string, name: string) => new RegExp(`^${name}:(.+?)\\r?$`, 'm').exec(text)?.[1]
  return {
    version: `Redis ${field(await client.info('server'), 'redis_version')}`,
    store: redisStore({ client }),
    async cpu() {
      const info = await client.info('cpu')
      return 1e6 * (Number(field(info, 'used_cpu_user')) + Number(field(info, 'used_cpu_sys')))
    },
    async close() {
      client.destroy()
      server.stop()
    },
  }
}

/** Other processes of the server are not counted: the log writer, checkpoints, vacuum. */
async function postgres(): Promise<Engine> {
  const connections = 10
  const { pool, schema, drop } = ownSchema('costs', { max: connections, idleTimeoutMillis: 0 })
  const store = postgresStore({ pool, schema })
  await store.migrate()
  const clients = await Promise.all(Array.from({ length: connections }, () => pool.connect()))
  const asked = clients.map((client) => client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid'))
  const pids = (await Promise.all(asked)).map(({ rows }) => rows[0]?.pid ?? 0)
  for (const client of clients) client.release()
  const { rows } = await pool.query<{ server_version: string }>('SHOW server_version')
  return {
    version: `PostgreSQL ${rows[0]?.server_version.split(' ')[0]}`,
    store,
    cpu: async () => pids.map(cpuOfProcess).reduce((sum, cpu) => sum + cpu, 0),
    async close() {
      await store.close()
      await drop()
    },
  }
}

/** Microseconds, as Linux counts them. */
function cpuOfProcess(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1000
}

function rounded(value = Number.NaN): number {
  return Number(value.toPrecision(2))
}
