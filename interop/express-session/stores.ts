import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import dropInPgSimple from 'gatepass/compat/connect-pg-simple'
import { RedisStore as DropInRedisStore } from 'gatepass/compat/connect-redis'
import { expressStore } from 'gatepass/compat/legacy-store'
import { memoryStore } from 'gatepass/stores/memory'
import { postgresStore } from 'gatepass/stores/postgres'
import { redisStore } from 'gatepass/stores/redis'
import { sqliteStore } from 'gatepass/stores/sqlite'
import pg from 'pg'
import { createClient } from 'redis'
import { type Anything, original, require, type Session } from './site.ts'

/** A place for sessions. Each server opens it, and runs `session`. */
export interface Opened {
  store(session: Session): Anything
  close(): unknown
}

export interface Kind {
  readonly name: string
  /** Why it cannot be opened here. */
  readonly missing?: string | undefined
  open(): Opened | Promise<Opened>
}

export const redisUrl = 'redis://127.0.0.1:6379'
export const connection = { host: '127.0.0.1', user: 'root', database: 'test' }

async function trouble(probe: () => Promise<unknown>): Promise<string | undefined> {
  const missing = await probe().then(
    () => undefined,
    (error: Error) => error.message || error.name,
  )
  if (missing !== undefined && process.env.CI) throw new Error(`a store cannot be tested: ${missing}`)
  return missing
}

export const noRedis = await trouble(async () => (await redis()).destroy())
export const noPostgres = await trouble(async () => {
  const client = new pg.Client(connection)
  await client.connect()
  await client.end()
})

function redis() {
  return createClient({ url: redisUrl, socket: { reconnectStrategy: false } })
    .on('error', () => {})
    .connect()
}

export const unique = (): string => `interop_${randomUUID().replaceAll('-', '').slice(0, 16)}`

/** Stores from npm, as they are. */
export const theirs: readonly Kind[] = [
  {
    name: 'express-session’s MemoryStore',
    open() {
      const store = new original.MemoryStore()
      return { store: () => store, close: () => {} }
    },
  },
  {
    name: 'memorystore 1',
    open() {
      const store = new (require('memorystore')(original))({ checkPeriod: 60_000 })
      return { store: () => store, close: () => store.stopInterval() }
    },
  },
  {
    name: 'session-file-store 1',
    open() {
      const path = mkdtempSync(join(tmpdir(), 'interop-sessions-'))
      const options = { path, retries: 0, reapInterval: -1, logFn: () => {} }
      return {
        store: (session) => new (require('session-file-store')(session))(options),
        close: () => rmSync(path, { recursive: true }),
      }
    },
  },
  {
    name: 'connect-redis 10',
    missing: noRedis,
    async open() {
      const client = await redis()
      const prefix = `${unique()}:`
      const { RedisStore } = require('connect-redis')
      const store = () => new RedisStore({ client, prefix })
      const close = () => new Promise((resolve) => store().clear(resolve)).then(() => client.destroy())
      return { store, close }
    },
  },
  {
    name: 'connect-pg-simple 10',
    missing: noPostgres,
    async open() {
      const pool = new pg.Pool(connection)
      const tableName = unique()
      const open = (session: Session, createTableIfMissing = false) =>
        new (require('connect-pg-simple')(session))({
          pool,
          tableName,
          pruneSessionInterval: false,
          createTableIfMissing,
        })
      // It creates the table at the first use. Two first users would create it twice.
      await new Promise((resolve) => open(original, true).get('x', resolve))
      return {
        store: (session) => open(session),
        close: async () => {
          await pool.query(`DROP TABLE "${tableName}"`)
          await pool.end()
        },
      }
    },
  },
]

/** The drop-ins for stores from npm. */
export const dropIns: readonly Kind[] = [
  {
    name: 'gatepass/compat/connect-redis',
    missing: noRedis,
    async open() {
      const client = await redis()
      const prefix = `${unique()}:`
      const store = () => new DropInRedisStore({ client, prefix })
      return {
        store,
        close: () =>
          store()
            .clear()
            .then(() => client.destroy()),
      }
    },
  },
  {
    name: 'gatepass/compat/connect-pg-simple',
    missing: noPostgres,
    open() {
      const pool = new pg.Pool(connection)
      const tableName = unique()
      const options = { pool, tableName, pruneSessionInterval: false, createTableIfMissing: true } as const
      return {
        store: (session) => new (dropInPgSimple(session))(options),
        close: async () => {
          await pool.query(`DROP TABLE IF EXISTS "${tableName}"`)
          await pool.end()
        },
      }
    },
  },
]

/** Stores of ours, for express-session and for the drop-in. */
export const ours: readonly Kind[] = [
  { name: 'memoryStore', open: () => shared(memoryStore(), () => {}) },
  {
    name: 'sqliteStore',
    open() {
      const store = sqliteStore(':memory:')
      return shared(store, () => store.close())
    },
  },
  {
    name: 'redisStore',
    missing: noRedis,
    async open() {
      const client = await redis()
      const prefix = `${unique()}:`
      return shared(redisStore({ client, prefix }), async () => {
        for await (const keys of client.scanIterator({ MATCH: `${prefix}*` }))
          if (keys.length > 0) await client.del(keys)
        client.destroy()
      })
    },
  },
  {
    name: 'postgresStore',
    missing: noPostgres,
    async open() {
      const pool = new pg.Pool(connection)
      const table = unique()
      const store = postgresStore({ pool, table })
      return shared(store, async () => {
        await store.close()
        await pool.query(`DROP TABLE IF EXISTS "${table}", "${table}_schema" CASCADE`)
        for (const name of ['lock', 'insert', 'remove']) {
          await pool.query(`DROP FUNCTION IF EXISTS "${table}_${name}" CASCADE`)
        }
        await pool.end()
      })
    },
  },
]

/** The drop-in accepts a store of ours. express-session needs it wrapped. */
function shared(store: Parameters<typeof expressStore>[0], close: () => unknown): Opened {
  return { store: (session) => (session === original ? expressStore(store) : store), close }
}
