import { type Awaitable, andThen } from '../../awaitable.ts'
import { sha256Hex } from '../../crypto/random.ts'
import { StoreError } from '../../error.ts'
import { parseData } from '../../session/changes.ts'
import type { SessionId, SessionRecord, SessionStore, Timestamp, WriteResult } from '../../session/store.ts'
import { called } from '../express-session/called.ts'
import { Cookie } from '../express-session/cookie.ts'
import { cookieOf, hasCookie, idleUntil, notesOf } from '../express-session/notes.ts'
import type { SessionLike, Store } from '../express-session/store.ts'
import { Turns } from '../express-session/turns.ts'

/** What is asked of a store for express-session; every one on npm has it. */
export type ExpressSessionStore = Pick<Store, 'get' | 'set' | 'destroy' | 'touch'>

/**
 * Keeps sessions of ours in a store for express-session: connect-redis, connect-pg-simple, and so on.
 *
 * Such a store can neither compare nor insert. Within this process the writes of one session wait for each other, and all
 * guarantees hold. Of two processes that write one session, the one whose `set` falls between the other's `get` and `set` is
 * overwritten. It finds no sessions by subject, and ids stand in it as they are given.
 *
 * @param options.clock default `Date.now`
 */
export function legacyStore(store: ExpressSessionStore, options: { clock?: () => Timestamp } = {}): SessionStore {
  return new LegacyStore(store, options.clock)
}

const turnsOf = new WeakMap<ExpressSessionStore, Turns>()

/** A store for express-session, as a SessionStore. */
export class LegacyStore implements SessionStore {
  readonly #store: ExpressSessionStore
  readonly #clock: () => Timestamp
  /** Of the writes of one session, by whichever middleware on this store. */
  readonly #turns: Turns

  constructor(store: ExpressSessionStore, clock: () => Timestamp = Date.now) {
    this.#store = store
    this.#clock = clock
    this.#turns = turnsOf.get(store) ?? new Turns()
    turnsOf.set(store, this.#turns)
  }

  load(id: SessionId): Awaitable<SessionRecord | undefined> {
    return andThen(this.find(id), whole)
  }

  /** Like `load`; the members of a record that express-session wrote are worked out when they are read. */
  find(id: string): Awaitable<SessionRecord | undefined> {
    return andThen(this.#get(id), (found) => (found ? recordOf(id as SessionId, found, this.#clock()) : undefined))
  }

  insert(record: SessionRecord): Awaitable<void> {
    return this.#turns.take(record.id, () => {
      // express-session stores a new session without a look at what is there, and some stores count on it.
      if (hasCookie(record)) return this.#set(record)
      return andThen(this.load(record.id), (other) => {
        if (other !== undefined) throw duplicate()
        return this.#set(record)
      })
    })
  }

  replace(record: SessionRecord, expectedVersion: number): Awaitable<WriteResult> {
    return this.#ifStill(record.id, expectedVersion, ({ handle, createdAt }) =>
      this.#set({ ...record, handle, createdAt }),
    )
  }

  touch(id: SessionId, seenAt: Timestamp, expiresAt: Timestamp): Awaitable<WriteResult> {
    return this.#turns.take(id, () =>
      andThen(this.load(id), (record) => {
        if (record === undefined) return 'gone'
        const times = { seenAt: Math.max(seenAt, record.seenAt), expiresAt: Math.max(expiresAt, record.expiresAt) }
        return andThen(this.#set({ ...record, ...times }), () => 'done')
      }),
    )
  }

  /** Lets the store move the expiry as it does for express-session; a store without `touch` leaves it where it is. */
  touchSession(id: string, session: { cookie: Cookie }): Awaitable<void> {
    if (typeof this.#store.touch !== 'function') return undefined
    return this.#turns.take(id, () => called<void>((done) => this.#store.touch?.(id, session, done)))
  }

  remove(id: SessionId, expectedVersion?: number): Awaitable<WriteResult> {
    const destroy = () => called<void>((done) => this.#store.destroy(id, done))
    if (expectedVersion !== undefined) return this.#ifStill(id, expectedVersion, destroy)
    return this.#turns.take(id, () => andThen(destroy(), () => 'done'))
  }

  #ifStill(id: SessionId, version: number, write: (record: SessionRecord) => Awaitable<void>): Awaitable<WriteResult> {
    return this.#turns.take(id, () =>
      andThen(this.load(id), (record): Awaitable<WriteResult> => {
        if (record === undefined) return 'gone'
        return record.version === version ? andThen(write(record), () => 'done') : 'conflict'
      }),
    )
  }

  #get(id: string): Awaitable<SessionLike | null | undefined> {
    return called((done) =>
      this.#store.get(id, (error, session) => {
        // Stores of files say so of a session that is not there.
        if (error?.code === 'ENOENT') done()
        else done(error, session)
      }),
    )
  }

  #set(record: SessionRecord): Awaitable<void> {
    const session = hasCookie(record) ? originalShape(record) : ownShape(record)
    return called<void>((done) => this.#store.set(record.id, session, done))
  }
}

