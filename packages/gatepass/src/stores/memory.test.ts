import fc from 'fast-check'
import { UsageError } from 'gatepass'
import { type Session, type SessionId, SessionManager, type SessionRecord } from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'
import { storeSuite, TestJar, testClock } from 'gatepass/testing'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { sha256Hex } from '../crypto/random.ts'
import { readMarker } from '../session/about.ts'
import { hooksOf } from '../session/hooks.ts'
import { ModelStore } from '../testing/model-store.ts'
import { recordAt } from '../testing/store-records.ts'

storeSuite('memoryStore', ({ clock }) => ({ store: memoryStore({ clock }) }), { test, describe })

const LIFETIME = 600_000
const clock = testClock()

function session(differing: Partial<SessionRecord> = {}): SessionRecord {
  return recordAt(clock(), { expiresAt: clock() + LIFETIME, ...differing })
}

describe('ids', () => {
  test('of any shape are kept apart: hex in either case, short, long, with other characters', () => {
    const store = memoryStore({ clock })
    const hex = sha256Hex('an id')
    const ids = [
      hex,
      hex.toUpperCase(),
      hex.slice(1),
      `${hex}0`,
      `${hex.slice(1)}g`,
      `${hex.slice(1)}\u0130`,
      '',
      'legacy',
    ]
    for (const id of ids) store.insert(session({ id: id as SessionId, subject: 's', data: JSON.stringify(id) }))
    for (const id of ids) expect(store.load(id as SessionId)).toMatchObject({ id, data: JSON.stringify(id) })
    expect(store.listBySubject('s').map(({ id }) => id)).toEqual(expect.arrayContaining(ids))
    for (const [n, id] of ids.entries()) {
      expect(store.remove(id as SessionId, 1)).toBe('done')
      expect(ids.slice(n + 1).every((other) => store.load(other as SessionId) !== undefined)).toBe(true)
      expect(store.load(id as SessionId)).toBeUndefined()
    }
  })

  test('that all begin alike are found, and found no longer once removed', () => {
    const store = memoryStore({ clock })
    const ids = Array.from({ length: 3000 }, (_, n) => n.toString(16).padStart(64, '0') as SessionId)
    for (const id of ids) store.insert(session({ id, data: `"${id}"` }))
    for (const [n, id] of ids.entries()) if (n % 3) store.remove(id)
    for (const [n, id] of ids.entries()) expect(store.load(id)?.data).toBe(n % 3 ? undefined : `"${id}"`)
  })
})

test('behaves as the model does, whatever is done to it', () => {
  const operation = fc.record({
    act: fc.constantFrom(
      'insert',
      'insertWithin',
      'replace',
      'touch',
      'remove',
      'removeAny',
      'revoke',
      'wait',
      'sweep',
    ),
    id: fc.nat(11),
    version: fc.integer({ min: 1, max: 3 }),
    subject: fc.constantFrom(null, 'a', 'b'),
    life: fc.integer({ min: 1, max: 200 }),
  })
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 120 }), (operations) => {
      const time = testClock()
      const store = memoryStore({ clock: time })
      const model = new ModelStore(time)
      const ids = Array.from({ length: 12 }, (_, n) => (n < 9 ? sha256Hex(`${n}`) : `id ${n}`) as SessionId)
      for (const { act, id: n, version, subject, life } of operations) {
        const now = time()
        const id = ids[n] as SessionId
        const expiresAt = now + life * 1000
        const about = subject === null && life % 3 === 0 ? `{"ended":"moved","until":${expiresAt}}` : '{"client":{}}'
        const times = { createdAt: now, seenAt: now, expiresAt }
        const record = { ...session({ id, subject, ...times }), about, version, data: `${life}` }
        const on = (tested: typeof store | ModelStore): unknown => {
          try {
            if (act === 'insert') return tested.insert(record)
            if (act === 'insertWithin') return tested.insertWithin(record, 2)
            if (act === 'replace') return tested.replace({ ...record, version: version + 1 }, version)
            if (act === 'touch') return tested.touch(id, now, expiresAt)
            if (act === 'remove') return tested.remove(id, version)
            if (act === 'removeAny') return tested.remove(id)
            if (act === 'revoke') return tested.removeBySubject('a', id)
          } catch (error) {
            return String(error).slice(0, 10)
          }
          return undefined
        }
        expect(on(store)).toEqual(on(model))
        // Every insert has its own time, because the order of equally old sessions is not promised.
        time.advance(act === 'wait' ? life : 0.001)
        if (act === 'sweep') store.sweep()
        for (const one of ids) expect(store.load(one)).toEqual(model.load(one))
        for (const one of ['a', 'b']) expect(store.listBySubject(one)).toEqual(model.listBySubject(one))
      }
      time.advance(1000)
      while (store.sweep());
      expect(store.size).toBe(0)
    }),
    { numRuns: 300 },
  )
})

