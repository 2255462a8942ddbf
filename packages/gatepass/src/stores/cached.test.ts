import { StoreError, UsageError } from 'gatepass'
import {
  type ChangeFeed,
  type ChangeListener,
  hasSubjectIndex,
  type SessionId,
  SessionManager,
  type SessionRecord,
  type SessionStore,
  type SubjectIndex,
} from 'gatepass/session'
import { type CachedStore, type CachedStoreOptions, cachedStore } from 'gatepass/stores/cached'
import { memoryStore } from 'gatepass/stores/memory'
import { storeSuite, type TestClock, TestJar, testClock } from 'gatepass/testing'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { AnnouncingStore, type Channel } from '../../test/stores/announcing-store.ts'
import { everyInterleaving, type Script } from '../testing/interleaving.ts'
import { freshId, freshSubject, LIFETIME, recordAt } from '../testing/store-records.ts'

type Cached = CachedStore & SubjectIndex

storeSuite(
  'cachedStore',
  ({ clock }) => {
    const behind = new AnnouncingStore(clock, 'at once')
    return { store: cachedStore(behind, { clock }), second: cachedStore(behind, { clock }) }
  },
  { test, describe },
)

storeSuite(
  'cachedStore of which the channel is down',
  ({ clock }) => {
    const behind = new AnnouncingStore(clock)
    const [store, second] = [cachedStore(behind, { clock }), cachedStore(behind, { clock })]
    for (const channel of behind.channels) channel.notice()
    return { store, second }
  },
  { test, describe },
)

storeSuite(
  'cachedStore of a store without an index',
  ({ clock }) => {
    const behind = withoutIndex(new AnnouncingStore(clock, 'at once'))
    return { store: cachedStore(behind, { clock }), second: cachedStore(behind, { clock }) }
  },
  { test, describe, subjectIndex: false },
)

function withoutIndex(store: AnnouncingStore): SessionStore & ChangeFeed {
  return {
    load: (id) => store.load(id),
    insert: (record) => store.insert(record),
    replace: (record, version) => store.replace(record, version),
    touch: (id, seenAt, expiresAt) => store.touch(id, seenAt, expiresAt),
    remove: (id, version) => store.remove(id, version),
    subscribe: (listener) => store.subscribe(listener),
  }
}

interface World {
  readonly clock: TestClock
  readonly behind: AnnouncingStore
  readonly store: Cached
  readonly channel: Channel
}

function world(options: CachedStoreOptions = {}): World {
  const clock = testClock()
  const behind = new AnnouncingStore(clock)
  const store = cachedStore(behind, { clock, ...options })
  return { clock, behind, store, channel: behind.channels[0] as Channel }
}

/** A record that is in the store and in the cache. */
async function kept({ clock, behind, store }: World, differing: Partial<SessionRecord> = {}): Promise<SessionRecord> {
  const record = recordAt(clock(), differing)
  behind.insert(record)
  expect(await store.load(record.id)).toEqual(record)
  return record
}

