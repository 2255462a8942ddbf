import type { Awaitable, SessionId, SessionRecord, SessionStore, WriteResult } from 'gatepass/session'
import { afterEach, expect, test, vi } from 'vitest'
import { markerOf } from './about.ts'
import { moveRevision, saveRevision, Turns, whereabouts } from './commit.ts'

vi.mock('../timers.ts', () => import('../../test/replaceable-timers.ts'))

const base: SessionRecord = {
  id: 'old' as SessionId,
  handle: 'h',
  version: 1,
  subject: null,
  data: '{}',
  about: '{}',
  createdAt: 0,
  seenAt: 0,
  expiresAt: 1,
}

/** A store that gives the answers it is told, and keeps a list of what it was asked. */
function scripted(answers: { replace?: (Awaitable<WriteResult> | Error)[]; load?: (SessionRecord | undefined)[] }) {
  const calls: string[] = []
  const next = <T>(list: T[] | undefined, otherwise: T): T => {
    const answer = list === undefined || list.length === 0 ? otherwise : (list.shift() as T)
    if (answer instanceof Error) throw answer
    return answer
  }
  const store: SessionStore = {
    load(id) {
      calls.push(`load ${id}`)
      return next(answers.load, { ...base, version: calls.length })
    },
    insert(record) {
      calls.push(`insert ${record.id}`)
    },
    replace(record, version) {
      calls.push(`replace ${record.id} ${version}`)
      return next(answers.replace, 'conflict' as Awaitable<WriteResult>) as Awaitable<WriteResult>
    },
    touch: () => 'done',
    remove(id, version) {
      calls.push(version === undefined ? `remove ${id}` : `remove ${id} ${version}`)
      return 'done'
    },
  }
  return { store, calls }
}

const move = (store: SessionStore) => ({
  succeed: (newest: SessionRecord) => ({ ...newest, id: 'new' as SessionId, version: 1 }),
  insert: (record: SessionRecord) => store.insert(record),
  clock: () => 0,
})

afterEach(() => {
  vi.useRealTimers()
})

test('a save that meets no one asks the store once, and answers at once', () => {
  const { store, calls } = scripted({ replace: ['done'] })
  const saved = saveRevision(store, base, (newest) => ({ ...newest, version: newest.version + 1, data: '{"a":1}' }))
  expect(saved).toEqual({ ...base, version: 2, data: '{"a":1}' })
  expect(calls).toEqual(['replace old 1'])
})

test('a save on a newer revision is made of that revision', async () => {
  const { store, calls } = scripted({ replace: ['conflict', 'done'], load: [{ ...base, version: 7 }] })
  const saved = await saveRevision(store, base, (newest) => ({ ...newest, version: newest.version + 1 }))
  expect(saved?.version).toBe(8)
  expect(calls).toEqual(['replace old 1', 'load old', 'replace old 7'])
})

test.each([{ replace: ['gone' as const] }, { replace: ['conflict' as const], load: [undefined] }])(
  'a save of a session that has ended writes nothing (%j)',
  async (answers) => {
    const { store, calls } = scripted(answers)
    expect(await saveRevision(store, base, (newest) => newest)).toBeUndefined()
    expect(calls.filter((call) => call.startsWith('insert'))).toEqual([])
  },
)

test('a save is given up after many more attempts, as an error that says to come again', async () => {
  vi.useFakeTimers()
  const { store, calls } = scripted({})
  const failed = expect(saveRevision(store, base, (newest) => newest)).rejects.toMatchObject({
    code: 'ERR_SESSION_CONFLICT',
    status: 503,
    retryAfter: 1,
  })
  await vi.runAllTimersAsync()
  await failed
  expect(calls.filter((call) => call.startsWith('replace'))).toHaveLength(24)
})

test('the first retries follow at once; later ones wait, so that two processes do not keep step', async () => {
  vi.useFakeTimers()
  const { store, calls } = scripted({})
  const failed = expect(saveRevision(store, base, (newest) => newest)).rejects.toThrow()
  for (let turn = 0; turn < 50; turn++) await Promise.resolve()
  expect(calls.filter((call) => call.startsWith('replace'))).toHaveLength(4)
  expect(vi.getTimerCount()).toBe(1)
  await vi.runAllTimersAsync()
  await failed
})

