import { type Awaitable, andThen } from '../../awaitable.ts'
import { randomHandle, sha256Hex } from '../../crypto/random.ts'
import { StoreError } from '../../error.ts'
import { type About, readAbout } from '../../session/about.ts'
import { parseData, replay } from '../../session/changes.ts'
import { saveRevision } from '../../session/commit.ts'
import { GuardedStore } from '../../session/guarded-store.ts'
import type { SessionId, SessionRecord, SessionStore, Timestamp, WriteResult } from '../../session/store.ts'
import { duplicate } from '../../stores/failure.ts'
import { clearTimeout, setTimeout } from '../../timers.ts'
import { answerOf } from '../callback-or-promise.ts'
import { dateAfter } from '../cookie.ts'
import { Cookie, storedCookie } from './cookie.ts'
import type { SessionLike, Store } from './store.ts'

/** A session as it was found in a store, or stored there. */
export interface Found {
  /** JSON text, without the cookie. */
  readonly data: string
  /** The cookie as the notes of a record. */
  about(): string
  /** The session as express-session has it: an object that the caller may change. */
  session(): SessionLike
  /** The record in full. A read does not need it. */
  record(): SessionRecord
}

const MINUTE = 60 * 1000
/** How many touches are remembered. Sessions beyond them are touched again. */
const MOST_TOUCHED = 100_000

/**
 * The sessions of express-session in a store of records. A store for express-session keeps them under the id in the cookie,
 * in express-session's own form. Every other store gets the hash of the id, and the cookie's attributes among the notes.
 */
export class SessionRecords {
  readonly #store: SessionStore
  readonly #legacy: LegacyStore | undefined
  readonly #clock: () => Timestamp
  /** When this process last touched a session: stores for express-session do not tell. */
  readonly #touched = new Map<SessionId, Timestamp>()

  constructor(store: SessionStore, clock: () => Timestamp = Date.now) {
    this.#legacy = store instanceof LegacyStore ? store : undefined
    this.#store = this.#legacy ?? new GuardedStore(store)
    this.#clock = clock
  }