/** Under this key stands a session that is Gatepass's own: express-session would not know what to make of it. */
const OWN = 'gatepass:record'

/** A record that express-session has written, or its drop-in, with the session that was read: nobody else has it. */
class OriginalRecord implements SessionRecord {
  readonly id: SessionId
  readonly data: string
  readonly original: SessionLike
  readonly subject = null
  readonly createdAt: Timestamp

  constructor(id: SessionId, data: string, original: SessionLike, now: Timestamp) {
    this.id = id
    this.data = data
    this.original = original
    this.createdAt = now
  }

  get seenAt(): Timestamp {
    return this.createdAt
  }

  // What is asked of it only when it is written again is found out only then.

  /** As far as can be told: when a session ends, stores for express-session decide. */
  get expiresAt(): Timestamp {
    return idleUntil(this.original.cookie as Cookie, this.createdAt)
  }

  get handle(): string {
    return sha256Hex(this.id).slice(0, 22)
  }

  /** Where nobody counts versions, what is stored is its own version. */
  get version(): number {
    return Number.parseInt(sha256Hex(this.data + this.about).slice(0, 12), 16)
  }

  get about(): string {
    return notesOf(new Cookie(this.original.cookie))
  }
}

/** With members of its own, for whoever makes another of it. */
function whole(record: SessionRecord | undefined): SessionRecord | undefined {
  if (!(record instanceof OriginalRecord)) return record
  const { id, handle, version, subject, data, about, createdAt, seenAt, expiresAt } = record
  return { id, handle, version, subject, data, about, createdAt, seenAt, expiresAt }
}

export function originalOf(record: SessionRecord): SessionLike | undefined {
  return record instanceof OriginalRecord ? record.original : undefined
}

function recordOf(id: SessionId, session: SessionLike, now: Timestamp): SessionRecord | undefined {
  const { cookie, [OWN]: own, ...data } = session
  if (!cookie) throw noCookie()
  if (own === undefined) return new OriginalRecord(id, JSON.stringify(data), session, now)
  const record = { ...(own as Omit<SessionRecord, 'id'>), id }
  return record.expiresAt > now ? record : undefined
}

function originalShape(record: SessionRecord): SessionLike {
  return { cookie: cookieOf(record), ...parseData(record.data) }
}

function ownShape({ id: _, ...own }: SessionRecord): SessionLike {
  return { cookie: new Cookie({ expires: new Date(own.expiresAt) }), [OWN]: own }
}

function duplicate(): StoreError {
  return new StoreError('ERR_STORE_DUPLICATE', 'A session with this id exists already', {
    hint: 'Ids are random: is a fixed one given, or a record inserted twice?',
  })
}

function noCookie(): StoreError {
  return new StoreError('ERR_STORE_SCHEMA', 'Cannot read property `cookie` of a stored session: there is none', {
    hint: 'Something other than express-session wrote into the store; remove the record, and its owner logs in again.',
    status: 500,
  })
}
