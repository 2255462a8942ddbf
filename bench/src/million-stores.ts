/** The stores that the bench of a million sessions fills: those of Gatepass outside this process, and the peers'. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import type { SessionRecord, SessionStore, SubjectIndex } from 'gatepass/session'
import { mysqlStore } from 'gatepass/stores/mysql'
import { postgresStore } from 'gatepass/stores/postgres'
import { redisStore } from 'gatepass/stores/redis'
import { sqliteStore } from 'gatepass/stores/sqlite'
import { createPool, type RowDataPacket } from 'mysql2/promise'
import { addresses, connect, ownSchema, startRedis, usedMemory } from './engines.ts'
import { connectPgSimple, connectRedis } from './request-stores.ts'
import { sampleSession } from './sample-session.ts'

/** A store that is filled with sessions. Some of them expire at one moment, the others much later. */
export interface Measured {
  store(n: number, expiring: boolean): unknown
  /** Looks up session `n`, which exists. */
  read(n: number): unknown
  /** Says that session `n`, which exists, was used. */
  touch(n: number): unknown
  /** Bytes that the engine needs for all sessions. */
  bytes(): Promise<number>
  /** Sets the moment. Call it before an expiring session is stored, with enough seconds to store the rest. */
  expireIn(seconds: number): void
  /** Waits until the moment has come. */
  moment(): Promise<void>
  /** Removes the `count` expired sessions, or waits until the engine has. */
  removeExpired(count: number): Promise<void>
  close(): Promise<void>
}

export const measuredStores: Readonly<Record<string, () => Promise<Measured>>> = {
  redisStore: redis,
  'connect-redis': peerRedis,
  postgresStore: postgres,
  'connect-pg-simple': peerPostgres,
  'mysqlStore, MariaDB': mariadb,
  sqliteStore: sqlite,
}

const HOUR = 60 * 60 * 1000
const DAY = 24 * HOUR
/** More logins than a subject has here. */
const LIMIT = 20

/** For stores with a clock option: the moment comes when the clock is moved. */
class MovedClock {
  #ahead = 0
  readonly now = (): number => Date.now() + this.#ahead

  session(n: number, expiring: boolean): SessionRecord {
    return sampleSession(n, { now: this.now(), expiresAt: this.now() + (expiring ? DAY / 2 : 7 * DAY) })
  }

  expireIn(): void {}

  async moment(): Promise<void> {
    this.#ahead = DAY
  }
}

/** For engines that keep the time themselves. */
class RealMoment {
  #moment = Number.NaN

  expireIn(seconds: number): void {
    this.#moment = Date.now() + Math.ceil(seconds * 1000)
  }

  expiry(expiring: boolean): number {
    return expiring ? this.#moment : Date.now() + DAY
  }

  async moment(): Promise<void> {
    const left = this.#moment - Date.now()
    if (left < 0) throw new Error('some sessions expired before all were stored')
    await pause(left)
  }
}

/** A session of the peers with a login of Passport, and the data of our sessions. */
function peerSession(n: number, expires: number): object {
  const cookie = { originalMaxAge: DAY, expires: new Date(expires).toISOString(), httpOnly: true, path: '/' }
  return { cookie, passport: { user: `user ${n >> 1}` }, cart: [n, n + 1], seen: 'a page' }
}

/** As long as the ids that express-session makes. */
function peerId(n: number): string {
  return sampleSession(n).id.slice(0, 32)
}

async function ownRedis() {
  const server = await startRedis()
  const client = await connect(server.url)
  const empty = await usedMemory(client)
  let full = 0
  return {
    client,
    async bytes() {
      full = await client.dbSize()
      return (await usedMemory(client)) - empty
    },
    async removeExpired(count: number) {
      // Redis slows down when a tenth of the keys that it samples are expired.
      const living = full - count
      for (let keys = full; keys - living > 0.12 * keys; keys = await client.dbSize()) await pause(20)
    },
    async close() {
      client.destroy()
      server.stop()
    },
  }
}

async function redis(): Promise<Measured> {
  const { client, ...engine } = await ownRedis()
  const store = redisStore({ client })
  // Without the timer that node-redis makes for each command, and that the store does without, too.
  const direct = client.withCommandOptions({ timeout: 0 })
  const clock = new RealMoment()
  return {
    ...engine,
    async store(n, expiring) {
      const record = sampleSession(n, { expiresAt: clock.expiry(expiring) })
      await store.insertWithin(record, LIMIT)
      if (!expiring) return
      // Redis keeps a record for an hour more, in case the clocks of two processes differ. Here this hour is over at the moment.
      const key = `gatepass:session:${record.id}`
      await direct.pExpire(key, (await direct.pTTL(key)) - HOUR)
    },
    read: (n) => store.load(sampleSession(n).id),
    touch: (n) => store.touch(sampleSession(n).id, Date.now(), Date.now() + DAY),
    expireIn: (seconds) => clock.expireIn(seconds),
    moment: () => clock.moment(),
  }
}