test('a move inserts the new record before a marker takes the place of the old one', () => {
  const { store, calls } = scripted({ replace: ['done'] })
  expect(moveRevision(store, base, move(store))).toMatchObject({ id: 'new' })
  expect(calls).toEqual(['insert new', 'replace old 1'])
})

test('a move that meets a newer revision begins again with it', async () => {
  const { store, calls } = scripted({ replace: ['conflict', 'done'], load: [{ ...base, version: 8, data: '{"a":1}' }] })
  expect(await moveRevision(store, base, move(store))).toMatchObject({ id: 'new', data: '{"a":1}' })
  expect(calls).toEqual(['insert new', 'replace old 1', 'remove new', 'load old', 'insert new', 'replace old 8'])
})

test.each([
  ['has ended', undefined],
  ['has moved', markerOf(base, { ended: 'moved', next: 'elsewhere' as SessionId }, 0)],
])('a move of a session that %s leaves no new record', async (_how, found) => {
  const { store, calls } = scripted({ replace: ['conflict'], load: [found] })
  expect(await moveRevision(store, base, move(store))).toBeUndefined()
  expect(calls).toEqual(['insert new', 'replace old 1', 'remove new', 'load old'])
})

test('a move is given up after many more attempts, and leaves no new record', async () => {
  vi.useFakeTimers()
  const { store, calls } = scripted({})
  const failed = expect(moveRevision(store, base, move(store))).rejects.toMatchObject({ code: 'ERR_SESSION_CONFLICT' })
  await vi.runAllTimersAsync()
  await failed
  expect(calls.filter((call) => call.startsWith('insert'))).toHaveLength(24)
  expect(calls.at(-1)).toBe('remove new')
})

test.each([
  ['by throwing', () => new Error('down')],
  ['by a rejection', () => Promise.reject(new Error('down'))],
])('a store that fails in the middle of a move keeps no orphan (%s)', async (_how, failure) => {
  const { store, calls } = scripted({ replace: [failure()] })
  await expect((async () => moveRevision(store, base, move(store)))()).rejects.toThrow('down')
  expect(calls).toEqual(['insert new', 'replace old 1', 'remove new'])
})

test('markers are followed to the live record at their end, with the data keys that went all the way', async () => {
  const marker = (next: string, carry?: string[]) =>
    markerOf(base, { ended: 'moved', next: next as SessionId, ...(carry && { carry }) }, 0)
  const end = { ...base, id: 'end' as SessionId, handle: 'another' }
  const load = [marker('b', ['cart', 'lang']), marker('c'), marker('end', ['lang', 'theme']), end]
  const { store, calls } = scripted({ load })
  expect(await whereabouts(store, 'a' as SessionId, () => 0)).toEqual({ record: end, carry: ['lang'] })
  expect(calls).toEqual(['load a', 'load b', 'load c', 'load end'])
})

test.each([
  ['that leads nowhere', markerOf(base, { ended: 'loggedOut' }, 0), 0],
  ['that is a minute old, whatever the store says', markerOf(base, { ended: 'moved', next: base.id }, 0), 60_000],
])('a marker %s is not followed', async (_which, marker, now) => {
  const { store, calls } = scripted({ load: [marker] })
  expect(await whereabouts(store, base.id, () => now)).toBeUndefined()
  expect(calls).toEqual(['load old'])
})

test('writers of one process take turns, and each begins with what the one before it stored', async () => {
  const { store, calls } = scripted({ replace: ['done', 'done', 'done'] })
  const later: SessionStore = { ...store, replace: async (record, version) => store.replace(record, version) }
  const turns = new Turns()
  const write = () =>
    turns.take(base, (newest) => saveRevision(later, newest, (record) => ({ ...record, version: record.version + 1 })))
  await Promise.all([write(), write(), write()])
  expect(calls).toEqual(['replace old 1', 'replace old 2', 'replace old 3'])
})

test('a writer whose turn comes after a failure begins with what it knows itself', async () => {
  const { store, calls } = scripted({ replace: ['done'] })
  const turns = new Turns()
  const failing = turns.take(base, () => Promise.reject(new Error('down')))
  const writing = turns.take(base, (newest) => saveRevision(store, newest, (record) => record))
  await expect(failing).rejects.toThrow('down')
  expect(await writing).toEqual(base)
  expect(calls).toEqual(['replace old 1'])
})
