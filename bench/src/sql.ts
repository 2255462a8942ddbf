/** The cost of reads and writes of the SQL stores, 50 at a time, compared with plain queries on the same pool. */
import type { SessionId, SessionRecord } from 'gatepass/session'
import { mysqlStore } from 'gatepass/stores/mysql'
import { postgresStore } from 'gatepass/stores/postgres'
import { addresses } from './engines.ts'
import { median, type Row } from './rows.ts'

const RECORDS = 5000
/** Requests that arrive together. */
const TOGETHER = 50
const ROUNDS = 9
const TURNS = 20
const table = `gatepass_bench_${process.pid}`

type Store = Pick<ReturnType<typeof mysqlStore>, 'load' | 'insert' | 'touch' | 'replace' | 'insertWithin'>
type Work = (id: SessionId, n: number) => Promise<unknown>

interface Engine {
  readonly name: string
  readonly store: Store
  /** The work of a store that sends a query for each session. */
  loadAlone: Work
  touchAlone: Work
  close(): Promise<void>
}

/** @returns the rows of the engines that answer on this machine */
export async function benchSql(): Promise<Row[]> {
  const rows: Row[] = []
  for (const connect of [postgres, mysql]) {
    const engine = await connect()
    if (engine === undefined) continue
    try {
      rows.push(...(await measure(engine)))
    } finally {
      await engine.close()
    }
  }
  return rows
}

async function measure(engine: Engine): Promise<Row[]> {
  const { name, store, loadAlone, touchAlone } = engine
  const records = Array.from({ length: RECORDS }, (_, n) => session(n))
  for (let from = 0; from < RECORDS; from += 200) {
    await Promise.all(records.slice(from, from + 200).map((record) => store.insert(record)))
  }
  const pick = (n: number): SessionId => (records[(n * 7919) % RECORDS] ?? session(0)).id
  const later = (n: number) => Date.now() + 3600_000 + n
  const compare = async (what: string, ours: Work, peerName: string, peer: Work, goal?: string): Promise<Row[]> => {
    const [ourTimes, peerTimes]: [Cost[], Cost[]] = [[], []]
    for (let round = 0; round < ROUNDS; round++) {
      ourTimes.push(await costOf(ours, pick))
      peerTimes.push(await costOf(peer, pick))
    }
    const about = { group: name, peerName, ...(goal !== undefined && { goal }) }
    const figure = (key: keyof Cost, unit: string): Row => ({
      ...about,
      name: `${what}, ${key === 'cpu' ? 'CPU of this process' : 'time'}`,
      ours: median(ourTimes.map((cost) => cost[key])),
      peer: median(peerTimes.map((cost) => cost[key])),
      unit,
    })
    return [figure('cpu', 'µs'), figure('time', 'µs')]
  }
  const login: Work = (_, n) => store.insertWithin(session(n + RECORDS, `user ${n % 5000}`), 20)
  return [
    ...(await compare('read', (id) => store.load(id), 'one SELECT each', loadAlone, 'a third')),
    ...(await compare('touch', (id, n) => store.touch(id, Date.now(), later(n)), 'one UPDATE', touchAlone)),
    ...(await compare('login within a limit of 20', login, 'one UPDATE', touchAlone)),
  ]
}

async function postgres(): Promise<Engine | undefined> {
  const { Pool } = await import('pg')
  const pool = new Pool({ connectionString: addresses.postgres, max: 10 })
  const store = postgresStore({ pool, table })
  if (!(await answers(store.migrate()))) return void (await pool.end())
  const columns = 'id, handle, version, subject, data, about, created_at, seen_at, expires_at'
  const select = `SELECT ${columns} FROM ${table} WHERE id = $1 AND expires_at > $2`
  const update = `UPDATE ${table} SET seen_at = $1, expires_at = $2 WHERE id = $3 AND expires_at > $4`
  return {
    name: 'PostgreSQL',
    store,
    loadAlone: (id) => pool.query({ name: 'load', text: select, values: [id, Date.now()], rowMode: 'array' }),
    touchAlone: (id, n) => {
      const values = [Date.now(), Date.now() + 3600_000 + n, id, Date.now()]
      return pool.query({ name: 'touch', text: update, values })
    },
    async close() {
      await store.close()
      await pool.query(`DROP TABLE ${table}, ${table}_schema CASCADE`)
      for (const name of ['lock', 'insert', 'remove']) await pool.query(`DROP FUNCTION ${table}_${name} CASCADE`)
      await pool.end()
    },
  }
}

async function mysql(): Promise<Engine | undefined> {
  const { createPool } = await import('mysql2/promise')
  const pool = createPool({ uri: addresses.mysql, connectionLimit: 10 })
  const store = mysqlStore({ pool, table })
  if (!(await answers(store.migrate()))) return void (await pool.end())
  const select = `SELECT * FROM ${table} WHERE id = ? AND expires_at > ?`
  const update = `UPDATE ${table} SET seen_at = ?, expires_at = ? WHERE id = ? AND expires_at > ?`
  return {
    name: 'MySQL',
    store,
    loadAlone: (id) => pool.execute({ sql: select, rowsAsArray: true }, [id, Date.now()]),
    touchAlone: (id, n) => pool.execute(update, [Date.now(), Date.now() + 3600_000 + n, id, Date.now()]),
    async close() {
      store.close()
      await pool.query(`DROP TABLE ${table}, ${table}_schema, ${table}_locks`)
      await pool.end()
    },
  }
}

/** @returns false, and says so, if no engine answers */
async function answers(migrated: Promise<void>): Promise<boolean> {
  try {
    await migrated
    return true
  } catch (error) {
    console.error(`Not measured: ${(error as Error).message}`)
    return false
  }
}

interface Cost {
  /** Microseconds for one, of them all. */
  readonly cpu: number
  readonly time: number
}

let started = 0

async function costOf(work: Work, pick: (n: number) => SessionId): Promise<Cost> {
  const [cpu, begin] = [process.cpuUsage(), process.hrtime.bigint()]
  for (let turn = 0; turn < TURNS; turn++) {
    await Promise.all(Array.from({ length: TOGETHER }, () => work(pick(++started), started)))
  }
  const { user, system } = process.cpuUsage(cpu)
  const done = TURNS * TOGETHER
  return { cpu: (user + system) / done, time: Number(process.hrtime.bigint() - begin) / 1000 / done }
}

function session(n: number, subject: string | null = null): SessionRecord {
  const now = Date.now()
  const times = { createdAt: now, seenAt: now, expiresAt: now + 3600_000 }
  const id = `${n.toString(16).padStart(8, '0')}${'a'.repeat(56)}` as SessionId
  const data = JSON.stringify({ cart: 'x'.repeat(400) })
  return { id, handle: `h${n}`, version: 1, subject, data, about: '{}', ...times }
}
