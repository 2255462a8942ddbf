import type { SessionStore, SubjectIndex, Timestamp } from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'
import { mysqlStore } from 'gatepass/stores/mysql'
import { postgresStore } from 'gatepass/stores/postgres'
import { redisStore } from 'gatepass/stores/redis'
import { sqliteStore } from 'gatepass/stores/sqlite'
import { testClock } from 'gatepass/testing'
import mysql from 'mysql2/promise'
import { Pool } from 'pg'
import { createClient } from 'redis'
import { afterAll, describe, expect, test } from 'vitest'
import { freshSubject, recordAt } from '../../src/testing/store-records.ts'
import { command, hasRedis, startRedis } from '../engines/redis-server.ts'

type Store = SessionStore & SubjectIndex
/** What all have; what each calls its time limit is put in its place. */
interface Options {
  clock?: () => Timestamp
  timeout?: number
}

const table = `gatepass_numbers_${process.pid}`
const pool = new Pool({ host: '127.0.0.1', user: 'root', database: 'test' })
const mysqlPool = mysql.createPool({ host: '127.0.0.1', user: 'root', database: 'test' })
const reachable = async (asked: Promise<unknown>) => asked.then(Boolean, () => false)
const redisServer = hasRedis ? await startRedis() : undefined
const redisClient = redisServer && (await createClient({ url: redisServer.url }).connect())

const stores: [name: string, there: boolean, open: (options: Options) => Store][] = [
  ['memory', true, ({ clock }) => memoryStore({ ...(clock && { clock }) })],
  [
    'sqlite',
    true,
    ({ timeout, ...rest }) =>
      sqliteStore(':memory:', { ...rest, ...(timeout !== undefined && { busyTimeout: timeout }) }),
  ],
  ['postgres', await reachable(pool.query('SELECT 1')), (options) => postgresStore({ pool, table, ...options })],
  [
    'mysql',
    await reachable(mysqlPool.query('SELECT 1')),
    (options) => mysqlStore({ pool: mysqlPool, table, ...options }),
  ],
  ['redis', redisClient !== undefined, (options) => redisStore({ client: redisClient as never, ...options })],
]

afterAll(async () => {
  redisClient?.destroy()
  await redisServer?.stop()
  await pool.query(`DROP TABLE IF EXISTS ${table}, ${table}_schema CASCADE`).catch(() => {})
  for (const name of [table, `${table}_schema`, `${table}_locks`])
    await mysqlPool.query(`DROP TABLE IF EXISTS ${name}`).catch(() => {})
  await pool.end()
  await mysqlPool.end()
})

describe.each(stores)('%s', (name, there, open) => {
  test.skipIf(!there || name === 'memory')('refuses a time limit that is not a number of seconds up to 60', () => {
    for (const timeout of [-1, Number.NaN, Number.POSITIVE_INFINITY, Number.MAX_VALUE, 2000, '2'] as number[]) {
      expect(() => open({ timeout })).toThrow(expect.objectContaining({ code: 'ERR_STORE_OPTIONS', status: 500 }))
    }
    open({ timeout: 0.5 })
  })

  test.skipIf(!there)('refuses a clock that shows no time', () => {
    for (const clock of [() => Number.NaN, () => '1' as never, 5 as never]) {
      expect(() => open({ clock })).toThrow(expect.objectContaining({ code: 'ERR_STORE_OPTIONS', status: 500 }))
    }
  })

  test.skipIf(!there)('takes a clock with fractions of milliseconds', async () => {
    const now = testClock(Date.now() + 0.4)
    const store = open({ clock: now })
    const record = recordAt(Math.round(now()), { subject: freshSubject(), expiresAt: Math.round(now()) + 60_000 })
    await store.insertWithin(record, 5)
    expect(await store.load(record.id)).toEqual(record)
    expect(await store.touch(record.id, record.seenAt + 5, record.expiresAt + 5)).toBe('done')
    expect(await store.replace({ ...record, version: 2 }, 1)).toBe('done')
    expect(await store.listBySubject(record.subject ?? '')).toHaveLength(1)
    expect(await store.remove(record.id, 2)).toBe('done')
    expect(await store.removeBySubject(record.subject ?? '')).toBe(0)
  })

  test.skipIf(!there)('takes any number as a limit of sessions', async () => {
    const store = open({})
    const subject = freshSubject()
    const session = (ago: number) => recordAt(Date.now() - ago, { subject, expiresAt: Date.now() + 60_000 })
    for (const limit of [Number.POSITIVE_INFINITY, Number.MAX_VALUE, Number.MAX_SAFE_INTEGER, 2 ** 31, 5.5]) {
      expect(await store.insertWithin(session(limit === 5.5 ? 0 : 10), limit)).toBe(0)
    }
    expect(await store.insertWithin(session(0), 2.9)).toBe(4)
    expect(await store.insertWithin(session(0), 0)).toBe(2)
    expect(await store.insertWithin(session(0), -1)).toBe(1)
    expect(await store.insertWithin(session(0), Number.NaN)).toBe(1)
    expect(await store.removeBySubject(subject)).toBe(1)
  })
})

test.skipIf(redisServer === undefined)(
  'redis keeps a record that a clock an hour ahead has written until it expires by every clock',
  async () => {
    const ahead = redisStore({ client: redisClient as never, clock: () => Date.now() + 3_600_000 })
    const record = recordAt(Date.now() + 3_600_000, { expiresAt: Date.now() + 3_600_000 + 600_000 })
    const lasts = async () => Number(await command(redisServer as never, ['PTTL', `gatepass:session:${record.id}`]))
    await ahead.insert(record)
    expect(await lasts()).toBeGreaterThan(3_600_000)
    await ahead.replace({ ...record, version: 2 }, 1)
    expect(await lasts()).toBeGreaterThan(3_600_000)
  },
)