async function peerRedis(): Promise<Measured> {
  const { client, ...engine } = await ownRedis()
  const store = connectRedis(client)
  const clock = new RealMoment()
  return {
    ...engine,
    store: (n, expiring) => called((done) => store.set(peerId(n), peerSession(n, clock.expiry(expiring)), done)),
    read: (n) => called((done) => store.get(peerId(n), done)),
    touch: (n) => called((done) => store.touch(peerId(n), peerSession(n, clock.expiry(false)), done)),
    expireIn: (seconds) => clock.expireIn(seconds),
    moment: () => clock.moment(),
  }
}

async function measuredSchema() {
  // The same is stored. Waiting for the disk a million times would only take longer.
  const { pool, schema, create, drop } = ownSchema('million', {
    max: 10,
    idleTimeoutMillis: 0,
    options: '-c synchronous_commit=off',
  })
  await create()
  return {
    pool,
    schema,
    async bytes() {
      const size = `SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c
        WHERE c.relnamespace = '${schema}'::regnamespace AND c.relkind = 'r'`
      return Number((await pool.query<{ sum: string }>(size)).rows[0]?.sum)
    },
    close: drop,
  }
}

async function postgres(): Promise<Measured> {
  const { pool, schema, bytes, close } = await measuredSchema()
  const clock = new MovedClock()
  const store = postgresStore({ pool, schema, clock: clock.now })
  return {
    ...withOurClock(store, clock),
    bytes,
    removeExpired: () => store.sweep(),
    async close() {
      await store.close()
      await close()
    },
  }
}

interface Touching {
  touch(id: string, session: object, done: () => void): void
}

async function peerPostgres(): Promise<Measured> {
  const { pool, schema, bytes, close } = await measuredSchema()
  const store = connectPgSimple(pool, schema) as ReturnType<typeof connectPgSimple> & Touching
  // It uses the database's clock, so sessions that expire at the moment are stored as expired.
  const expiry = (expiring: boolean) => (expiring ? Date.now() - 1000 : Date.now() + DAY)
  return {
    store: (n, expiring) => called((done) => store.set(peerId(n), peerSession(n, expiry(expiring)), done)),
    read: (n) => called((done) => store.get(peerId(n), done)),
    touch: (n) => called((done) => store.touch(peerId(n), peerSession(n, expiry(false)), done)),
    bytes,
    expireIn: () => {},
    moment: async () => {},
    removeExpired: () => called((done) => store.pruneSessions(done)),
    async close() {
      await store.close()
      await close()
    },
  }
}

async function mariadb(): Promise<Measured> {
  const pool = createPool({ uri: addresses.mysql, connectionLimit: 10 })
  const clock = new MovedClock()
  const table = `gatepass_bench_million_${process.pid}`
  const store = mysqlStore({ pool, table, clock: clock.now })
  await store.migrate()
  return {
    ...withOurClock(store, clock),
    async bytes() {
      await pool.query(`ANALYZE TABLE ${table}`)
      const size = `SELECT data_length + index_length AS bytes FROM information_schema.tables
        WHERE table_name = '${table}' AND table_schema = database()`
      return Number((await pool.query<RowDataPacket[]>(size))[0][0]?.bytes)
    },
    removeExpired: () => store.sweep(),
    async close() {
      store.close()
      await pool.query(`DROP TABLE ${table}, ${table}_schema, ${table}_locks`)
      await pool.end()
    },
  }
}

async function sqlite(): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), 'gatepass-bench-'))
  const clock = new MovedClock()
  const file = join(folder, 'sessions.db')
  const store = sqliteStore(file, { clock: clock.now })
  return {
    ...withOurClock(store, clock),
    bytes: async () => sizeOf(file),
    removeExpired: () => store.sweep(),
    async close() {
      store.close()
      rmSync(folder, { recursive: true })
    },
  }
}

function withOurClock(store: SessionStore & SubjectIndex, clock: MovedClock) {
  return {
    store: (n: number, expiring: boolean) => store.insertWithin(clock.session(n, expiring), LIMIT),
    read: (n: number) => store.load(clock.session(n, false).id),
    touch(n: number) {
      const { id, seenAt, expiresAt } = clock.session(n, false)
      return store.touch(id, seenAt, expiresAt)
    },
    expireIn: () => clock.expireIn(),
    moment: () => clock.moment(),
  }
}

function called(call: (done: (error?: unknown) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    call((error) => (error ? reject(error) : resolve()))
  })
}

/** Bytes of an SQLite database, whether its pages are in the file or still in the log. */
function sizeOf(file: string): number {
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    const { size } = database
      .prepare('SELECT page_count * page_size AS size FROM pragma_page_count, pragma_page_size')
      .get() as { size: number }
    return size
  } finally {
    database.close()
  }
}