describe('a session that was loaded', () => {
  test('is answered at once the next time, and the store is not asked', async () => {
    const there = world()
    const record = await kept(there)
    for (let n = 0; n < 3; n++) expect(there.store.load(record.id)).toEqual(record)
    expect(there.behind.loads).toBe(1)
    expect(there.store.size).toBe(1)
  })

  test('is loaded again once the store has announced that it changed', async () => {
    const there = world()
    const record = await kept(there)
    there.behind.replace({ ...record, version: 2, data: '{"n":2}' }, 1)
    there.channel.deliver()
    expect(await there.store.load(record.id)).toMatchObject({ version: 2, data: '{"n":2}' })
    there.behind.remove(record.id)
    there.channel.deliver()
    expect(await there.store.load(record.id)).toBeUndefined()
  })

  test('is gone at its expiry, and found again if another process moved that', async () => {
    const there = world({ maxAge: 2 * LIFETIME })
    const [moved, ended] = [await kept(there), await kept(there)]
    there.behind.touch(moved.id, moved.seenAt, moved.expiresAt + 1000)
    there.clock.advance(LIFETIME)
    expect(await there.store.load(moved.id)).toMatchObject({ expiresAt: moved.expiresAt + 1000 })
    expect(await there.store.load(ended.id)).toBeUndefined()
  })

  test('is loaded again after `maxAge`, announced or not', async () => {
    const there = world({ maxAge: 5 })
    const record = await kept(there)
    there.behind.records.remove(record.id)
    there.clock.advance(4.999)
    expect(there.store.load(record.id)).toEqual(record)
    there.clock.advance(0.001)
    expect(await there.store.load(record.id)).toBeUndefined()
  })

  test('cannot be changed in the cache by whoever got it', async () => {
    const there = world()
    const record = await kept(there)
    for (let n = 0; n < 2; n++) Object.assign((await there.store.load(record.id)) ?? {}, { data: 'changed' })
    expect(there.store.load(record.id)).toEqual(record)
  })

  test('is dropped by a write of this process, before anything is announced', async () => {
    const there = world()
    const writes: Record<string, (record: SessionRecord) => unknown> = {
      replace: (record) => there.store.replace({ ...record, version: 2 }, 1),
      touch: ({ id, expiresAt }) => there.store.touch(id, expiresAt, expiresAt + 1),
      remove: ({ id }) => there.store.remove(id),
      'remove by version': ({ id }) => there.store.remove(id, 1),
      'log out everywhere': ({ subject }) => there.store.removeBySubject(subject ?? ''),
      'a login beyond the limit': ({ subject }) => there.store.insertWithin(recordAt(there.clock(), { subject }), 1),
    }
    for (const [name, write] of Object.entries(writes)) {
      const record = await kept(there, { subject: freshSubject(), createdAt: there.clock() - 1 })
      await write(record)
      expect(await there.store.load(record.id), name).toEqual(there.behind.records.load(record.id))
    }
    expect(there.channel.waiting).toBeGreaterThan(0)
  })

  test('is dropped by a write that met another version: what is kept is old', async () => {
    const there = world()
    const record = await kept(there)
    there.behind.replace({ ...record, version: 2 }, 1)
    expect(there.store.load(record.id)).toEqual(record)
    expect(await there.store.replace({ ...record, version: 2, data: '{"late":1}' }, 1)).toBe('conflict')
    expect(await there.store.load(record.id)).toMatchObject({ version: 2, data: '{}' })
  })

  test('is dropped by a write that failed: it may have been carried out', async () => {
    for (const failing of [() => Promise.reject(new Error('cut')), () => thrown(new Error('cut'))]) {
      const clock = testClock()
      const behind = new AnnouncingStore(clock)
      const store = cachedStore(
        Object.assign(behind, {
          replace: (record: SessionRecord, version: number) => {
            behind.records.replace(record, version)
            return failing() as never
          },
        }),
        { clock },
      )
      const record = recordAt(clock())
      behind.insert(record)
      await store.load(record.id)
      await expect(async () => store.replace({ ...record, version: 2 }, 1)).rejects.toThrow('cut')
      expect(await store.load(record.id)).toMatchObject({ version: 2 })
    }
  })
})

test('an id without a session is asked for each time: insertions are not announced', async () => {
  const { store, behind, clock } = world()
  const record = recordAt(clock())
  expect(await store.load(record.id)).toBeUndefined()
  behind.insert(record)
  expect(await store.load(record.id)).toEqual(record)
})

test('requests that ask for one session at a time share a load', async () => {
  const { store, behind, clock } = world()
  const record = recordAt(clock())
  behind.insert(record)
  expect(await Promise.all([store.load(record.id), store.load(record.id), store.load(record.id)])).toEqual(
    Array(3).fill(record),
  )
  expect(behind.loads).toBe(1)
})

