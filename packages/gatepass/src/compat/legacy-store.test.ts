import { EventEmitter } from 'node:events'
import { Cookie, MemoryStore, type Session } from 'gatepass/compat/express-session'
import { expressStore, legacyStore } from 'gatepass/compat/legacy-store'
import type { SessionId, SessionRecord } from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'
import { storeSuite } from 'gatepass/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'

vi.mock('../timers.ts', () => import('../../test/replaceable-timers.ts'))

storeSuite('a store for express-session', ({ clock }) => ({ store: legacyStore(new SlowStore(), { clock }) }), {
  test,
  describe,
  subjectIndex: false,
})

/** Answers later, as a store on a network does; nothing expires in it. */
class SlowStore extends EventEmitter {
  readonly sessions = new Map<string, string>()

  get(sid: string, callback: (error: unknown, session?: unknown) => void): void {
    const text = this.sessions.get(sid)
    setImmediate(callback, null, text === undefined ? null : JSON.parse(text))
  }

  set(sid: string, session: object, callback?: (error?: unknown) => void): void {
    const text = JSON.stringify(session)
    setImmediate(() => {
      this.sessions.set(sid, text)
      callback?.()
    })
  }

  destroy(sid: string, callback?: (error?: unknown) => void): void {
    this.sessions.delete(sid)
    setImmediate(callback ?? (() => {}))
  }
}

const id = 'sid' as SessionId

function record(changes: Partial<SessionRecord> = {}): SessionRecord {
  const now = Date.now()
  const times = { createdAt: now, seenAt: now, expiresAt: now + 60_000 }
  const about = '{"client":{"device":"Firefox"}}'
  return { id, handle: 'h', version: 1, subject: null, data: '{"a":1}', about, ...times, ...changes }
}

describe('legacyStore', () => {
  test('of two writes of one version at once in one process one is a conflict', async () => {
    const store = legacyStore(new SlowStore())
    await store.insert(record())
    const writes = ['{"a":2}', '{"a":3}'].map((data) => store.replace(record({ version: 2, data }), 1))
    expect(await Promise.all(writes)).toEqual(['done', 'conflict'])
  })

  test('a session that express-session wrote has its data as version', async () => {
    const slow = new SlowStore()
    slow.sessions.set(id, JSON.stringify({ cookie: { originalMaxAge: null, expires: null }, a: 1 }))
    const store = legacyStore(slow)
    const found = (await store.load(id)) as SessionRecord
    slow.sessions.set(id, JSON.stringify({ cookie: { originalMaxAge: null, expires: null }, a: 2 }))
    expect(await store.replace({ ...found, version: found.version + 1 }, found.version)).toBe('conflict')
    slow.sessions.delete(id)
    expect(await store.replace({ ...found, version: found.version + 1 }, found.version)).toBe('gone')
  })

  test('what a store throws, promises to fail or calls back with is its answer', async () => {
    const broken = new Error('broken')
    const bad = [
      () => {
        throw broken
      },
      async () => {
        throw broken
      },
      (_sid: string, callback: (error: unknown) => void) => callback(broken),
    ]
    for (const get of bad) {
      const store = legacyStore(Object.assign(new SlowStore(), { get }))
      await expect((async () => store.load(id))()).rejects.toBe(broken)
    }
  })
})

test('a call that a store never answers fails after 30 seconds, and the next write of the session begins', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const slow = new SlowStore()
  const store = legacyStore(slow)
  await store.insert(record())
  const { set } = slow
  slow.set = () => {
    slow.set = set
  }
  const lost = expect(store.replace(record({ version: 2 }), 1)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
  const removed = store.remove(id)
  // The store answers its `get` first.
  await new Promise((resolve) => setImmediate(resolve))
  await vi.advanceTimersByTimeAsync(30_000)
  await lost
  expect(await removed).toBe('done')
})

describe('expressStore', () => {
  /** What express-session does with a store, for one request. */
  function open(store: ReturnType<typeof expressStore>, sid: string): Promise<Session | undefined> {
    return new Promise((resolve, reject) =>
      store.load(sid, (error, session) => (error ? reject(error) : resolve(session))),
    )
  }

  function put(store: ReturnType<typeof expressStore>, sid: string, session: object): Promise<void> {
    return new Promise((resolve, reject) => store.set(sid, session, (error) => (error ? reject(error) : resolve())))
  }

  test('keeps ids hashed and cookies whole', async () => {
    const records = memoryStore()
    const store = expressStore(records)
    await put(store, 'a', { cookie: new Cookie({ maxAge: 60_000, sameSite: 'lax' }), user: 'ada' })
    expect(records.load('a' as SessionId)).toBeUndefined()
    const session = await open(store, 'a')
    expect({ ...session }).toMatchObject({ user: 'ada', cookie: { originalMaxAge: 60_000, sameSite: 'lax' } })
    expect(session?.cookie.maxAge).toBeGreaterThan(59_000)
  })

  test('concurrent requests keep each other’s changes', async () => {
    const store = expressStore(memoryStore())
    await put(store, 'a', { cookie: new Cookie(), n: 0 })
    const [one, two] = [await open(store, 'a'), await open(store, 'a')] as [Session, Session]
    await put(store, 'a', Object.assign(one, { one: 1 }))
    await put(store, 'a', Object.assign(two, { two: 2 }))
    await put(store, 'a', Object.assign(two, { three: 3 }))
    expect({ ...(await open(store, 'a')) }).toMatchObject({ n: 0, one: 1, two: 2, three: 3 })
  })

  test('a request that outlives logout cannot resurrect the session', async () => {
    const store = expressStore(memoryStore())
    await put(store, 'a', { cookie: new Cookie(), user: 'ada' })
    const late = (await open(store, 'a')) as Session
    await new Promise<void>((resolve) => store.destroy('a', () => resolve()))
    await put(store, 'a', late)
    const lost = put(store, 'a', Object.assign(late, { late: true }))
    await expect(lost).rejects.toMatchObject({ code: 'ERR_SESSION_ENDED' })
    expect(await open(store, 'a')).toBeUndefined()
  })
})

test('a store that fails is an error of the session store, and the error of its driver the cause', async () => {
  const cause = new Error('connect ECONNREFUSED, password=hunter2')
  const records = Object.assign(memoryStore(), {
    load() {
      throw cause
    },
  })
  const failed = new Promise((resolve) => expressStore(records).get('sid', resolve))
  expect(await failed).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', status: 503, cause })
})

test('MemoryStore removes what has expired, read or not', () => {
  const store = new MemoryStore()
  store.set('old', { cookie: { originalMaxAge: -1, expires: new Date(Date.now() - 1) } })
  store.set('new', { cookie: {} })
  store.all((_, sessions) => expect(Object.keys(sessions ?? {})).toEqual(['new']))
  expect(Object.keys(store.sessions)).toEqual(['new'])
})
