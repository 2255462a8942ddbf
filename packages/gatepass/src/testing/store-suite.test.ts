import * as nodeTest from 'node:test'
import type { SessionId, SessionRecord, SessionStore, SubjectIndex, WriteResult } from 'gatepass/session'
import { type StoreUnderTest, storeSuite, type TestClock } from 'gatepass/testing'
import { describe, expect, test } from 'vitest'
import { ModelStore } from './model-store.ts'
import { recordAt } from './store-records.ts'

storeSuite('the model', ({ clock }) => ({ store: new ModelStore(clock) }), { test, describe })

type Store = SessionStore & SubjectIndex
interface Context {
  readonly honest: ModelStore
  readonly clock: TestClock
  /** Does `work` as if the time were so many milliseconds earlier. */
  earlier<T>(milliseconds: number, work: () => T): T
}
/** A store that breaks the contract in one way. */
type Mutation = (context: Context) => Partial<Store>

const methods = [
  'load',
  'insert',
  'replace',
  'touch',
  'remove',
  'listBySubject',
  'removeBySubject',
  'insertWithin',
] as const

/** One method lives in the past: to it, what has expired is still alive. */
function seesTheDead(method: (typeof methods)[number], milliseconds: number): Mutation {
  return ({ honest, earlier }) => ({
    [method]: (...args: never[]) =>
      earlier(milliseconds, () => (honest[method] as (...args: never[]) => unknown)(...args)),
  })
}

const liveCopy = (store: ModelStore, id: SessionId): SessionRecord => store.load(id) as SessionRecord

