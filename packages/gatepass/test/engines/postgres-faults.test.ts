import { Pool } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { sha256Hex } from '../../src/crypto/random.ts'
import { StoreError } from '../../src/error.ts'
import type { SessionId, SessionRecord } from '../../src/session/store.ts'
import { type PostgresStore, type PostgresStoreOptions, postgresStore } from '../../src/stores/postgres.ts'
import { type FaultyProxy, faultyProxy } from './faulty-proxy.ts'
import { type PostgresServer, postgresPrograms, startPostgres } from './postgres-server.ts'

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

let made = 0
function session(differing: Partial<SessionRecord> = {}): SessionRecord {
  const now = Date.now()
  const id = sha256Hex(`fault ${++made}`) as SessionId
  const times = { createdAt: now, seenAt: now, expiresAt: now + 600_000 }
  return { id, version: 1, subject: null, data: '{}', about: '{}', ...times, ...differing }
}

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

/** Whatever an operation throws, it is this. */
const unavailable = expect.objectContaining({ code: 'ERR_STORE_UNAVAILABLE', status: 503, retryAfter: 1 })

/** What one visitor was told: the version of each session that was acknowledged, and the sessions that were ended. */
class Visitor {
  readonly acknowledged = new Map<SessionId, number>()
  readonly ended = new Set<SessionId>()
  readonly errors: unknown[] = []
  /** A write that failed may have been done or not. */
  readonly doubtful = new Set<SessionId>()
  #stopped = false

  stop(): void {
    this.#stopped = true
  }