test('an answer is not kept if the store announces a change of it before it even returns', async () => {
  const { store, behind, channel, clock } = world()
  const record = recordAt(clock())
  behind.insert(record)
  vi.spyOn(behind, 'load').mockImplementationOnce(() => {
    behind.replace({ ...record, version: 2 }, 1)
    channel.deliver()
    return record
  })
  expect(await store.load(record.id)).toEqual(record)
  expect(await store.load(record.id)).toMatchObject({ version: 2 })
})

test('a load that fails is reported to all who share it, and to nobody else', async () => {
  const { store, behind, clock } = world()
  const record = recordAt(clock())
  behind.insert(record)
  vi.spyOn(behind, 'load').mockImplementationOnce(() => thrown(new StoreError('ERR_STORE_UNAVAILABLE', 'cut')))
  const results = await Promise.allSettled([store.load(record.id), store.load(record.id)])
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(await store.load(record.id)).toEqual(record)
})

describe('while changes are not announced', () => {
  test('every read goes to the store', async () => {
    const there = world()
    const record = await kept(there)
    there.channel.notice()
    expect(there.store.listening).toBe(false)
    for (let n = 0; n < 3; n++) expect(await there.store.load(record.id)).toEqual(record)
    expect(there.behind.loads).toBe(4)
    expect(there.store.size).toBe(0)
  })

  test('loads are not shared either', async () => {
    const there = world()
    there.channel.notice()
    await Promise.all([there.store.load(freshId()), there.store.load(freshId())])
    const id = freshId()
    await Promise.all([there.store.load(id), there.store.load(id)])
    expect(there.behind.loads).toBe(4)
  })

  test('and when they are again, the cache is empty', async () => {
    const there = world()
    const record = await kept(there)
    there.channel.notice()
    there.behind.remove(record.id)
    there.channel.connect()
    expect(there.store.listening).toBe(true)
    expect(await there.store.load(record.id)).toBeUndefined()
  })

  test('a feed that only says `up` again may have missed something: the cache is emptied', async () => {
    const there = world()
    const record = await kept(there)
    there.channel.cut()
    there.behind.remove(record.id)
    there.channel.connect()
    expect(await there.store.load(record.id)).toBeUndefined()
  })
})

describe('listening', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  test('is tried again when it fails, and nothing is kept meanwhile', async () => {
    const behind = new AnnouncingStore(testClock())
    const subscribe = vi.spyOn(behind, 'subscribe').mockImplementationOnce(() => thrown(new Error('refused')))
    const store = cachedStore(behind)
    await vi.advanceTimersByTimeAsync(999)
    expect([store.listening, subscribe.mock.calls.length]).toEqual([false, 1])
    await vi.advanceTimersByTimeAsync(1)
    expect([store.listening, subscribe.mock.calls.length]).toEqual([true, 2])
  })

  test('ends with `close`, which closes the store behind as well', async () => {
    const there = world()
    const close = vi.fn()
    Object.assign(there.behind, { close })
    const record = await kept(there)
    await there.store.close()
    expect([there.behind.channels.length, there.store.listening, there.store.size]).toEqual([0, false, 0])
    expect(close).toHaveBeenCalledOnce()
    expect(await there.store.load(record.id)).toEqual(record)
  })

  test('that begins while the cache is closed ends at once', async () => {
    let begin = () => {}
    const end = vi.fn()
    const behind = Object.assign(new AnnouncingStore(testClock()), {
      subscribe: () =>
        new Promise<() => void>((resolve) => {
          begin = () => resolve(end)
        }),
    })
    const closing = cachedStore(behind).close()
    begin()
    await closing
    expect(end).toHaveBeenCalledOnce()
  })

  test('is not tried again once the cache is closed, whenever it fails', async () => {
    const refusals = [() => thrown(new Error('refused')), () => Promise.reject(new Error('refused'))]
    for (const refuse of refusals) {
      const behind = new AnnouncingStore(testClock())
      const subscribe = vi.spyOn(behind, 'subscribe').mockImplementation(refuse as never)
      await cachedStore(behind).close()
      await vi.advanceTimersByTimeAsync(5000)
      expect(subscribe).toHaveBeenCalledOnce()
    }
  })
})

