import { type Awaitable, andThen } from '../../awaitable.ts'
import { sha256Hex } from '../../crypto/random.ts'
import { StoreError } from '../../error.ts'
import type { SessionId, SessionRecord, SessionStore, Timestamp, WriteResult } from '../../session/store.ts'
import { duplicate } from '../../stores/failure.ts'
import { clearTimeout, setTimeout } from '../../timers.ts'
import { answerOf } from '../callback-or-promise.ts'
import { Cookie, storedCookie } from './cookie.ts'
import { type Found, foundAs, hasCookie, idleUntil, notesOf, originalShape } from './record.ts'
import { type Exchange, exchange, type SessionLike, type Store, type StoredSession } from './store.ts'

/** The methods that we call on a store for express-session. Every such store on npm has them. */
export type ExpressSessionStore = Pick<Store, 'get' | 'set' | 'destroy' | 'touch'> & {
  readonly [exchange]?: Exchange | undefined
}

/**
 * Keeps sessions of ours in a store for express-session: connect-redis, connect-pg-simple, and so on.
 *
 * Such a store can neither compare nor insert. Within this process the writes of one session wait for each other, and all
 * guarantees hold. If two processes write one session, and the `set` of one falls between the `get` and the `set` of the
 * other, the first change is lost; not so in the stores of `gatepass/compat`, which can compare. A store for express-session
 * finds no sessions by subject, and holds ids as they are given.
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
    const { [exchange]: comparing } = this.#store
    if (comparing !== undefined) return comparing.load(id).then((stored) => this.#foundIn(id, stored))
    const loading = callStore<SessionLike | null>((done) =>
      this.#store.get(id, (error, session) => {
        // Stores of files report a session that is not there as this error.
        if (error?.code === 'ENOENT') done()
        else done(error, session)
      }),
    )
    return andThen(loading, (session) => this.#foundIn(id, session ? { session } : undefined))
  }

  /** Stores a session of express-session that has just begun. Like express-session it does not look whether the id is taken. */
  begin(record: SessionRecord): Awaitable<Found> {
    const { [exchange]: comparing } = this.#store
    if (comparing === undefined) return andThen(this.insert(record), () => foundAs(record))
    return (async () => {
      let from: string | undefined
      for (;;) {
        const result = await comparing.replace(record.id, { from, to: shapeOf(record) })
        if (result.done) return foundAs(record, result.text)
        from = result.instead?.text
      }
    })()
  }

  /** The store as one save of a session sees it, if it can compare with the text that was found. */
  comparing({ text }: Found): Comparing | undefined {
    const { [exchange]: comparing } = this.#store
    if (comparing === undefined || text === undefined) return undefined
    return new Comparing(comparing, { text, found: (id, stored) => this.#foundIn(id, stored) })
  }

  insert(record: SessionRecord): Awaitable<void> {
    return this.#turns.take(record.id, () => {
      // express-session stores a new session without loading it first, and some stores count on that.
      if (hasCookie(record)) return this.#set(record)
      return andThen(this.find(record.id), (other) => {
        if (other !== undefined) throw duplicate()
        const { [exchange]: comparing } = this.#store
        return comparing === undefined ? this.#set(record) : this.#insertInto(comparing, record)
      })
    })
  }

  async #insertInto(comparing: Exchange, record: SessionRecord): Promise<void> {
    let result = await comparing.replace(record.id, { from: undefined, to: shapeOf(record) })
    while (!result.done) {
      // What has expired by our clock may still be there.
      if (this.#foundIn(record.id, result.instead) !== undefined) throw duplicate()
      result = await comparing.replace(record.id, { from: result.instead?.text, to: shapeOf(record) })
    }
  }

  replace(record: SessionRecord, expectedVersion: number): Awaitable<WriteResult> {
    return this.#ifStill(record.id, expectedVersion, ({ handle, createdAt }) => ({ ...record, handle, createdAt }))
  }

  touch(id: SessionId, seenAt: Timestamp, expiresAt: Timestamp): Awaitable<WriteResult> {
    const touching: Awaitable<WriteResult> = this.#turns.take(id, () =>
      andThen(this.find(id), (found) => {
        if (found === undefined) return 'gone'
        const record = found.record()
        const times = { seenAt: Math.max(seenAt, record.seenAt), expiresAt: Math.max(expiresAt, record.expiresAt) }
        return this.#write(id, { from: found, to: { ...record, ...times } })
      }),
    )
    return andThen(touching, (result) => (result === 'conflict' ? this.touch(id, seenAt, expiresAt) : result))
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
    if (expectedVersion !== undefined) return this.#ifStill(id, expectedVersion, () => undefined)
    return this.#turns.take(id, () => andThen(this.#destroy(id), () => 'done'))
  }

  #ifStill(
    id: SessionId,
    version: number,
    next: (record: SessionRecord) => SessionRecord | undefined,
  ): Awaitable<WriteResult> {
    return this.#turns.take(id, () =>
      andThen(this.find(id), (found): Awaitable<WriteResult> => {
        if (found === undefined) return 'gone'
        const record = found.record()
        return record.version === version ? this.#write(id, { from: found, to: next(record) }) : 'conflict'
      }),
    )
  }

  /** Writes `to`, or removes what is stored. A store that can compare does so only if it still holds `from`. */
  #write(id: SessionId, { from, to }: { from?: Found; to: SessionRecord | undefined }): Awaitable<WriteResult> {
    const { [exchange]: comparing } = this.#store
    if (comparing === undefined) return andThen(to === undefined ? this.#destroy(id) : this.#set(to), () => 'done')
    const writing = comparing.replace(id, { from: from?.text, to: to && shapeOf(to) })
    return writing.then((result) => (result.done ? 'done' : result.instead === undefined ? 'gone' : 'conflict'))
  }

  #set(record: SessionRecord): Awaitable<void> {
    return callStore<void>((done) => this.#store.set(record.id, shapeOf(record), done))
  }

  #destroy(id: SessionId): Awaitable<void> {
    return callStore<void>((done) => this.#store.destroy(id, done))
  }

  /** @throws {StoreError} `ERR_STORE_SCHEMA` if it is not a session */
  #foundIn(id: string, stored: Partial<StoredSession> | undefined): Found | undefined {
    if (stored?.session === undefined) return undefined
    const { session, text } = stored
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
      const record = () => originalRecord(id as SessionId, data, cookie, now)
      return { data, about, session: () => session, record, text }
    }
    const record = { ...(own as Omit<SessionRecord, 'id'>), id: id as SessionId }
    return record.expiresAt > now ? foundAs(record, text) : undefined
  }
}

