import { type Awaitable, andThen } from '../../awaitable.ts'
import { randomHandle, sha256Hex } from '../../crypto/random.ts'
import { replay } from '../../session/changes.ts'
import { saveRevision } from '../../session/commit.ts'
import { GuardedStore } from '../../session/guarded-store.ts'
import type { SessionId, SessionRecord, SessionStore, Timestamp } from '../../session/store.ts'
import type { Cookie } from './cookie.ts'
import { LegacyStore } from './original-stores.ts'
import { cookieOf, expiryOf, type Found, foundAs, idleUntil, notesOf } from './record.ts'

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
    if (this.#legacy !== undefined) return this.#legacy.begin(record)
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
    const comparing = this.#legacy?.comparing(found)
    const saving = saveRevision(comparing ?? this.#store, base, (newest) => {
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
    return andThen(saving, (record) => record && foundAs(record, comparing?.text))
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