test('a store that finds out later that it cannot announce is used without a cache, and a warning says so', async () => {
  const warning = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const behind = Object.assign(new AnnouncingStore(testClock()), {
    subscribe: () => Promise.reject(new UsageError('ERR_STORE_OPTIONS', 'no announcements here', { hint: 'Ask.' })),
  })
  const store = cachedStore(behind)
  await store.close()
  expect(warning).toHaveBeenCalledExactlyOnceWith('cachedStore keeps nothing: no announcements here. Ask.', {
    code: 'GATEPASS_NEAR_CACHE',
  })
  expect(store.listening).toBe(false)
  warning.mockRestore()
})

test('the cache answers by subject if the store behind it does', () => {
  const behind = new AnnouncingStore(testClock())
  expect(hasSubjectIndex(cachedStore(behind))).toBe(true)
  const plain: CachedStore = cachedStore(withoutIndex(behind))
  expect(hasSubjectIndex(plain)).toBe(false)
})

test('options that make no sense are refused, and so is a store that announces nothing', () => {
  const behind = new AnnouncingStore(testClock())
  const silent = Object.assign(new AnnouncingStore(testClock()), {
    subscribe: () => thrown(new UsageError('ERR_STORE_OPTIONS', 'it is not to announce')),
  })
  const refused: (() => unknown)[] = [
    () => cachedStore(silent),
    () => cachedStore(behind, { maxSessions: 0 }),
    () => cachedStore(behind, { maxSessions: 1.5 }),
    () => cachedStore(behind, { maxAge: 0 }),
    () => cachedStore(behind, { maxAge: Number.NaN }),
    () => cachedStore(memoryStore() as never),
  ]
  for (const make of refused) expect(make).toThrow(UsageError)
})

test('a session is opened at once if it is kept, and a revocation elsewhere ends it', async () => {
  const { clock, behind, store, channel } = world()
  const here = new SessionManager({ store, clock })
  const elsewhere = new SessionManager({ store: behind, clock })
  const jar = new TestJar()
  const login = jar.exchange()
  ;(await here.open(login)).assign('alice', { at: 0, amr: ['pwd'] })
  await here.commit(login)
  jar.receive(login)
  await here.open(jar.exchange())
  const session = here.open(jar.exchange())
  expect(session).toMatchObject({ subject: 'alice' })
  await elsewhere.revokeAll('alice')
  while (channel.waiting > 0) channel.deliver()
  expect(await here.open(jar.exchange())).toMatchObject({ absence: 'unknown' })
})

// ── every order of question, answer, change and announcement ─────────────────────────────────────────────────────────

/** A connection to the store: what is asked takes effect when told, and is answered when told. */
class Connection implements SessionStore, SubjectIndex, ChangeFeed {
  readonly #store: AnnouncingStore
  /** The calls that `begin` made. */
  #calls: Call[] = []

  constructor(store: AnnouncingStore) {
    this.#store = store
  }

  /** Calls of the connection that are made meanwhile: none where the cache answered. */
  during(begin: () => unknown): Call[] {
    this.#calls = []
    begin()
    return this.#calls
  }

  load(id: SessionId): Promise<SessionRecord | undefined> {
    return this.#call(() => this.#store.load(id))
  }

  insert(record: SessionRecord): Promise<void> {
    return this.#call(() => this.#store.insert(record))
  }

  replace(record: SessionRecord, version: number): ReturnType<SessionStore['replace']> {
    return this.#call(() => this.#store.replace(record, version))
  }

  touch(id: SessionId, seenAt: number, expiresAt: number): ReturnType<SessionStore['touch']> {
    return this.#call(() => this.#store.touch(id, seenAt, expiresAt))
  }

  remove(id: SessionId, version?: number): ReturnType<SessionStore['remove']> {
    return this.#call(() => this.#store.remove(id, version))
  }

  listBySubject(subject: string): Promise<SessionRecord[]> {
    return this.#call(() => this.#store.listBySubject(subject))
  }