  load(sid: string): Awaitable<Found | undefined> {
    if (this.#legacy !== undefined) return this.#legacy.find(sid)
    return andThen(this.#store.load(this.#idOf(sid)), (record) => record && foundAs(record))
  }

  /** @throws {StoreError} `ERR_STORE_DUPLICATE`, except by stores for express-session, which cannot tell */
  insert(sid: string, data: string, cookie: Cookie): Awaitable<Found> {
    const now = this.#clock()
    const record: SessionRecord = {
      id: this.#idOf(sid),
      handle: randomHandle(),
      version: 1,
      subject: null,
      data,
      about: notesOf(cookie),
      createdAt: now,
      seenAt: now,
      expiresAt: expiryOf(cookie, now),
    }
    return andThen(this.#store.insert(record), () => foundAs(record))
  }

  /**
   * Stores the changes of one request to the session that it found. What other requests have stored meanwhile stays, also their
   * changes to the cookie.
   *
   * @param data JSON text
   * @returns `undefined` if the session has ended meanwhile and nothing was written
   */
  save(found: Found, data: string, cookie: Cookie): Awaitable<Found | undefined> {
    const now = this.#clock()
    const base = found.record()
    const about = notesOf(cookie)
    const saving = saveRevision(this.#store, base, (newest) => {
      const theirs = about === base.about && newest.about !== about
      return {
        ...newest,
        version: newest.version + 1,
        data: replay({ base: base.data, local: data }, newest.data),
        about: theirs ? newest.about : about,
        seenAt: now,
        expiresAt: theirs ? idleUntil(cookieOf(newest), now) : expiryOf(cookie, now),
      }
    })
    return andThen(saving, (record) => record && foundAs(record))
  }

  /**
   * Notes that a session was used, at most once a minute; more often if it lives for less than twenty minutes. A change to its
   * cookie is stored at once.
   *
   * @returns false if it has ended
   */
  touch(sid: string, found: Found, session: { cookie: Cookie }): Awaitable<boolean> {
    const now = this.#clock()
    const expiresAt = expiryOf(session.cookie, now)
    const id = this.#idOf(sid)
    const changed = notesOf(session.cookie) !== found.about()
    const seenAt = this.#legacy === undefined ? found.record().seenAt : (this.#touched.get(id) ?? 0)
    // A write that is under way, perhaps another touch, moves the expiry as well.
    const soon = now - seenAt < Math.min(MINUTE, (expiresAt - now) / 20) || this.#legacy?.isWriting(id)
    if (!changed && soon) return true
    if (this.#legacy === undefined) {
      // `touch` of a store of ours writes nothing but times.
      if (changed) return andThen(this.save(found, found.data, session.cookie), (saved) => saved !== undefined)
      return andThen(this.#store.touch(id, now, expiresAt), (result) => result === 'done')
    }
    return andThen(this.#legacy.touchSession(id, session), () => {
      if (this.#touched.size >= MOST_TOUCHED) this.#touched.clear()
      this.#touched.set(id, now)
      return true
    })
  }

  remove(sid: string): Awaitable<unknown> {
    return this.#store.remove(this.#idOf(sid))
  }

  #idOf(sid: string): SessionId {
    return (this.#legacy === undefined ? sha256Hex(sid) : sid) as SessionId
  }
}

function foundAs(record: SessionRecord): Found {
  return { data: record.data, about: () => record.about, session: () => originalShape(record), record: () => record }
}

/** A record in express-session's form. */
function originalShape(record: SessionRecord): SessionLike {
  return { cookie: cookieOf(record), ...parseData(record.data) }
}

// ── the cookie in a record ───────────────────────────────────────────────────────────────────────────────────────────

/** Milliseconds that a session lasts without a request if its cookie lasts until the browser is closed. */
const DAY = 24 * 60 * 60 * 1000

/** A cookie's attributes as the notes of a record. The end is left out: it is the record's own expiry. */
function notesOf(cookie: Cookie): string {
  const about: About = { client: { device: 'unknown device' }, cookie: { ...cookie.data, expires: undefined } }
  return JSON.stringify(about)
}

/** Whether a record holds a session of express-session, and not one of Gatepass itself. */
function hasCookie({ about }: SessionRecord): boolean {
  return about.includes('"cookie":')
}

/** The cookie in a record's notes; a default cookie if there is none. */
function cookieOf({ about, expiresAt }: SessionRecord): Cookie {
  const cookie = new Cookie(readAbout(about).cookie as object | undefined)
  const { originalMaxAge } = cookie
  // The setter of `expires` makes the age what is left of it, so the age is set after it.
  if (typeof originalMaxAge === 'number') Object.assign(cookie, { expires: new Date(expiresAt), originalMaxAge })
  return cookie
}

function expiryOf(cookie: Cookie, now: Timestamp): Timestamp {
  return cookie.expires instanceof Date ? cookie.expires.getTime() : idleUntil(cookie, now)
}

/** When a session with this cookie ends if no request comes after `now`. Applications also write `cookie.expires = false`. */
function idleUntil({ originalMaxAge }: Cookie, now: Timestamp): Timestamp {
  return dateAfter(typeof originalMaxAge === 'number' ? originalMaxAge : DAY, now).getTime()
}

// ── stores for express-session ───────────────────────────────────────────────────────────────────────────────────────

/** The methods that we call on a store for express-session. Every such store on npm has them. */
export type ExpressSessionStore = Pick<Store, 'get' | 'set' | 'destroy' | 'touch'>

/**
 * Keeps sessions of ours in a store for express-session: connect-redis, connect-pg-simple, and so on.
 *
 * Such a store can neither compare nor insert. Within this process the writes of one session wait for each other, and all
 * guarantees hold. If two processes write one session, and the `set` of one falls between the `get` and the `set` of the
 * other, the first change is lost. The store finds no sessions by subject, and holds ids as they are given.
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
  /** For the writes of one session. All middlewares on this store share them. */
  readonly #turns: Turns

  constructor(store: ExpressSessionStore, clock: () => Timestamp = Date.now) {
    this.#store = store
    this.#clock = clock
    this.#turns = turnsOf.get(store) ?? new Turns()
    turnsOf.set(store, this.#turns)
  }

  load(id: SessionId): Awaitable<SessionRecord | undefined> {
    return andThen(this.find(id), (found) => found?.record())
  }

  /**
   * Like `load`, but makes no record yet. If every read makes one, the row “on the drop-ins, memory” of `npm run bench` rises by
   * 0.3.
   */
  find(id: string): Awaitable<Found | undefined> {
    const loading = callStore<SessionLike | null>((done) =>
      this.#store.get(id, (error, session) => {
        // Stores of files report a session that is not there as this error.
        if (error?.code === 'ENOENT') done()
        else done(error, session)
      }),
    )
    return andThen(loading, (session) => {
      if (!session) return undefined
      const { cookie, [OWN]: own, ...rest } = session
      if (!cookie) {
        throw new StoreError('ERR_STORE_SCHEMA', 'Cannot read property `cookie` of a stored session: there is none', {
          hint: 'Something other than express-session wrote into the store. Remove the record; its user has to log in again.',
          status: 500,
        })
      }
      const now = this.#clock()
      if (own === undefined) {
        const data = JSON.stringify(rest)
        const about = () => notesOf(storedCookie(cookie))
        return { data, about, session: () => session, record: () => originalRecord(id as SessionId, data, cookie, now) }
      }
      const record = { ...(own as Omit<SessionRecord, 'id'>), id: id as SessionId }
      return record.expiresAt > now ? foundAs(record) : undefined
    })
  }

  insert(record: SessionRecord): Awaitable<void> {
    return this.#turns.take(record.id, () => {
      // express-session stores a new session without loading it first, and some stores count on that.
      if (hasCookie(record)) return this.#set(record)
      return andThen(this.load(record.id), (other) => {
        if (other === undefined) return this.#set(record)
        throw duplicate()
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

  /** Calls the store's own `touch`, as express-session does. A store without it keeps the expiry as it is. */
  touchSession(id: string, session: { cookie: Cookie }): Awaitable<void> {
    if (typeof this.#store.touch !== 'function') return undefined
    return this.#turns.take(id, () => callStore<void>((done) => this.#store.touch?.(id, session, done)))
  }

  /** Whether a write of this session is under way in this process. */
  isWriting(id: string): boolean {
    return this.#turns.has(id)
  }

  remove(id: SessionId, expectedVersion?: number): Awaitable<WriteResult> {
    const destroy = () => callStore<void>((done) => this.#store.destroy(id, done))
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

  #set(record: SessionRecord): Awaitable<void> {
    const session = hasCookie(record) ? originalShape(record) : ownShape(record)
    return callStore<void>((done) => this.#store.set(record.id, session, done))
  }
}

/** Seconds within which a store must answer. */
const LONGEST_CALL = 30

/** Calls a store, and limits the wait: the other writes of the same session wait for its answer. */
function callStore<T>(call: (done: (error?: unknown, value?: T) => void) => unknown): Awaitable<T> {
  const answer = answerOf(call)
  if (!(answer instanceof Promise)) return answer
  const { promise: late, reject } = Promise.withResolvers<never>()
  const expire = () => {
    const hint = 'It lost a callback, or hangs. Whether it has done what it was asked is not known.'
    reject(
      new StoreError('ERR_STORE_UNAVAILABLE', `The session store did not answer in ${LONGEST_CALL} seconds`, { hint }),
    )
  }
  const timer = setTimeout(expire, LONGEST_CALL * 1000).unref()
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}

/** The key of a session that is Gatepass's own, which express-session could not read. */
const OWN = 'gatepass:record'

function ownShape({ id: _, ...own }: SessionRecord): SessionLike {
  return { cookie: new Cookie({ expires: new Date(own.expiresAt) }), [OWN]: own }
}

/** A record for a session that express-session has written, or its drop-in. */
function originalRecord(id: SessionId, data: string, given: object, now: Timestamp): SessionRecord {
  const about = notesOf(storedCookie(given))
  return {
    id,
    handle: sha256Hex(id).slice(0, 22),
    // The store counts no versions, so the version is a hash of the content.
    version: Number.parseInt(sha256Hex(data + about).slice(0, 12), 16),
    subject: null,
    data,
    about,
    createdAt: now,
    seenAt: now,
    // An estimate: the store decides when the session ends.
    expiresAt: idleUntil(given as Cookie, now),
  }
}

/** Work that takes turns: what has the same key runs one after another, and at once if nothing is running. */
export class Turns {
  readonly #last = new Map<unknown, Promise<void>>()

  has(key: unknown): boolean {
    return this.#last.has(key)
  }

  take<T>(key: unknown, work: () => Awaitable<T>): Awaitable<T> {
    const before = this.#last.get(key)
    const working = before === undefined ? work() : before.then(work)
    if (!(working instanceof Promise)) return working
    const noop = () => {}
    const over: Promise<void> = working.then(noop, noop).then(() => {
      if (this.#last.get(key) === over) this.#last.delete(key)
    })
    this.#last.set(key, over)
    return working
  }
}