describe('sweeping', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  test('frees every expired session by itself, a slice at a time', () => {
    const store = memoryStore({ clock })
    for (let n = 0; n < 5000; n++) store.insert(session(n % 2 ? { subject: `${n}` } : {}))
    const lasting = session({ expiresAt: clock() + 2 * LIFETIME })
    store.insert(lasting)
    clock.advance(LIFETIME / 1000 + 60)
    expect(store.size).toBe(5001)
    vi.advanceTimersByTime(30_000)
    expect(store.size).toBeGreaterThan(4000)
    vi.advanceTimersByTime(1000)
    expect(store.size).toBe(1)
    expect(store.load(lasting.id)).toEqual(lasting)
  })

  test('leaves a touched session, and frees it after its last expiry', () => {
    const store = memoryStore({ clock })
    const record = session()
    store.insert(record)
    clock.advance(500)
    store.touch(record.id, clock(), clock() + LIFETIME)
    clock.advance(500)
    while (store.sweep());
    expect(store.load(record.id)).toBeDefined()
    clock.advance(500)
    while (store.sweep());
    expect(store.size).toBe(0)
  })

  test('rests while a clock that was set back says that nothing has expired', () => {
    let now = clock()
    const store = memoryStore({ clock: () => now })
    for (let n = 0; n < 2000; n++) store.insert(session())
    now += 2 * LIFETIME
    expect(store.sweep()).toBe(true)
    const left = store.size
    now -= 2 * LIFETIME
    expect(store.sweep()).toBe(false)
    expect(store.size).toBe(left)
    now += 2 * LIFETIME
    while (store.sweep());
    expect(store.size).toBe(0)
  })

  test('stops when nothing is left, begins with the next session, and ends with close', () => {
    const store = memoryStore({ clock })
    expect(vi.getTimerCount()).toBe(0)
    store.insert(session())
    expect(vi.getTimerCount()).toBe(1)
    clock.advance(LIFETIME / 1000 + 60)
    vi.advanceTimersByTime(30_000)
    expect([store.size, vi.getTimerCount()]).toEqual([0, 0])
    const record = session()
    store.insert(record)
    expect(vi.getTimerCount()).toBe(1)
    store.close()
    store.close()
    expect(vi.getTimerCount()).toBe(0)
    store.insert(session())
    expect(vi.getTimerCount()).toBe(0)
    expect(store.load(record.id)).toEqual(record)
  })
})

test('the timer of a store keeps no process alive', () => {
  const spy = vi.spyOn(globalThis, 'setTimeout')
  memoryStore({ clock }).insert(session())
  const timer = spy.mock.results[0]?.value as NodeJS.Timeout
  spy.mockRestore()
  expect(timer.hasRef()).toBe(false)
  clearTimeout(timer)
})

