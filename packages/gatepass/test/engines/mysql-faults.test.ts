import { type MysqlStoreOptions, mysqlStore } from 'gatepass/stores/mysql'
import mysql, { type RowDataPacket } from 'mysql2/promise'
import { describe, expect, test } from 'vitest'
import { hasMysqlServer, startMysql } from './mysql-server.ts'
import { proxyTests, setUp, surviveCutAfter, surviveRestart } from './sql-faults.ts'
import { session, unavailable } from './visitors.ts'

if (!hasMysqlServer && process.env.CI) throw new Error('mariadbd and mariadb-install-db are not installed')
const here = hasMysqlServer ? '' : ' (SKIPPED: mariadbd and mariadb-install-db are not installed)'

const set = setUp(hasMysqlServer, startMysql, (port, options: Partial<MysqlStoreOptions> = {}) => {
  const pool = mysql.createPool({ host: '127.0.0.1', port, user: 'root', database: 'test', connectionLimit: 8 })
  const store = mysqlStore({ pool, timeout: 1, ...options })
  const close = async () => {
    store.close()
    await pool.end()
  }
  return { store, pool, close }
})

/** Round trips of a login that ends an older session: begin, lock, insert, look, remove, commit. */
const LOGIN_STEPS = 6

describe.skipIf(!hasMysqlServer)(`with a MariaDB that fails${here}`, () => {
  test('a crash under load is a 503 while it lasts, loses nothing acknowledged, and service returns by itself', async () => {
    const { store } = set.open(set.server)
    await store.migrate()
    await surviveRestart(store, { stop: () => set.server.kill(), start: () => set.server.start() })
  })

  // The server's number of the connection that the pool uses next.
  proxyTests(set, async ({ pool }) => {
    const [rows] = await pool.query<RowDataPacket[]>('SELECT CONNECTION_ID() AS id')
    return rows[0]?.id
  })

  test('a connection that is cut between a commit and its answer is a 503, and what was written is whole', () =>
    surviveCutAfter(set.open(set.proxy).store, set.proxy))

  test('a login whose connection is cut at any of its steps is there whole or not at all, and holds up nobody', async () => {
    const direct = set.open(set.server).store
    const outcomes = new Set<number>()
    for (let step = 1; step <= LOGIN_STEPS + 1; step++) {
      const subject = `cut ${step}`
      const { store } = set.open(set.proxy)
      await store.insertWithin(session({ subject }), 1)
      await store.insertWithin(session({ subject }), 1)
      const before = await direct.listBySubject(subject)
      const late = session({ subject })
      const cut = set.proxy.cutAtRequest(step, 'after')
      const answer = await store.insertWithin(late, 1).catch((error: unknown) => error)
      if (step === LOGIN_STEPS + 1) set.proxy.cutAtRequest(0, 'after')
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
})