  removeBySubject(subject: string, except?: SessionId): Promise<number> {
    return this.#call(() => this.#store.removeBySubject(subject, except))
  }

  insertWithin(record: SessionRecord, limit: number): Promise<number> {
    return this.#call(() => this.#store.insertWithin(record, limit))
  }

  subscribe(listener: ChangeListener): () => void {
    return this.#store.subscribe(listener)
  }

  #call<T>(effect: () => T): Promise<T> {
    return new Promise((resolve) => this.#calls.push(new Call(effect, resolve as (result: unknown) => void)))
  }
}

class Call {
  readonly #effect: () => unknown
  readonly #resolve: (result: unknown) => void
  #result: unknown

  constructor(effect: () => unknown, resolve: (result: unknown) => void) {
    this.#effect = effect
    this.#resolve = resolve
  }

  takeEffect(): void {
    this.#result = this.#effect()
  }

  async answer(): Promise<void> {
    this.#resolve(this.#result)
    await settling()
  }
}

/** Until nothing moves any more that waits for promises alone. */
async function settling(): Promise<void> {
  for (let turns = 0; turns < 8; turns++) await undefined
}

/** One session that this process keeps or not, and what happens to it at the same time. */
class Scene {
  readonly clock = testClock()
  readonly behind = new AnnouncingStore(this.clock)
  readonly connection = new Connection(this.behind)
  readonly store: Cached = cachedStore(this.connection, { clock: this.clock })
  readonly channel = this.behind.channels[0] as Channel
  readonly subject = freshSubject()
  readonly record = recordAt(this.clock(), { subject: this.subject })
  /** The newest version that a load in this process has returned; infinite once a load has found no record. */
  told = 0
  readonly #asked: Promise<unknown>[] = []

  constructor() {
    this.behind.insert(this.record)
  }