describe('a full store', () => {
  test('gives the place of the anonymous session that expires first to a new one', () => {
    const store = memoryStore({ clock, maxSessions: 3 })
    const [first, second, third] = [10, 20, 30].map((n) => session({ expiresAt: clock() + n * 60_000 })) as Triple
    for (const record of [first, second, third]) store.insert(record)
    store.insert(session({ subject: 'u' }))
    expect([first, second, third].map(({ id }) => store.load(id) !== undefined)).toEqual([false, true, true])
    store.insert(session())
    expect([second, third].map(({ id }) => store.load(id) !== undefined)).toEqual([false, true])
    expect(store.size).toBe(3)
  })

  test('spares an anonymous session that was touched since', () => {
    const store = memoryStore({ clock, maxSessions: 2 })
    const [early, late] = [10, 20].map((n) => session({ expiresAt: clock() + n * 60_000 })) as [
      SessionRecord,
      SessionRecord,
    ]
    store.insert(early)
    store.insert(late)
    store.touch(early.id, clock(), clock() + 60 * 60_000)
    store.insert(session())
    expect(store.load(early.id)).toBeDefined()
    expect(store.load(late.id)).toBeUndefined()
  })

  test('keeps notes and markers longer than anonymous sessions: what counts once does not count twice', async () => {
    const store = memoryStore({ clock, maxSessions: 4 })
    const sessions = new SessionManager<Record<string, unknown>>({ store, clock })
    const used = sha256Hex('used') as SessionId
    expect(await hooksOf(sessions).note(used, {}, clock() + 1000)).toBe(true)
    const jar = new TestJar()
    const visit = async (act: (session: Session<Record<string, unknown>>) => unknown): Promise<string> => {
      const exchange = jar.exchange()
      const session = await sessions.open(exchange)
      const { id = '' } = session
      act(session)
      await sessions.commit(exchange)
      jar.receive(exchange)
      return id
    }
    await visit((session) => Object.assign(session.data, { cart: 1 }))
    const moved = (await visit((session) => session.rotate())) as SessionId
    for (let n = 0; n < 50; n++) store.insert(session())
    expect(store.size).toBe(4)
    expect(await hooksOf(sessions).note(used, {}, clock() + 1000)).toBe(false)
    expect(readMarker(store.load(moved) as SessionRecord)).toMatchObject({ ended: 'moved' })
    store.remove(moved)
    store.insert(session())
    expect(store.size).toBe(4)
  })

  test('gives up notes before it is full, and logins never', async () => {
    const store = memoryStore({ clock, maxSessions: 2 })
    const sessions = new SessionManager({ store, clock })
    const ids = ['a', 'b'].map((text) => sha256Hex(text) as SessionId) as [SessionId, SessionId]
    for (const [n, id] of ids.entries()) await hooksOf(sessions).note(id, {}, clock() + 1000 + n)
    const login = session({ subject: 'u' })
    store.insert(login)
    expect(ids.map((id) => store.load(id) !== undefined)).toEqual([false, true])
    const visitor = session()
    store.insert(visitor)
    store.insert(session({ subject: 'v' }))
    expect([ids[1], visitor.id, login.id].map((id) => store.load(id) !== undefined)).toEqual([false, false, true])
  })

  test('ends no login for a new session, and says that it is full once only logins are left', () => {
    const store = memoryStore({ clock, maxSessions: 2 })
    const logins = [session({ subject: 'a' }), session({ subject: 'b' })]
    for (const login of logins) store.insert(login)
    const full = expect.objectContaining({ code: 'ERR_STORE_FULL', status: 503 })
    expect(() => store.insert(session())).toThrow(full)
    expect(() => store.insert(session({ subject: 'c' }))).toThrow(full)
    expect(() => store.insertWithin(session({ subject: 'c' }), 5)).toThrow(full)
    for (const login of logins) expect(store.load(login.id)).toEqual(login)
    expect(store.replace({ ...(logins[0] as SessionRecord), version: 2 }, 1)).toBe('done')
    expect(store.insertWithin(session({ subject: 'a' }), 1)).toBe(1)
  })

  test('has room again as soon as a login has expired', () => {
    const store = memoryStore({ clock, maxSessions: 2 })
    store.insert(session({ subject: 'a', expiresAt: clock() + 1000 }))
    store.insert(session({ subject: 'b' }))
    clock.advance(1)
    store.insert(session({ subject: 'c' }))
    expect(store.listBySubject('c')).toHaveLength(1)
    expect(store.listBySubject('b')).toHaveLength(1)
  })

  test('stays within its bound under a flood of anonymous sessions, logins untouched', () => {
    const store = memoryStore({ clock, maxSessions: 1000 })
    const logins = Array.from({ length: 200 }, (_, n) => session({ subject: `${n}` }))
    for (const login of logins) store.insert(login)
    for (let n = 0; n < 5000; n++) {
      const visitor = session()
      store.insert(visitor)
      if (n % 5 === 0) store.touch(visitor.id, clock(), clock() + 2 * LIFETIME)
    }
    expect(store.size).toBe(1000)
    for (const login of logins) expect(store.load(login.id)).toEqual(login)
  })
})

test('a bound that is no whole number of at least 1 is refused', () => {
  for (const maxSessions of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => memoryStore({ maxSessions })).toThrow(UsageError)
  }
})

test('an expiry that is no number is one that is over', () => {
  const store = memoryStore({ clock })
  const record = session({ expiresAt: Number.NaN })
  store.insert(record)
  expect(store.load(record.id)).toBeUndefined()
})

type Triple = [SessionRecord, SessionRecord, SessionRecord]