/** One save of one session in a store that can compare: it writes only where the text is stored that was found. */
class Comparing implements Pick<SessionStore, 'load' | 'replace'> {
  readonly #exchange: Exchange
  readonly #found: (id: string, stored: StoredSession | undefined) => Found | undefined
  #newest: SessionRecord | undefined
  /** What was found, and after the save what is stored. */
  text: string | undefined

  constructor(
    exchange: Exchange,
    { text, found }: { text: string; found: (id: string, stored: StoredSession | undefined) => Found | undefined },
  ) {
    this.#exchange = exchange
    this.#found = found
    this.text = text
  }

  /** What another process has stored meanwhile. The attempt to write has brought it along. */
  load(): SessionRecord | undefined {
    return this.#newest
  }

  async replace(record: SessionRecord): Promise<WriteResult> {
    const result = await this.#exchange.replace(record.id, { from: this.text, to: shapeOf(record) })
    if (result.done) {
      this.text = result.text
      return 'done'
    }
    const found = this.#found(record.id, result.instead)
    this.#newest = found?.record()
    this.text = found?.text
    return found === undefined ? 'gone' : 'conflict'
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

/** A record as a store for express-session gets it. */
function shapeOf(record: SessionRecord): SessionLike {
  return hasCookie(record) ? originalShape(record) : ownShape(record)
}

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