const mutations: Readonly<Record<string, Mutation>> = {
  ...Object.fromEntries(
    methods.map((method) => [`an expired record is seen by ${method}`, seesTheDead(method, 3600_000)]),
  ),
  ...Object.fromEntries(methods.map((method) => [`${method} sees a record at its expiry`, seesTheDead(method, 1)])),
  'replace is an upsert': ({ honest }) => ({
    replace(record, version) {
      const result = honest.replace(record, version)
      if (result === 'gone') honest.insert(record)
      return result === 'gone' ? 'done' : result
    },
  }),
  'replace writes whatever the version': ({ honest }) => ({
    replace: (record) => honest.replace(record, honest.load(record.id)?.version ?? 0),
  }),
  'replace also takes the version before': ({ honest }) => ({
    replace(record, version) {
      const result = honest.replace(record, version)
      return result === 'conflict' ? honest.replace(record, version + 1) : result
    },
  }),
  'replace keeps the version': ({ honest }) => ({
    replace(record, version) {
      const result = honest.replace(record, version)
      if (result === 'done') swap(honest, { ...liveCopy(honest, record.id), version })
      return result
    },
  }),
  'replace takes the beginning it is given': ({ honest }) => ({
    replace(record, version) {
      const result = honest.replace(record, version)
      if (result === 'done') swap(honest, { ...record, version: version + 1 })
      return result
    },
  }),
  'replace says conflict where nothing is': ({ honest }) => ({
    replace: (record, version) => (honest.replace(record, version) === 'done' ? 'done' : 'conflict'),
  }),
  'replace never shortens a life': ({ honest }) => ({
    replace: (record, version) =>
      honest.replace(
        { ...record, expiresAt: Math.max(record.expiresAt, honest.load(record.id)?.expiresAt ?? 0) },
        version,
      ),
  }),
  'replace looks, and writes a moment later': ({ honest }) => ({
    async replace(record, version) {
      const stored = honest.load(record.id)
      await Promise.resolve()
      if (stored === undefined) return 'gone'
      if (stored.version !== version) return 'conflict'
      return honest.replace(record, honest.load(record.id)?.version ?? 0)
    },
  }),
  'touch inserts': ({ honest, clock }) => ({
    touch(id, seenAt, expiresAt) {
      const result = honest.touch(id, seenAt, expiresAt)
      const bare = { ...recordAt(clock()), id, seenAt, expiresAt }
      if (result === 'gone') honest.insert(bare)
      return result
    },
  }),
  'touch is a new version': ({ honest }) => ({
    touch(id, seenAt, expiresAt) {
      const result = honest.touch(id, seenAt, expiresAt)
      if (result === 'done') honest.replace(liveCopy(honest, id), liveCopy(honest, id).version)
      return result
    },
  }),
  'touch moves an expiry back': ({ honest }) => ({
    touch(id, seenAt, expiresAt) {
      const result = honest.touch(id, seenAt, expiresAt)
      if (result === 'done') swap(honest, { ...liveCopy(honest, id), expiresAt })
      return result
    },
  }),
  'touch moves seenAt back': ({ honest }) => ({
    touch(id, seenAt, expiresAt) {
      const result = honest.touch(id, seenAt, expiresAt)
      if (result === 'done') swap(honest, { ...liveCopy(honest, id), seenAt })
      return result
    },
  }),
  'touch writes back what it read before': ({ honest }) => {
    const first = new Map<SessionId, SessionRecord>()
    return {
      insert(record) {
        first.set(record.id, { ...record })
        honest.insert(record)
      },
      touch(id, seenAt, expiresAt) {
        const result = honest.touch(id, seenAt, expiresAt)
        if (result === 'done') swap(honest, { ...liveCopy(honest, id), data: first.get(id)?.data ?? '{}' })
        return result
      },
    }
  },
  'remove ignores the version': ({ honest }) => ({
    remove: (id, version) => (honest.load(id) ? honest.remove(id) : honest.remove(id, version)),
  }),
  'remove with a version is done where nothing is': ({ honest }) => ({
    remove(id, version) {
      const result = honest.remove(id, version)
      return result === 'gone' ? 'done' : result
    },
  }),
  'remove without a version is gone where nothing is': ({ honest }) => ({
    remove: (id, version) => (honest.load(id) ? honest.remove(id, version) : 'gone'),
  }),
  'remove only pretends': () => ({ remove: (): WriteResult => 'done' }),
  'insert overwrites': ({ honest }) => ({ insert: (record) => swap(honest, record) }),
  'insert looks, and writes a moment later': ({ honest }) => ({
    async insert(record) {
      const taken = honest.load(record.id) !== undefined
      await Promise.resolve()
      if (taken) honest.insert(record)
      else swap(honest, record)
    },
  }),
  'load answers with the record itself': ({ honest }) => {
    const loaded = new Map<string, SessionRecord>()
    return {
      load(id) {
        const record = honest.load(id)
        if (record === undefined) return undefined
        const same = loaded.get(`${id} ${JSON.stringify(record)}`) ?? record
        loaded.set(`${id} ${JSON.stringify(record)}`, same)
        return same
      },
    }
  },
  'text ends at NUL': ({ honest }) => ({
    insert: (record) => honest.insert({ ...record, data: record.data.split('\0')[0] ?? '' }),
  }),
  'text is normalised': ({ honest }) => ({
    insert: (record) => honest.insert({ ...record, about: record.about.normalize('NFC') }),
  }),
  'text is cut at 64 KiB': ({ honest }) => ({
    insert: (record) => honest.insert({ ...record, data: record.data.slice(0, 65_536) }),
  }),
  'time is kept in seconds': ({ honest }) => ({
    insert: (record) => honest.insert({ ...record, createdAt: Math.floor(record.createdAt / 1000) * 1000 }),
  }),
  'the list begins with the oldest': ({ honest }) => ({
    listBySubject: (subject) => honest.listBySubject(subject).reverse(),
  }),
  ...alike('case', (subject) => subject.toLowerCase()),
  ...alike('trailing space', (subject) => subject.trimEnd()),
  ...alike('Unicode normal form', (subject) => subject.normalize('NFC')),
  'nobody is the empty subject': ({ honest }) => ({
    insert: (record) => honest.insert({ ...record, subject: record.subject ?? '' }),
    load(id) {
      const record = honest.load(id)
      return record && { ...record, subject: record.subject || null }
    },
  }),
  'removeBySubject spares nobody': ({ honest }) => ({ removeBySubject: (subject) => honest.removeBySubject(subject) }),
  'removeBySubject counts the spared one': ({ honest }) => ({
    removeBySubject(subject, except) {
      const count = honest.listBySubject(subject).length
      honest.removeBySubject(subject, except)
      return count
    },
  }),
  'insertWithin keeps one too many': ({ honest }) => ({
    insertWithin: (record, limit) => honest.insertWithin(record, limit + 1),
  }),
  'insertWithin keeps one too few': ({ honest }) => ({
    insertWithin: (record, limit) => honest.insertWithin(record, limit - 1),
  }),
  'insertWithin removes the newest': ({ honest }) => ({
    insertWithin(record, limit) {
      const surplus =
        record.subject === null ? [] : honest.listBySubject(record.subject).slice(0, -(limit - 1) || undefined)
      honest.insert(record)
      for (const { id } of surplus) honest.remove(id)
      return surplus.length
    },
  }),
  'insertWithin counts records': ({ honest }) => ({
    insertWithin(record, limit) {
      const others = record.subject === null ? [] : honest.listBySubject(record.subject)
      honest.insert(record)
      const surplus = others.slice(Math.max(limit, 1) - 1)
      for (const { id } of surplus) honest.remove(id)
      return surplus.length
    },
  }),
  'replace writes another handle': ({ honest }) => ({
    replace(record, version) {
      const { createdAt } = honest.load(record.id) ?? record
      const result = honest.replace(record, version)
      if (result !== 'done') return result
      honest.remove(record.id)
      honest.insert({ ...record, createdAt, version: version + 1 })
      return 'done'
    },
  }),
  'insertWithin may remove what it inserts': ({ honest }) => ({
    insertWithin(record, limit) {
      honest.insert(record)
      const surplus = record.subject === null ? [] : honest.listBySubject(record.subject).slice(Math.max(1, limit))
      for (const { id } of surplus) honest.remove(id)
      return surplus.length
    },
  }),
  'insertWithin removes before it is refused': ({ honest }) => ({
    insertWithin(record, limit) {
      const surplus = record.subject === null ? [] : honest.listBySubject(record.subject).slice(Math.max(limit, 1) - 1)
      for (const { id } of surplus) honest.remove(id)
      honest.insert(record)
      return surplus.length
    },
  }),
  'insertWithin miscounts': ({ honest }) => ({
    insertWithin(record, limit) {
      honest.insertWithin(record, limit)
      return 0
    },
  }),
  'insertWithin looks, and writes a moment later': ({ honest }) => ({
    async insertWithin(record, limit) {
      const others = record.subject === null ? [] : honest.listBySubject(record.subject)
      await Promise.resolve()
      honest.insert(record)
      const surplus = others.slice(Math.max(limit, 1) - 1)
      for (const { id } of surplus) honest.remove(id)
      return surplus.length
    },
  }),
  'the list of a subject is as it was when its sessions were inserted': ({ honest }) => {
    const subjects = new Map<SessionId, string | null>()
    return {
      insert(record) {
        subjects.set(record.id, record.subject)
        honest.insert(record)
      },
      listBySubject: (subject) =>
        [...subjects].filter(([, inserted]) => inserted === subject).flatMap(([id]) => honest.load(id) ?? []),
    }
  },
  'a store that calls itself synchronous promises': ({ honest }) => ({
    synchronous: true,
    load: async (id) => honest.load(id),
  }),
}

