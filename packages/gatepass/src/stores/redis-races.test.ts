import type { SessionId, SessionRecord } from 'gatepass/session'
import { type RedisClusterClient, type RedisStore, redisStore } from 'gatepass/stores/redis'
import { testClock } from 'gatepass/testing'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasRedis, type RedisServer, startRedis } from '../../test/engines/redis-server.ts'
import { everyInterleaving, type Turn } from '../testing/interleaving.ts'
import { freshId, LIFETIME, recordAt } from '../testing/store-records.ts'

// In a cluster a login is several commands on two servers. Every order in which those of two processes can follow one
// another is tried here, on one server that is taken for a cluster.

const note = hasRedis ? '' : ' (SKIPPED: redis-server is not installed)'
const clock = testClock()

describe.skipIf(!hasRedis)(`between the commands of two processes${note}`, () => {
  let server: RedisServer
  let client: ReturnType<typeof connected>
  const connected = () => createClient({ url: server.url })
  let runs = 0

  beforeAll(async () => {
    server = await startRedis()
    client = await connected().connect()
  })
  afterAll(async () => {
    client?.destroy()
    await server?.stop()
  })

  /** A store whose commands go out one at a time, each when `allow` lets it. */
  function storeOf(
    prefix: string,
    allow: (send: () => Promise<unknown>, args: string[]) => Promise<unknown>,
  ): RedisStore {
    let last: Promise<unknown> = Promise.resolve()
    const cluster: RedisClusterClient = {
      isReady: true,
      masters: [],
      slots: [],
      sendCommand: (_key, _readonly, args) => {
        const sent = last.then(() => allow(() => client.sendCommand(args), args))
        last = sent.catch(() => {})
        return sent
      },
      nodeClient: () => Promise.reject(new Error('not used')),
    }
    return redisStore({ client: cluster, prefix, clock })
  }

  const freely = (send: () => Promise<unknown>) => send()
  const inTurn = (turn: Turn) => (send: () => Promise<unknown>, args: string[]) => {
    const reads = args[0] === 'GET' || args[0] === 'HGETALL'
    return turn(send, { on: String(args[0]?.startsWith('EVAL') ? args[3] : args[1]), reads })
  }

  type Act = (store: RedisStore) => Promise<unknown>

  /** Runs the acts in every order; `check` is told what each of them answered. */
  async function inEveryOrder(
    begin: (free: RedisStore) => Promise<{ acts: readonly Act[]; check: (answers: unknown[]) => Promise<void> }>,
  ): Promise<number> {
    return everyInterleaving(async () => {
      const prefix = `race${++runs}:`
      const { acts, check } = await begin(storeOf(prefix, freely))
      const answers: unknown[] = []
      const scripts = acts.map((act, n) => ({
        kind: String(n),
        run: async (turn: Turn) => {
          answers[n] = await act(storeOf(prefix, inTurn(turn)))
        },
      }))
      return { scripts, check: () => check(answers) }
    })
  }

  const login = (differing: Partial<SessionRecord> = {}): SessionRecord =>
    recordAt(clock(), { subject: 'u', ...differing })

  /** A record that is alive can be found by its subject, so that it can be ended. */
  async function expectFindable(store: RedisStore, ids: readonly SessionId[]): Promise<void> {
    const listed = (await store.listBySubject('u')).map(({ id }) => id)
    for (const id of ids) {
      const record = await store.load(id)
      if (record?.subject === 'u') expect(listed).toContain(id)
    }
    await store.removeBySubject('u')
    for (const id of ids) expect((await store.load(id))?.subject).not.toBe('u')
  }

  test('a login during a logout everywhere is ended, or can be ended later', async () => {
    const orders = await inEveryOrder(async (free) => {
      const [old, fresh] = [login(), login()]
      await free.insert(old)
      return {
        acts: [(store) => store.insert(fresh), (store) => store.removeBySubject('u')],
        async check() {
          expect(await free.load(old.id)).toBeUndefined()
          await expectFindable(free, [old.id, fresh.id])
        },
      }
    })
    expect(orders).toBeGreaterThan(5)
  })

  test('a session that becomes a subject’s during a logout everywhere is ended, or can be ended later', async () => {
    await inEveryOrder(async (free) => {
      const anonymous = login({ subject: null })
      await free.insert(anonymous)
      return {
        acts: [
          (store) => store.replace({ ...anonymous, version: 2, subject: 'u' }, 1),
          (store) => store.removeBySubject('u'),
        ],
        check: () => expectFindable(free, [anonymous.id]),
      }
    })
  })

  test('a touch that outlives the index entry does not bring back what a logout everywhere has ended', async () => {
    await inEveryOrder(async (free) => {
      const session = login()
      await free.insert(session)
      const muchLater = session.expiresAt + 90_000_000
      return {
        acts: [(store) => store.touch(session.id, clock(), muchLater), (store) => store.removeBySubject('u')],
        async check() {
          expect(await free.load(session.id)).toBeUndefined()
        },
      }
    })
  })

  test('of two logins at once within a limit of one, exactly one remains', async () => {
    await inEveryOrder(async (free) => {
      const records = [login(), login({ createdAt: clock() + 1 })]
      const old = login({ createdAt: clock() - 1 })
      await free.insert(old)
      return {
        acts: records.map((record) => (store: RedisStore) => store.insertWithin(record, 1)),
        async check(answers) {
          expect(await free.listBySubject('u')).toHaveLength(1)
          expect(answers.reduce((sum: number, count) => sum + Number(count), 0)).toBe(2)
          await expectFindable(
            free,
            [old, ...records].map(({ id }) => id),
          )
        },
      }
    })
  })

  test('a process that stops between two commands leaves no session that cannot be found', async () => {
    const acts: Act[] = [
      (store) => store.insertWithin(login({ id: fresh }), 1),
      (store) => store.removeBySubject('u'),
      (store) => store.replace(login({ id: anonymous, version: 2 }), 1),
      (store) => store.touch(old, clock(), clock() + 200_000_000),
      (store) => store.remove(old),
    ]
    const [fresh, anonymous, old] = [freshId(), freshId(), freshId()]
    for (const act of acts) {
      for (let commands = 0; commands < 12; commands++) {
        const prefix = `stop${++runs}:`
        const free = storeOf(prefix, freely)
        await free.insert(login({ id: old, createdAt: clock() - 1 }))
        await free.insert(login({ id: anonymous, subject: null }))
        let left = commands
        const stops = async (send: () => Promise<unknown>) => {
          if (left-- <= 0) throw new Error('the process has stopped')
          return send()
        }
        await act(storeOf(prefix, stops)).catch(() => {})
        await expectFindable(free, [old, fresh, anonymous])
      }
    }
  })

  test('what a login left undone at the limit, the next one does', async () => {
    for (let commands = 0; commands < 12; commands++) {
      const prefix = `limit${++runs}:`
      const free = storeOf(prefix, freely)
      for (let n = 3; n > 0; n--) await free.insert(login({ createdAt: clock() - n }))
      let left = commands
      const stops = async (send: () => Promise<unknown>) => {
        if (left-- <= 0) throw new Error('the process has stopped')
        return send()
      }
      await storeOf(prefix, stops)
        .insertWithin(login(), 2)
        .catch(() => {})
      const last = login({ createdAt: clock() + 1 })
      await free.insertWithin(last, 2)
      const listed = await free.listBySubject('u')
      expect(listed).toHaveLength(2)
      expect(listed[0]?.id).toBe(last.id)
    }
  })

  test('the index outlives every session it names, however long one is kept alive', async () => {
    const days = (n: number) => clock() + n * 86_400_000
    const prolonged: ((store: RedisStore, record: SessionRecord) => Promise<unknown>)[] = [
      (store, record) => store.touch(record.id, clock(), days(10)),
      (store, record) => store.replace({ ...record, version: 2, expiresAt: days(10) }, 1),
    ]
    for (const prolong of prolonged) {
      const prefix = `long${++runs}:`
      const store = storeOf(prefix, freely)
      const record = login()
      await store.insert(record)
      expect(await prolong(store, record)).toBe('done')
      const [key] = await client.keys(`${prefix}subject:*`)
      expect(await client.ttl(String(key))).toBeGreaterThan(await client.ttl(`${prefix}session:${record.id}`))
      // Another login clears away what can have no record any more, and must not take this for such.
      clock.advance(9 * 86_400)
      await store.insert(login())
      expect(await store.removeBySubject('u')).toBe(2)
      clock.advance(-9 * 86_400)
    }
  })

  test('a login clears away what the index says of sessions that are long gone', async () => {
    const prefix = `clear${++runs}:`
    const store = storeOf(prefix, freely)
    const lasting = login({ expiresAt: clock() + 30 * 86_400_000 })
    for (const record of [login(), login(), lasting]) await store.insert(record)
    clock.advance(2 * 86_400)
    await store.insert(login())
    const [key] = await client.keys(`${prefix}subject:*`)
    expect(await client.hLen(String(key))).toBe(2)
    expect(await store.removeBySubject('u')).toBe(2)
    clock.advance(-2 * 86_400)
  })

  test('the index is gone a day after the last session it names', async () => {
    const prefix = `age${++runs}:`
    const store = storeOf(prefix, freely)
    await store.insert(login())
    const [key] = await client.keys(`${prefix}subject:*`)
    const day = 24 * 3600
    expect(await client.ttl(String(key))).toBeLessThanOrEqual(day + 3600 + 300 + LIFETIME)
    expect(await client.ttl(String(key))).toBeGreaterThan(day)
  })

  test('a login looks at a few entries of a subject that has many, and many logins clear them away', async () => {
    const prefix = `many${++runs}:`
    const store = storeOf(prefix, freely)
    for (let n = 0; n < 200; n++) await store.insert(login())
    const [key] = await client.keys(`${prefix}subject:*`)
    clock.advance(2 * 86_400)
    await store.insert(login())
    expect(await client.hLen(String(key))).toBe(200 - 20 + 1)
    for (let n = 1; n < 60; n++) await store.insert(login())
    expect(await client.hLen(String(key))).toBeLessThan(60 + 20)
    expect(await store.removeBySubject('u')).toBe(60)
    clock.advance(-2 * 86_400)
  })

  test('what expires at one moment is removed by the server over five minutes, also after it was touched', async () => {
    const prefix = `spread${++runs}:`
    const store = storeOf(prefix, freely)
    const records = Array.from({ length: 50 }, (_, n) => login({ subject: n % 2 === 0 ? null : `u${n}` }))
    const spread = async (kind: string) => {
      const ttls = await Promise.all((await client.keys(`${prefix}${kind}:*`)).map((key) => client.ttl(key)))
      return Math.max(...ttls) - Math.min(...ttls)
    }
    for (const record of records) await store.insert(record)
    for (const kind of ['session', 'subject']) {
      expect(await spread(kind)).toBeGreaterThan(150)
      expect(await spread(kind)).toBeLessThanOrEqual(300 + 10)
    }
    for (const { id } of records) await store.touch(id, clock(), clock() + 2 * LIFETIME)
    expect(await spread('session')).toBeGreaterThan(150)
  })
})
