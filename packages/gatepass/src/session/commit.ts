import { type Awaitable, andThen, orElse } from '../awaitable.ts'
import { StoreError } from '../error.ts'
import { setTimeout } from '../timers.ts'
import { markerOf, readMarker } from './about.ts'
import type { SessionId, SessionRecord, SessionStore, SubjectIndex, Timestamp, WriteResult } from './store.ts'

/** How often one write is tried, each time on the newest revision, before the request is refused. */
const TRIES = 24
/** The first retries do not wait, since few requests compete. Later retries wait, so that many writers spread out. */
const EAGER_RETRIES = 3
/** Longest pause before a retry, in milliseconds. */
const LONGEST_PAUSE = 50
/** More moves than a session can make while its markers last. */
const MOST_MOVES = 100

/** Returns what a record should become. It is called again with a newer revision if another request was faster. */
export type Revise = (newest: SessionRecord) => SessionRecord

/** What saving needs of a store. */
type RevisionStore = Pick<SessionStore, 'load' | 'replace'>

/**
 * Applies `revise` to the newest revision of this record and saves the result.
 *
 * @returns the stored record, or `undefined` if the session has ended or moved and nothing was written
 * @throws {StoreError} `ERR_SESSION_CONFLICT` if another request was faster every time
 */
export function saveRevision(
  store: RevisionStore,
  base: SessionRecord,
  revise: Revise,
): Awaitable<SessionRecord | undefined> {
  const next = revise(base)
  return andThen(store.replace(next, base.version), (result) => {
    if (result === 'done') return next
    return result === 'gone' ? undefined : saveAgain(store, base.id, revise)
  })
}

async function saveAgain(store: RevisionStore, id: SessionId, revise: Revise): Promise<SessionRecord | undefined> {
  for (let attempt = 1; attempt < TRIES; attempt++) {
    const newest = await reload(store, id, attempt)
    if (newest === undefined) return undefined
    const next = revise(newest)
    const result = await store.replace(next, newest.version)
    if (result === 'done') return next
    if (result === 'gone') return undefined
  }
  throw tooManyConflicts()
}

/** How a session moves to another id. */
export interface Move {
  /** The record under the new id. */
  readonly succeed: Revise
  readonly insert: (record: SessionRecord) => Awaitable<void>
  /** The data keys that are kept if the session gets another handle. */
  readonly carry?: readonly string[] | undefined
  readonly clock: () => Timestamp
}

/**
 * Moves a session to another id, with the record that `succeed` makes from the newest revision.
 *
 * Insert first: a crash in between leaves an orphan that expires, not a user who lost a cart. Then a marker that names the
 * new id replaces the old record, by version. A change made in between is carried over; a later change follows the marker.
 *
 * @returns the new record, or `undefined` if the session has ended or moved elsewhere and no new record remains
 * @throws {StoreError} `ERR_SESSION_CONFLICT` if another request was faster every time
 */
export function moveRevision(
  store: SessionStore,
  base: SessionRecord,
  move: Move,
): Awaitable<SessionRecord | undefined> {
  const next = move.succeed(base)
  return andThen(move.insert(next), () =>
    andThen(leave(store, base, next, move), (result) =>
      result === 'done' ? next : moveAgain(store, next, base, move),
    ),
  )
}

/** @param lost the inserted record that is not needed, because another request changed the session first */
async function moveAgain(
  store: SessionStore,
  lost: SessionRecord,
  { id }: SessionRecord,
  move: Move,
): Promise<SessionRecord | undefined> {
  for (let attempt = 1; attempt < TRIES; attempt++) {
    await store.remove(lost.id)
    const newest = await reload(store, id, attempt)
    if (newest === undefined) return undefined
    const next = move.succeed(newest)
    await move.insert(next)
    if ((await leave(store, newest, next, move)) === 'done') return next
    lost = next
  }
  await store.remove(lost.id)
  throw tooManyConflicts()
}

/**
 * Replaces the old record with a marker. If the store fails here, no browser ever gets the new token, so the new record is
 * removed, if the store still answers.
 */
function leave(store: SessionStore, old: SessionRecord, next: SessionRecord, move: Move): Awaitable<WriteResult> {
  const carry = next.handle === old.handle ? undefined : move.carry
  const marker = markerOf(old, { ended: 'moved', next: next.id, ...(carry && { carry }) }, move.clock())
  return orElse<WriteResult>(
    () => store.replace(marker, old.version),
    async (error) => {
      // The first failure is the one to report. If the store fails again, the orphan expires.
      await orElse<WriteResult>(
        () => store.remove(next.id),
        () => 'gone',
      )
      throw error
    },
  )
}