  async keepVisiting(store: PostgresStore, name: string): Promise<void> {
    while (!this.#stopped) await this.#visit(store, session({ subject: name }))
  }

  async #visit(store: PostgresStore, record: SessionRecord): Promise<void> {
    const tell = async (write: () => Promise<unknown>, told: () => void) => {
      try {
        await write()
        told()
      } catch (error) {
        this.errors.push(error)
        this.doubtful.add(record.id)
        throw error
      }
    }
    try {
      await tell(
        () => store.insert(record),
        () => this.acknowledged.set(record.id, 1),
      )
      await tell(
        () => store.replace({ ...record, version: 2 }, 1),
        () => this.acknowledged.set(record.id, 2),
      )
      if (made % 2)
        await tell(
          () => store.remove(record.id, 2),
          () => this.ended.add(record.id),
        )
    } catch {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

/** Nothing that was acknowledged is lost, and nothing that was ended is back. */
async function expectKept(store: PostgresStore, visitors: readonly Visitor[]): Promise<number> {
  let kept = 0
  for (const { acknowledged, ended, doubtful } of visitors) {
    for (const [id, version] of acknowledged) {
      const record = await store.load(id)
      if (ended.has(id)) expect(record).toBeUndefined()
      else if (!doubtful.has(id)) expect(record?.version).toBe(version)
      else if (record !== undefined) expect(record.version).toBeGreaterThanOrEqual(version)
      if (!ended.has(id) && version === 1) expect(record?.version).toBeGreaterThanOrEqual(1)
      kept++
    }
  }
  return kept
}

describe.skipIf(absent)(`with a PostgreSQL that fails${here}`, () => {
  test.each(['fast', 'immediate'] as const)(
    'a restart (%s) under load is a 503 while it lasts, loses nothing acknowledged, and service returns by itself',
    async (mode) => {
      const store = open(server.port)
      await store.migrate()
      const visitors = Array.from({ length: 8 }, () => new Visitor())
      const visiting = visitors.map((visitor, n) => visitor.keepVisiting(store, `${mode} ${n}`))
      const acknowledged = () => visitors.reduce((sum, visitor) => sum + visitor.acknowledged.size, 0)
      await vi.waitFor(() => expect(acknowledged()).toBeGreaterThan(200), 20_000)
      await server.stop(mode)
      await vi.waitFor(() => expect(visitors.every(({ errors }) => errors.length > 0)).toBe(true), 20_000)
      await server.start()
      const before = acknowledged()
      await vi.waitFor(() => expect(acknowledged()).toBeGreaterThan(before + 200), 20_000)
      for (const visitor of visitors) visitor.stop()
      await Promise.all(visiting)
      const errors = visitors.flatMap(({ errors }) => errors)
      expect(errors.filter((error) => !(error instanceof StoreError))).toEqual([])
      expect(errors).toEqual(errors.map(() => unavailable))
      expect(await expectKept(store, visitors)).toBeGreaterThan(400)
    },
  )

  test('a connection that is cut before a commit is a 503, and nothing was written', async () => {
    const store = open(proxy.port)
    const record = session()
    await store.insert(record)
    const cut = proxy.cutAtNextRequest('before')
    await expect(store.replace({ ...record, version: 2 }, 1)).rejects.toEqual(unavailable)
    await cut
    expect(await store.load(record.id)).toEqual(record)
  })

  test('a connection that is cut between a commit and its answer is a 503, and what was written is whole', async () => {
    const store = open(proxy.port)
    const record = session({ subject: 'cut' })
    await store.insert(record)
    const cut = proxy.cutAtNextRequest('after')
    await expect(store.replace({ ...record, version: 2, data: '{"n":1}' }, 1)).rejects.toEqual(unavailable)
    await cut
    expect(await store.load(record.id)).toEqual({ ...record, version: 2, data: '{"n":1}' })
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
    expect(store.pool.totalCount).toBe(1)
    proxy.holdAnswers()
    await expect(store.load(record.id)).rejects.toEqual(unavailable)
    expect(store.pool.totalCount).toBe(0)
    await expect(store.touch(record.id, Date.now(), record.expiresAt)).rejects.toEqual(unavailable)
    proxy.letThrough()
    expect(await store.load(record.id)).toMatchObject({ id: record.id, version: 1 })
  })

  test('an answer that comes late never becomes the answer to another question', async () => {
    const store = open(proxy.port, { timeout: 0.2 })
    const records = Array.from({ length: 20 }, (_, n) => session({ data: `{"n":${n}}` }))
    for (const record of records) await store.insert(record)
    for (const [n, record] of records.entries()) {
      proxy.holdAnswers()
      const unanswered = store.load(record.id).catch((error: unknown) => error)
      if (n % 2) expect(await unanswered).toEqual(unavailable)
      proxy.letThrough()
      await unanswered
      const other = records[(n + 7) % records.length]
      expect(await store.load(other?.id ?? record.id)).toEqual(other)
    }
  })

  describe('what is announced', () => {
    const heard = () => {
      const events: string[] = []
      const listener = {
        changed: (id: SessionId) => void events.push(id),
        up: () => void events.push('up'),
        down: () => void events.push('down'),
      }
      return { events, listener }
    }

    test('is in doubt once the channel is silent, and certain again when it is back', async () => {
      const store = open(proxy.port, { announce: true, table: 'announced' })
      const writer = open(server.port, { announce: true, table: 'announced' })
      await writer.migrate()
      const { events, listener } = heard()
      const end = store.subscribe(listener)
      await vi.waitFor(() => expect(events).toEqual(['up']), 5000)
      proxy.holdAnswers()
      const missed = session()
      await writer.insert(missed)
      await writer.remove(missed.id)
      await vi.waitFor(() => expect(events).toEqual(['up', 'down']), 5000)
      proxy.letThrough()
      await vi.waitFor(() => expect(events).toEqual(['up', 'down', 'up']), 10_000)
      const told = session()
      await writer.insert(told)
      await writer.remove(told.id)
      await vi.waitFor(() => expect(events).toEqual(['up', 'down', 'up', told.id]), 5000)
      await end()
      expect(events.at(-1)).toBe('down')
    })

    test('is in doubt while the server is away, and certain again after it', async () => {
      const store = open(server.port, { announce: true, table: 'announced' })
      const { events, listener } = heard()
      store.subscribe(listener)
      await vi.waitFor(() => expect(events).toEqual(['up']), 5000)
      await server.stop('fast')
      await vi.waitFor(() => expect(events).toEqual(['up', 'down']), 5000)
      await server.start()
      await vi.waitFor(() => expect(events).toEqual(['up', 'down', 'up']), 10_000)
    })
  })
})
