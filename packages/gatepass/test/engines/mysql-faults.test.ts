import { type MysqlStore, type MysqlStoreOptions, mysqlStore } from 'gatepass/stores/mysql'
import mysql, { type Pool, type RowDataPacket } from 'mysql2/promise'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { type FaultyProxy, faultyProxy } from './faulty-proxy.ts'
import { hasMysqlServer, type MysqlServer, startMysql } from './mysql-server.ts'
import { failAtOnce, keepAnswersApart, surviveCutAfter, surviveCutBefore, surviveRestart } from './sql-faults.ts'
import { session, unavailable } from './visitors.ts'

if (!hasMysqlServer && process.env.CI) throw new Error('mariadbd and mariadb-install-db are not installed')
const here = hasMysqlServer ? '' : ' (SKIPPED: mariadbd and mariadb-install-db are not installed)'

let server: MysqlServer
let proxy: FaultyProxy
beforeAll(async () => {
  if (!hasMysqlServer) return
  server = await startMysql()
  proxy = await faultyProxy(server.port)
})
afterAll(async () => {
  await proxy?.close()
  await server?.close()
})

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

function open(port: number, options: Partial<MysqlStoreOptions> = {}): MysqlStore & { pool: Pool } {
  const pool = mysql.createPool({ host: '127.0.0.1', port, user: 'root', database: 'test', connectionLimit: 8 })
  const store = mysqlStore({ pool, timeout: 1, ...options })
  closing.push(async () => {
    store.close()
    await pool.end()
  })
  return Object.assign(store, { pool })
}

/** Round trips of a login that ends an older session: begin, lock, insert, look, remove, commit. */
const LOGIN_STEPS = 6

/** The server's number of the connection that the pool uses next. */
async function connectionOf(pool: Pool): Promise<number> {
  const [rows] = await pool.query<(RowDataPacket & { id: number })[]>('SELECT CONNECTION_ID() AS id')
  return Number(rows[0]?.id)
}

describe.skipIf(!hasMysqlServer)(`with a MariaDB that fails${here}`, () => {
  test('a crash under load is a 503 while it lasts, loses nothing acknowledged, and service returns by itself', async () => {
    const store = open(server.port)
    await store.migrate()
    await surviveRestart(store, { stop: () => server.kill(), start: () => server.start() })
  })

  test('a connection that is cut before a commit is a 503, and nothing was written', () =>
    surviveCutBefore(open(proxy.port), proxy))

  test('a connection that is cut between a commit and its answer is a 503, and what was written is whole', () =>
    surviveCutAfter(open(proxy.port), proxy))

  test('a login whose connection is cut at any of its steps is there whole or not at all, and holds up nobody', async () => {
    const direct = open(server.port)
    const outcomes = new Set<number>()
    for (let step = 1; step <= LOGIN_STEPS + 1; step++) {
      const subject = `cut ${step}`
      const store = open(proxy.port)
      await store.insertWithin(session({ subject }), 1)
      await store.insertWithin(session({ subject }), 1)
      const before = await direct.listBySubject(subject)
      const late = session({ subject })
      const cut = proxy.cutAtRequest(step, 'after')
      const answer = await store.insertWithin(late, 1).catch((error: unknown) => error)
      if (step === LOGIN_STEPS + 1) proxy.cutAtRequest(0, 'after')
      else {
        expect(answer).toEqual(unavailable)
        await cut
      }
      const [only, ...others] = await direct.listBySubject(subject)
      expect(others).toEqual([])
      expect([before[0]?.id, late.id]).toContain(only?.id)
      outcomes.add([before[0]?.id, late.id].indexOf(only?.id))
      // The lock of the subject went with the connection.
      expect(await direct.insertWithin(session({ subject }), 1)).toBe(1)
    }
    expect(outcomes).toEqual(new Set([0, 1]))
  })

  test('an answer that never comes is a 503 after the time limit, and its connection is not used again', async () => {
    const store = open(proxy.port, { timeout: 0.3 })
    const record = session()
    await store.insert(record)
    const before = await connectionOf(store.pool)
    proxy.holdAnswers()
    await expect(store.load(record.id)).rejects.toEqual(unavailable)
    await expect(store.touch(record.id, Date.now(), record.expiresAt)).rejects.toEqual(unavailable)
    proxy.letThrough()
    await vi.waitFor(async () => expect(await store.load(record.id)).toMatchObject({ id: record.id, version: 1 }), 5000)
    expect(await connectionOf(store.pool)).not.toBe(before)
  })

  test('a server that leaves one request without an answer is left alone, and serves again by itself', () =>
    failAtOnce(open(proxy.port), proxy))

  test('an answer that comes late never becomes the answer to another question', () =>
    keepAnswersApart(open(proxy.port, { timeout: 0.2 }), proxy))
})
