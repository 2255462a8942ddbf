import type { SessionId, SessionRecord } from 'gatepass/session'
import { SessionManager } from 'gatepass/session'
import { cachedStore } from 'gatepass/stores/cached'
import { memoryStore } from 'gatepass/stores/memory'
import { TestJar, testClock } from 'gatepass/testing'
import { expect, test } from 'vitest'
import { Random } from './random.ts'
import { type Act, Browser, KeptSessions, type Operation } from './sessions.ts'

const policy = { touchInterval: 60, idleTimeout: 900, absoluteTimeout: 3600 }
const nearCache = { maxSessions: 1000, maxAge: 60 }

interface Request {
  readonly browser: number
  readonly process: number
  readonly act: Act
  /** Seconds since the one before. */
  readonly after: number
}

const BROWSERS = 30
const PROCESSES = 3

/** Requests a few seconds apart, and now and then a break beyond every timeout. */
function requests(seed: number, count: number): Request[] {
  const random = new Random(seed)
  return Array.from({ length: count }, () => ({
    browser: random.below(BROWSERS),
    process: random.below(PROCESSES),
    act: random.chance(0.8) ? 'read' : random.chance(0.8) ? 'change' : 'logout',
    after: Math.round(random.chance(0.01) ? random.exponential(1200) : random.exponential(2)),
  }))
}

/** What the simulation says that the store will be asked for each request. */
function predicted(trace: readonly Request[], near: 'with near caches' | 'without'): Operation[][] {
  const browsers = Array.from({ length: BROWSERS }, () => new Browser(policy))
  const caches = Array.from({ length: PROCESSES }, () => new KeptSessions(nearCache))
  let now = 0
  return trace.map(({ browser, process, act, after }) => {
    now += after
    const kept = near === 'without' ? undefined : caches[process]
    return browsers[browser]?.request(act, now, kept) ?? []
  })
}

/** What the real manager asks a real store, in as many processes, for the same requests. */
async function measured(trace: readonly Request[], near: 'with near caches' | 'without'): Promise<Operation[][]> {
  const clock = testClock()
  const store = new CountingStore(clock)
  const managers = Array.from({ length: PROCESSES }, () => {
    const own = near === 'without' ? store : cachedStore(store, { ...nearCache, clock })
    return new SessionManager<{ changes: number }>({ store: own, ...policy, clock })
  })
  const jars = Array.from({ length: BROWSERS }, () => new TestJar())
  const asked: Operation[][] = []
  for (const { browser, process, act, after } of trace) {
    clock.advance(after)
    const [manager, jar] = [managers[process], jars[browser]]
    if (manager === undefined || jar === undefined) throw new Error('no such process or browser')
    const exchange = jar.exchange()
    const session = await manager.open(exchange)
    if (session.subject === undefined) session.assign(`user ${browser}`, { at: clock(), amr: ['pwd'] })
    else if (act === 'change') session.data.changes = (session.data.changes ?? 0) + 1
    else if (act === 'logout') session.destroy()
    await manager.commit(exchange)
    jar.receive(exchange)
    asked.push(store.taken())
  }
  return asked
}

/** Counts what the simulation counts, and announces changes at once. */
class CountingStore {
  readonly #store: ReturnType<typeof memoryStore>
  readonly #listeners: { changed(id: SessionId): void; up(): void }[] = []
  #asked: Operation[] = []

  constructor(clock: () => number) {
    this.#store = memoryStore({ clock })
  }

  taken(): Operation[] {
    const asked = this.#asked
    this.#asked = []
    return asked
  }

  subscribe(listener: { changed(id: SessionId): void; up(): void }) {
    this.#listeners.push(listener)
    listener.up()
    return () => {}
  }

  load(id: SessionId) {
    this.#asked.push('load')
    return this.#store.load(id)
  }

  insert(record: SessionRecord) {
    this.#store.insert(record)
  }

  insertWithin(record: SessionRecord, limit: number) {
    this.#asked.push('login')
    return this.#store.insertWithin(record, limit)
  }

  replace(record: SessionRecord, version: number) {
    // A logout puts a marker in the place of the session.
    const operation = record.about.startsWith('{"ended":') ? 'logout' : 'change'
    return this.#told(operation, record.id, this.#store.replace(record, version))
  }

  touch(id: SessionId, seenAt: number, expiresAt: number) {
    return this.#told('touch', id, this.#store.touch(id, seenAt, expiresAt))
  }

  remove(id: SessionId, version?: number) {
    return this.#store.remove(id, version)
  }

  listBySubject(subject: string) {
    return this.#store.listBySubject(subject)
  }

  removeBySubject(subject: string, except?: SessionId) {
    return this.#store.removeBySubject(subject, except)
  }

  #told<T>(operation: Operation, id: SessionId, result: T): T {
    this.#asked.push(operation)
    for (const listener of this.#listeners) listener.changed(id)
    return result
  }
}

test.each([1, 2, 3])(
  'the simulation asks the store what the real manager asks it, request by request (seed %i)',
  async (seed) => {
    const trace = requests(seed, 3000)
    for (const near of ['without', 'with near caches'] as const) {
      const asked = await measured(trace, near)
      expect(predicted(trace, near)).toEqual(asked)
      expect(new Set(asked.flat())).toEqual(new Set(['load', 'login', 'touch', 'change', 'logout']))
    }
  },
)

test('a near cache that is full lets go of what was used longest ago', () => {
  const kept = new KeptSessions({ maxSessions: 2, maxAge: 60 })
  const browsers = [new Browser(policy), new Browser(policy), new Browser(policy)] as const
  const [first, second, third] = browsers
  for (const browser of browsers) browser.request('read', 0)
  const read = (browser: Browser) => browser.request('read', 1, kept)
  expect([read(first), read(second), read(first), read(third)]).toEqual([['load'], ['load'], [], ['load']])
  expect([read(first), read(second)]).toEqual([[], ['load']])
})
