import { type Awaitable, andThen } from '../awaitable.ts'
import { StoreError } from '../error.ts'
import type { SessionRecord, SessionStore, SubjectIndex, WriteResult } from './store.ts'

/** How often a write is tried again on a newer revision before the request is refused. */
const MAX_ATTEMPTS = 8

export interface Stores {
  readonly store: SessionStore
  readonly index?: SubjectIndex | undefined
}

/** What a record should become; called again with a newer revision if somebody else was faster. */
export type Revise = (newest: SessionRecord) => SessionRecord

/**
 * Saves what `revise` makes of the newest revision, `base` if nobody was faster.
 *
 * @returns the record as stored, or `undefined` if the session has ended since: then nothing was written
 * @throws {StoreError} `ERR_SESSION_CONFLICT` if others were faster every time
 */
export function saveRevision(
  store: SessionStore,
  base: SessionRecord,
  revise: Revise,
  attempt = 1,
): Awaitable<SessionRecord | undefined> {
  const next = revise(base)
  return andThen(store.replace(next, base.version), (result) => {
    switch (result) {
      case 'done':
        return next
      case 'gone':
        return undefined
      case 'conflict':
        return again(store, base, attempt, (newest) => saveRevision(store, newest, revise, attempt + 1))
    }
  })
}

/**
 * Moves a session to the record that `succeed` makes of the newest revision, under another id.
 *
 * Inserts first: a crash in between leaves an orphan that expires, not a user who lost a cart. The old record is then
 * removed by version, so that a change made to it meanwhile is carried over rather than lost.
 *
 * @returns the record as stored, or `undefined` if the session has ended since: then no new record remains either
 * @throws {StoreError} `ERR_SESSION_CONFLICT` if others were faster every time
 */
export function moveRevision(
  store: SessionStore,
  base: SessionRecord,
  move: { readonly succeed: Revise; readonly insert: (record: SessionRecord) => Awaitable<void> },
  attempt = 1,
): Awaitable<SessionRecord | undefined> {
  const next = move.succeed(base)
  return andThen(move.insert(next), () =>
    andThen(removeOld(store, base, next), (result) => {
      if (result === 'done') return next
      return andThen(store.remove(next.id), () =>
        result === 'gone'
          ? undefined
          : again(store, base, attempt, (newest) => moveRevision(store, newest, move, attempt + 1)),
      )
    }),
  )
}

/**
 * Ends a session, and if it has moved on to another id meanwhile, ends it there: a logout must not lose to a rotation.
 * Without an index there is no way to know where it went.
 */
export function endRevision(stores: Stores, record: SessionRecord): Awaitable<void> {
  const { store, index } = stores
  const { id, handle, subject } = record
  return andThen(store.remove(id, record.version), (result) => (result === 'done' ? undefined : searchOn(result)))

  async function searchOn(result: WriteResult): Promise<void> {
    if (result === 'conflict') await store.remove(id)
    if (index === undefined || subject === null) return
    await endHandle({ store, index }, subject, handle)
  }
}

/**
 * Ends the session that a subject knows by its public handle.
 *
 * @returns whether there was one
 * @throws {StoreError} `ERR_SESSION_CONFLICT` if others were faster every time
 */
export async function endHandle(
  stores: { readonly store: SessionStore; readonly index: SubjectIndex },
  subject: string,
  handle: string,
): Promise<boolean> {
  for (let attempt = 0; attempt <= MAX_ATTEMPTS; attempt++) {
    const listed = await stores.index.listBySubject(subject)
    const records = listed.filter((record) => record.handle === handle)
    if (records.length === 0) return attempt > 0
    // By version, so that a session that moves on to another id at this very moment is looked for again.
    const results = await Promise.all(records.map(({ id, version }) => stores.store.remove(id, version)))
    if (results.every((result) => result === 'done')) return true
  }
  throw tooManyConflicts()
}

/** If the store fails here, nobody will ever hold the new token; its record goes too, as far as the store still answers. */
function removeOld(store: SessionStore, old: SessionRecord, next: SessionRecord): Awaitable<WriteResult> {
  const abandon = async (error: unknown): Promise<never> => {
    try {
      await store.remove(next.id)
    } catch {
      // The first failure is the one to report; the orphan expires.
    }
    throw error
  }
  try {
    const result = store.remove(old.id, old.version)
    return result instanceof Promise ? result.catch(abandon) : result
  } catch (error) {
    return abandon(error)
  }
}

function again(
  store: SessionStore,
  base: SessionRecord,
  attempt: number,
  next: (newest: SessionRecord) => Awaitable<SessionRecord | undefined>,
): Awaitable<SessionRecord | undefined> {
  if (attempt > MAX_ATTEMPTS) throw tooManyConflicts()
  return andThen(store.load(base.id), (newest) => (newest === undefined ? undefined : next(newest)))
}

function tooManyConflicts(): StoreError {
  return new StoreError(
    'ERR_SESSION_CONFLICT',
    `A session was changed by others ${MAX_ATTEMPTS + 1} times while it was saved`,
    {
      hint: 'Too many requests of one browser write to its session at once; keep counters and logs elsewhere.',
    },
  )
}