  /** A request: it asks, the question arrives, the answer arrives. */
  async ask(begin: () => Promise<unknown>, turn: Parameters<Script['run']>[0]): Promise<void> {
    const calls = await turn(() => this.connection.during(() => this.#asked.push(outcome(begin()))))
    await turn(() => {
      for (const call of calls) call.takeEffect()
    })
    await turn(async () => {
      for (const call of calls) await call.answer()
      await settling()
    })
  }

  /** A read in this process must not answer with less than its process had been told before it began. */
  async read(): Promise<void> {
    const { told } = this
    const found = await this.store.load(this.record.id)
    expect(found?.version ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(told)
    this.told = Math.max(this.told, found?.version ?? 0)
  }

  /** When all has arrived, the cache has nothing else than the store. */
  async check(): Promise<void> {
    for (const failure of await Promise.all(this.#asked)) expect(failure).toBeUndefined()
    while (this.channel.waiting > 0) this.channel.deliver()
    const found: unknown[] = []
    const calls = this.connection.during(async () => found.push(await this.store.load(this.record.id)))
    for (const call of calls) call.takeEffect()
    for (const call of calls) await call.answer()
    await settling()
    expect(found).toEqual([this.behind.records.load(this.record.id)])
  }
}

/** The error that something ends with, if it does. */
function outcome(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  )
}

test('a load under way finds nobody who asks after an insertion was answered', async () => {
  const inserting: ((store: Cached, record: SessionRecord) => unknown)[] = [
    (store, record) => store.insert(record),
    (store, record) => store.insertWithin(record, 5),
  ]
  for (const insert of inserting) {
    for (const subject of [null, freshSubject()]) {
      const scene = new Scene()
      const record = recordAt(scene.clock(), { subject })
      const [early] = scene.connection.during(() => scene.store.load(record.id))
      early?.takeEffect()
      const [inserted] = scene.connection.during(() => insert(scene.store, record))
      inserted?.takeEffect()
      await inserted?.answer()
      const found: unknown[] = []
      const late = scene.connection.during(async () => found.push(await scene.store.load(record.id)))
      for (const call of late) call.takeEffect()
      for (const call of [early, ...late]) await call?.answer()
      expect(found).toEqual([record])
    }
  }
})

type Actor = (scene: Scene) => Script

const changed = (record: SessionRecord) => ({ ...record, version: record.version + 1, data: '{"changed":1}' })

/** What happens in this process, in others, and on the channel between them. */
const actors = {
  read: (scene) => ({ kind: 'read', run: (turn) => scene.ask(() => scene.read(), turn) }),
  replace: (scene) => ({
    kind: 'replace',
    run: (turn) =>
      scene.ask(async () => {
        const result = await scene.store.replace(changed(scene.record), 1)
        if (result === 'done') scene.told = Math.max(scene.told, 2)
      }, turn),
  }),
  touch: (scene) => ({
    kind: 'touch',
    run: (turn) =>
      scene.ask(async () => {
        await scene.store.touch(scene.record.id, scene.record.seenAt + 1, scene.record.expiresAt + 1)
      }, turn),
  }),
  remove: (scene) => ({
    kind: 'remove',
    run: (turn) =>
      scene.ask(async () => {
        await scene.store.remove(scene.record.id)
        scene.told = Number.POSITIVE_INFINITY
      }, turn),
  }),
  'log out everywhere': (scene) => ({
    kind: 'log out everywhere',
    run: (turn) =>
      scene.ask(async () => {
        await scene.store.removeBySubject(scene.subject)
        scene.told = Number.POSITIVE_INFINITY
      }, turn),
  }),
  'log in beyond the limit': (scene) => ({
    kind: 'log in beyond the limit',
    run: (turn) =>
      scene.ask(async () => {
        await scene.store.insertWithin(recordAt(scene.clock() + 1, { subject: scene.subject }), 1)
        scene.told = Number.POSITIVE_INFINITY
      }, turn),
  }),
  'replaced elsewhere': (scene) => ({
    kind: 'replaced elsewhere',
    run: (turn) => turn(() => void scene.behind.replace(changed(scene.record), 1)),
  }),
  'removed elsewhere': (scene) => ({
    kind: 'removed elsewhere',
    run: (turn) => turn(() => void scene.behind.remove(scene.record.id)),
  }),
  announcement: (scene) => ({ kind: 'announcement', run: (turn) => turn(() => scene.channel.deliver()) }),
  'a cut': (scene) => ({
    kind: 'a cut',
    async run(turn) {
      await turn(() => scene.channel.cut())
      await turn(() => scene.channel.notice())
      await turn(() => scene.channel.connect())
    },
  }),
} satisfies Record<string, Actor>

const casts: readonly (readonly (keyof typeof actors)[])[] = [
  ['read', 'read', 'removed elsewhere', 'announcement'],
  ['read', 'read', 'replaced elsewhere', 'announcement'],
  ['read', 'read', 'replace', 'announcement'],
  ['read', 'read', 'touch', 'announcement'],
  ['read', 'read', 'remove', 'announcement'],
  ['read', 'read', 'log out everywhere', 'announcement'],
  ['read', 'read', 'log in beyond the limit', 'announcement'],
  ['read', 'replace', 'removed elsewhere', 'announcement', 'announcement'],
  ['read', 'replace', 'replaced elsewhere', 'announcement', 'announcement'],
  ['read', 'log out everywhere', 'replaced elsewhere', 'announcement'],
  ['read', 'a cut', 'removed elsewhere', 'announcement'],
  ['read', 'a cut', 'replaced elsewhere', 'announcement'],
  ['read', 'read', 'a cut', 'removed elsewhere'],
]

describe('whatever the order, no read of this process goes back, and in the end the cache agrees with the store', () => {
  test.each(casts.map((cast) => [cast.join(', '), cast] as const))('%s', async (_, cast) => {
    const orders = await everyInterleaving(() => {
      const scene = new Scene()
      return { scripts: cast.map((name) => actors[name](scene)), check: () => scene.check() }
    })
    expect(orders).toBeGreaterThan(50)
  })
})

function thrown(error: Error): never {
  throw error
}