test.each(Object.entries(mutations))('the suite refuses a store of which %s', async (_, mutation) => {
  const refused = await titlesRefused(({ clock }) => ({ store: mutant(clock, mutation) }))
  expect(refused).not.toEqual([])
})

const refusedByOrder: Readonly<Record<string, string>> = {
  'replace is an upsert': 'change and destroy',
  'replace writes whatever the version': 'change and change',
  'replace keeps the version': 'count and count',
  'touch inserts': 'destroy and touch',
  'touch is a new version': 'change and touch',
  'remove ignores the version': 'change and revoke',
  'an expired record is seen by replace': 'change and expire',
  'an expired record is seen by touch': 'touch and expire',
  'insertWithin keeps one too many': 'login and touch',
  'remove only pretends': 'rotate and rotate',
}

test.each(Object.entries(refusedByOrder))('in some order of steps it shows that %s: %s', async (name, acts) => {
  const refused = await titlesRefused(({ clock }) => ({ store: mutant(clock, mutations[name] as Mutation) }))
  expect(refused).toContain(`in every order of ${acts} nothing is lost and nothing comes back`)
})

test('the suite refuses a second handle that remembers what it has loaded', async () => {
  const refused = await titlesRefused(({ clock }) => {
    const store = new ModelStore(clock)
    const remembered = new Map<SessionId, SessionRecord>()
    const load = (id: SessionId) => {
      const record = remembered.get(id) ?? store.load(id)
      if (record !== undefined) remembered.set(id, record)
      return record
    }
    return { store, second: { ...delegate(store), load } }
  })
  expect(refused).toContain('in every order of change and change nothing is lost and nothing comes back')
})