/** The record that a moved session has now. */
export interface Whereabouts {
  readonly record: SessionRecord
  /** The data keys that every move on the way has kept; `undefined` means all of them, with an unchanged handle. */
  readonly carry: readonly string[] | undefined
}

/** Follows the markers from `id` to the live record at their end; `undefined` if the session has ended there. */
export async function whereabouts(
  store: SessionStore,
  id: SessionId,
  clock: () => Timestamp,
): Promise<Whereabouts | undefined> {
  let at = id
  let carry: readonly string[] | undefined
  for (let moves = 0; moves < MOST_MOVES; moves++) {
    const record = await store.load(at)
    if (record === undefined) return undefined
    const marker = readMarker(record)
    if (marker === undefined) return { record, carry }
    if (marker.next === undefined || marker.until <= clock()) return undefined
    const kept = marker.carry
    if (kept !== undefined) carry = carry === undefined ? kept : carry.filter((key) => kept.includes(key))
    at = marker.next
  }
  return undefined
}

/**
 * Ends the session under this id, also if it has just moved to another id.
 *
 * @returns whether there was one
 * @throws {StoreError} `ERR_SESSION_CONFLICT` if another request was faster every time
 */
export async function endId(store: SessionStore, id: SessionId, clock: () => Timestamp): Promise<boolean> {
  const handle = (await store.load(id))?.handle
  for (let attempt = 0; attempt < TRIES; attempt++) {
    await pause(attempt)
    const there = await whereabouts(store, id, clock)
    if (there === undefined || there.record.handle !== handle) return false
    if ((await store.remove(there.record.id, there.record.version)) === 'done') return true
  }
  throw tooManyConflicts()
}

/**
 * Ends the session that a subject knows by its public handle.
 *
 * @returns whether there was one
 * @throws {StoreError} `ERR_SESSION_CONFLICT` if another request was faster every time
 */
export async function endHandle(
  stores: { readonly store: SessionStore; readonly index: SubjectIndex },
  subject: string,
  handle: string,
): Promise<boolean> {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    await pause(attempt)
    const listed = await stores.index.listBySubject(subject)
    const records = listed.filter((record) => record.handle === handle)
    if (records.length === 0) return attempt > 0
    // By version: if the session moves to another id at this moment, the loop looks for it again.
    const results = await Promise.all(records.map(({ id, version }) => stores.store.remove(id, version)))
    if (results.every((result) => result === 'done')) return true
  }
  throw tooManyConflicts()
}

/**
 * Lets the writers of one process to one record take turns. Each starts from what the previous one stored, so that they do
 * not conflict in the store.
 */
export class Turns {
  readonly #last = new Map<SessionId, Promise<SessionRecord | undefined>>()

  /** @param write receives the newest revision that this process knows, and returns the record that it stored */
  take(
    base: SessionRecord,
    write: (newest: SessionRecord) => Awaitable<SessionRecord | undefined>,
  ): Awaitable<SessionRecord | undefined> {
    const { id } = base
    const before = this.#last.get(id)
    const writing = before === undefined ? write(base) : before.then((newest) => write(newer(base, newest)))
    if (!(writing instanceof Promise)) return writing
    const last = writing.catch(() => undefined)
    this.#last.set(id, last)
    last.then(() => {
      if (this.#last.get(id) === last) this.#last.delete(id)
    })
    return writing
  }
}

function newer(base: SessionRecord, stored: SessionRecord | undefined): SessionRecord {
  const usable = stored?.id === base.id && stored.version > base.version && readMarker(stored) === undefined
  return usable ? stored : base
}

/** Loads the newest revision; `undefined` if the session has ended or moved. */
async function reload(store: RevisionStore, id: SessionId, attempt: number): Promise<SessionRecord | undefined> {
  await pause(attempt)
  const record = await store.load(id)
  return record === undefined || readMarker(record) !== undefined ? undefined : record
}

/** Waits a random time: writers of several processes that conflicted once would conflict again at the same pace. */
function pause(attempt: number): Promise<void> | undefined {
  if (attempt <= EAGER_RETRIES) return undefined
  const longest = Math.min(2 ** (attempt - EAGER_RETRIES), LONGEST_PAUSE)
  return new Promise((resolve) => setTimeout(resolve, Math.random() * longest))
}

function tooManyConflicts(): StoreError {
  return new StoreError('ERR_SESSION_CONFLICT', `Other requests changed a session ${TRIES} times while it was saved`, {
    hint: 'Too many requests of one browser write to its session at once. Keep counters and logs elsewhere.',
  })
}
