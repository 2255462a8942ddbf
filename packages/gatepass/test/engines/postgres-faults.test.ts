import { type PostgresStore, type PostgresStoreOptions, postgresStore } from 'gatepass/stores/postgres'
import { Pool } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { Heard } from '../stores/heard.ts'
import { type FaultyProxy, faultyProxy } from './faulty-proxy.ts'
import { type PostgresServer, postgresPrograms, startPostgres } from './postgres-server.ts'
import { failAtOnce, keepAnswersApart, surviveCutAfter, surviveCutBefore, surviveRestart } from './sql-faults.ts'
import { session, unavailable } from './visitors.ts'

const absent = postgresPrograms === undefined
if (absent && process.env.CI) throw new Error('PostgreSQL is not installed below /usr/lib/postgresql')
const here = absent ? ' (SKIPPED: PostgreSQL is not installed below /usr/lib/postgresql)' : ''

let server: PostgresServer
let proxy: FaultyProxy
beforeAll(async () => {
  if (absent) return
  server = await startPostgres()
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

function open(port: number, options: Partial<PostgresStoreOptions> = {}): PostgresStore & { pool: Pool } {
  const pool = new Pool({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres', max: 8 })
  const store = postgresStore({ pool, timeout: 1, ...options })
  closing.push(async () => {
    await store.close()
    await pool.end()
  })
  return Object.assign(store, { pool })
}

describe.skipIf(absent)(`with a PostgreSQL that fails${here}`, () => {
  test.each(['fast', 'immediate'] as const)(
    'a restart (%s) under load is a 503 while it lasts, loses nothing acknowledged, and service returns by itself',
    async (mode) => {
      const store = open(server.port)
      await store.migrate()
      await surviveRestart(store, { stop: () => server.stop(mode), start: () => server.start() })
    },
  )

  test('a connection that is cut before a commit is a 503, and nothing was written', () =>
    surviveCutBefore(open(proxy.port), proxy))

  test('a connection that is cut between a commit and its answer is a 503, and what was written is whole', async () => {
    const store = open(proxy.port)
    await surviveCutAfter(store, proxy)
    const [other, late] = [session({ subject: 'cut' }), session({ subject: 'cut' })]
    await store.insert(other)
    const again = proxy.cutAtNextRequest('after')
    await expect(store.insertWithin(late, 1)).rejects.toEqual(unavailable)
    await again
    expect((await store.listBySubject('cut')).map(({ id }) => id)).toEqual([late.id])
  })

  test('an answer that never comes is a 503 after the time limit, and its connection is not used again', async () => {
    const store = open(proxy.port, { timeout: 0.3 })
    const record = session()
    await store.insert(record)
    let removed = 0
    store.pool.on('remove', () => removed++)
    proxy.holdAnswers()
    await expect(store.load(record.id)).rejects.toEqual(unavailable)
    await expect(store.touch(record.id, Date.now(), record.expiresAt)).rejects.toEqual(unavailable)
    proxy.letThrough()
    await vi.waitFor(async () => expect(await store.load(record.id)).toMatchObject({ id: record.id, version: 1 }), 5000)
    expect(removed).toBeGreaterThanOrEqual(1)
  })

  test('a server that leaves one request without an answer is left alone, and serves again by itself', () =>
    failAtOnce(open(proxy.port), proxy))

  test('an answer that comes late never becomes the answer to another question', () =>
    keepAnswersApart(open(proxy.port, { timeout: 0.2 }), proxy))

  describe('what is announced', () => {
    test('is in doubt once the channel is silent, and certain again when it is back', async () => {
      const store = open(proxy.port, { announce: true, table: 'announced' })
      const writer = open(server.port, { announce: true, table: 'announced' })
      await writer.migrate()
      const heard = new Heard()
      const end = store.subscribe(heard)
      await vi.waitFor(() => expect(heard.all).toEqual(['up']), 5000)
      proxy.holdAnswers()
      const missed = session()
      await writer.insert(missed)
      await writer.remove(missed.id)
      await vi.waitFor(() => expect(heard.all).toEqual(['up', 'down']), 5000)
      proxy.letThrough()
      await vi.waitFor(() => expect(heard.all).toEqual(['up', 'down', 'up']), 10_000)
      const told = session()
      await writer.insert(told)
      await writer.remove(told.id)
      await vi.waitFor(() => expect(heard.all).toEqual(['up', 'down', 'up', told.id]), 5000)
      await end()
      expect(heard.all.at(-1)).toBe('down')
    })

    test('is in doubt while the server is away, and certain again after it', async () => {
      const store = open(server.port, { announce: true, table: 'announced' })
      const heard = new Heard()
      store.subscribe(heard)
      await vi.waitFor(() => expect(heard.all).toEqual(['up']), 5000)
      await server.stop('fast')
      await vi.waitFor(() => expect(heard.all).toEqual(['up', 'down']), 5000)
      await server.start()
      await vi.waitFor(() => expect(heard.all).toEqual(['up', 'down', 'up']), 10_000)
    })
  })
})