test('a refusal shows the steps that led to it, and what the last should have answered', async () => {
  const bodies = bodiesOf(({ clock }) => ({ store: mutant(clock, mutations['replace is an upsert'] as Mutation) }))
  const run = bodies.get('in every order of change and destroy nothing is lost and nothing comes back')
  await expect(run?.()).rejects.toThrow(
    /the last answer should be: gone\n {2}A {2}load S → version 1, \{\}, until \d+\n {2}B {2}load S → .*\n {2}B {2}remove S → done\n {2}A {2}replace S, version 1 → done$/,
  )
})

test('a store without an index by subject is asked for none, if it says so', async () => {
  const plain = (clock: TestClock): SessionStore => {
    const { listBySubject: _, removeBySubject: __, insertWithin: ___, ...rest } = delegate(new ModelStore(clock))
    return rest
  }
  expect(await titlesRefused(({ clock }) => ({ store: plain(clock) }), { subjectIndex: false })).toEqual([])
  const silent = await titlesRefused(({ clock }) => ({ store: plain(clock) }))
  expect(silent).toContain('a record is loaded as it was inserted')
})

test('every store that was made is closed, also when a test fails', async () => {
  let open = 0
  await titlesRefused(({ clock }) => {
    open++
    const store = mutant(clock, mutations['remove only pretends'] as Mutation)
    return { store, close: () => void open-- }
  })
  expect(open).toBe(0)
})

test('the functions of node:test fit, with and without groups', () => {
  const make = ({ clock }: { clock: TestClock }) => ({ store: new ModelStore(clock) })
  const runner: Parameters<typeof storeSuite>[2] = { test: nodeTest.test, describe: nodeTest.describe }
  expect(runner.test).toBe(nodeTest.test)
  const names: string[] = []
  storeSuite('mine', make, { test: (name) => names.push(name) })
  expect(names[0]).toBe('mine: a record is loaded as it was inserted')
})

function mutant(clock: TestClock, mutation: Mutation): Store {
  let behind = 0
  const honest = new ModelStore(() => clock() - behind)
  const earlier = <T>(milliseconds: number, work: () => T): T => {
    behind = milliseconds
    try {
      return work()
    } finally {
      behind = 0
    }
  }
  return { ...delegate(honest), ...mutation({ honest, clock, earlier }) }
}

function delegate(store: ModelStore): Store {
  return {
    load: (id) => store.load(id),
    insert: (record) => store.insert(record),
    replace: (record, version) => store.replace(record, version),
    touch: (id, seenAt, expiresAt) => store.touch(id, seenAt, expiresAt),
    remove: (id, version) => store.remove(id, version),
    listBySubject: (subject) => store.listBySubject(subject),
    removeBySubject: (subject, except) => store.removeBySubject(subject, except),
    insertWithin: (record, limit) => store.insertWithin(record, limit),
  }
}

/** Puts a record in the place of another with its id. */
function swap(store: ModelStore, record: SessionRecord): void {
  store.remove(record.id)
  store.insert(record)
}

/** A store to which subjects are the same that `fold` makes the same. */
function alike(what: string, fold: (subject: string) => string): Record<string, Mutation> {
  return {
    [`subjects differ in ${what} alone`]: ({ honest }) => {
      const all = new Set<SessionId>()
      return {
        insert(record) {
          all.add(record.id)
          honest.insert(record)
        },
        listBySubject: (subject) =>
          [...all]
            .flatMap((id) => honest.load(id) ?? [])
            .filter((record) => record.subject !== null && fold(record.subject) === fold(subject))
            .sort((a, b) => b.createdAt - a.createdAt),
      }
    },
  }
}

type Make = (context: { clock: TestClock }) => StoreUnderTest

function bodiesOf(make: Make, options: { subjectIndex?: boolean } = {}): Map<string, () => Promise<void>> {
  const bodies = new Map<string, () => Promise<void>>()
  const describe = (_: string, register: () => void) => register()
  storeSuite('mutant', make, { test: (name, body) => bodies.set(name, body), describe, ...options })
  return bodies
}

/** Titles of the tests that a store fails; those of three requests take long and are left out. */
async function titlesRefused(make: Make, options: { subjectIndex?: boolean } = {}): Promise<string[]> {
  const refused: string[] = []
  for (const [title, body] of bodiesOf(make, options)) {
    if (/order of .*, /.test(title)) continue
    await body().catch(() => refused.push(title))
  }
  return refused
}
