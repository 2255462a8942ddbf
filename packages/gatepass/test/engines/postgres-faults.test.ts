import { type PostgresStoreOptions, postgresStore } from 'gatepass/stores/postgres'
import { Pool } from 'pg'
import { describe, expect, test } from 'vitest'
import { Heard } from '../stores/heard.ts'
import { postgresPrograms, startPostgres } from './postgres-server.ts'
import { proxyTests, setUp, surviveCutAfter, surviveRestart } from './sql-faults.ts'
import { eventually } from './until.ts'
import { session, unavailable } from './visitors.ts'

const absent = postgresPrograms === undefined
if (absent && process.env.CI) throw new Error('PostgreSQL is not installed below /usr/lib/postgresql')
const here = absent ? ' (SKIPPED: PostgreSQL is not installed below /usr/lib/postgresql)' : ''

const set = setUp(!absent, startPostgres, (port, options: Partial<PostgresStoreOptions> = {}) => {
  const pool = new Pool({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres', max: 8 })
  const store = postgresStore({ pool, timeout: 1, ...options })
  const close = async () => {
    await store.close()
    await pool.end()
  }
  return { store, pool, close }
})

describe.skipIf(absent)(`with a PostgreSQL that fails${here}`, () => {
  test.each(['fast', 'immediate'] as const)(
    'a restart (%s) under load is a 503 while it lasts, loses nothing acknowledged, and service returns by itself',
    async (mode) => {
      const { store } = set.open(set.server)
      await store.migrate()
      await surviveRestart(store, { stop: () => set.server.stop(mode), start: () => set.server.start() })
    },
  )

  proxyTests(set, async ({ pool }) => (await pool.query('SELECT pg_backend_pid() AS pid')).rows[0]?.pid)

  test('a connection that is cut between a commit and its answer is a 503, and what was written is whole', async () => {
    const { store } = set.open(set.proxy)
    await surviveCutAfter(store, set.proxy)
    const [other, late] = [session({ subject: 'cut' }), session({ subject: 'cut' })]
    await store.insert(other)
    const again = set.proxy.cutAtNextRequest('after')
    await expect(store.insertWithin(late, 1)).rejects.toEqual(unavailable)
    await again
    expect((await store.listBySubject('cut')).map(({ id }) => id)).toEqual([late.id])
  })

  describe('what is announced', () => {
    test('is in doubt once the channel is silent, and certain again when it is back', async () => {
      const { store } = set.open(set.proxy, { announce: true, table: 'announced' })
      const { store: writer } = set.open(set.server, { announce: true, table: 'announced' })
      await writer.migrate()
      const heard = new Heard()
      const end = store.subscribe(heard)
      await eventually(() => expect(heard.all).toEqual(['up']))
      set.proxy.holdAnswers()
      const missed = session()
      await writer.insert(missed)
      await writer.remove(missed.id)
      await eventually(() => expect(heard.all).toEqual(['up', 'down']))
      set.proxy.letThrough()
      await eventually(() => expect(heard.all).toEqual(['up', 'down', 'up']))
      const told = session()
      await writer.insert(told)
      await writer.remove(told.id)
      await eventually(() => expect(heard.all).toEqual(['up', 'down', 'up', told.id]))
      await end()
      expect(heard.all.at(-1)).toBe('down')
    })

    test('is in doubt while the server is away, and certain again after it', async () => {
      const { store } = set.open(set.server, { announce: true, table: 'announced' })
      const heard = new Heard()
      store.subscribe(heard)
      await eventually(() => expect(heard.all).toEqual(['up']))
      await set.server.stop('fast')
      await eventually(() => expect(heard.all).toEqual(['up', 'down']))
      await set.server.start()
      await eventually(() => expect(heard.all).toEqual(['up', 'down', 'up']))
    })
  })
})
