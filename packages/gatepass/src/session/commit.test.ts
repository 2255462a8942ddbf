import { expect, test } from 'vitest'
import type { Awaitable } from '../awaitable.ts'
import { moveRevision, saveRevision } from './commit.ts'
import type { SessionId, SessionRecord, SessionStore, WriteResult } from './store.ts'

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
function scripted(answers: {
  replace?: WriteResult[]
  remove?: (Awaitable<WriteResult> | Error)[]
  load?: (SessionRecord | undefined)[]
}) {
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
      return next(answers.replace, 'conflict')
    },
    touch: () => 'done',
    remove(id, version) {
      calls.push(version === undefined ? `remove ${id}` : `remove ${id} ${version}`)
      return next(
        version === undefined ? [] : answers.remove,
        'done' as Awaitable<WriteResult>,
      ) as Awaitable<WriteResult>
    },
  }
  return { store, calls }
}

const move = (store: SessionStore) => ({
  succeed: (newest: SessionRecord) => ({ ...newest, id: 'new' as SessionId, version: 1 }),
  insert: (record: SessionRecord) => store.insert(record),
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

test('a save is given up after eight more attempts, as an error that says to come again', () => {
  const { store, calls } = scripted({})
  expect(() => saveRevision(store, base, (newest) => newest)).toThrow(
    expect.objectContaining({ code: 'ERR_SESSION_CONFLICT', status: 503, retryAfter: 1 }),
  )
  expect(calls.filter((call) => call.startsWith('replace'))).toHaveLength(9)
})

test('a move inserts the new record before it removes the old one', () => {
  const { store, calls } = scripted({ remove: ['done'] })
  expect(moveRevision(store, base, move(store))).toMatchObject({ id: 'new' })
  expect(calls).toEqual(['insert new', 'remove old 1'])
})

test('a move that meets a newer revision begins again with it', async () => {
  const { store, calls } = scripted({ remove: ['conflict', 'done'], load: [{ ...base, version: 8, data: '{"a":1}' }] })
  expect(await moveRevision(store, base, move(store))).toMatchObject({ id: 'new', data: '{"a":1}' })
  expect(calls).toEqual(['insert new', 'remove old 1', 'remove new', 'load old', 'insert new', 'remove old 8'])
})

test('a move of a session that has ended leaves no new record', async () => {
  const { store, calls } = scripted({ remove: ['gone'] })
  expect(await moveRevision(store, base, move(store))).toBeUndefined()
  expect(calls).toEqual(['insert new', 'remove old 1', 'remove new'])
})

test('a move is given up after eight more attempts, and leaves no new record', () => {
  const { store, calls } = scripted({ remove: Array(20).fill('conflict') })
  expect(() => moveRevision(store, base, move(store))).toThrow(
    expect.objectContaining({ code: 'ERR_SESSION_CONFLICT' }),
  )
  expect(calls.filter((call) => call.startsWith('insert'))).toHaveLength(9)
  expect(calls.at(-1)).toBe('remove new')
})

test.each([
  ['by throwing', () => new Error('down')],
  ['by a rejection', () => Promise.reject(new Error('down'))],
])('a store that fails in the middle of a move keeps no orphan (%s)', async (_how, failure) => {
  const { store, calls } = scripted({ remove: [failure()] })
  await expect((async () => moveRevision(store, base, move(store)))()).rejects.toThrow('down')
  expect(calls).toEqual(['insert new', 'remove old 1', 'remove new'])
})
