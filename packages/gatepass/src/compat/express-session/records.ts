import { type Awaitable, andThen } from '../../awaitable.ts'
import { randomHandle, sha256Hex } from '../../crypto/random.ts'
import { parseData, replay } from '../../session/changes.ts'
import { saveRevision } from '../../session/commit.ts'
import type { SessionId, SessionRecord, SessionStore, Timestamp } from '../../session/store.ts'
import { LegacyStore, originalOf } from '../legacy-store/legacy-store.ts'
import type { Cookie } from './cookie.ts'
import { cookieOf, idleUntil, notesOf } from './notes.ts'
import type { SessionLike } from './store.ts'

const MINUTE = 60 * 1000
/** Of how many sessions that is remembered; those beyond are touched again. */
const MOST_TOUCHED = 100_000

/**
 * The sessions of express-session in a store of records. Stores for express-session keep them under the id in the cookie and
 * in express-session's own form; in all others the id is hashed, and the cookie's attributes are among the notes.
 */
export class SessionRecords {
  readonly #store: SessionStore
  readonly #legacy: LegacyStore | undefined
  readonly #clock: () => Timestamp
  /** When this process last touched a session: stores for express-session do not say. */
  readonly #touched = new Map<SessionId, Timestamp>()

  constructor(store: SessionStore, clock: () => Timestamp = Date.now) {
    this.#store = store
    this.#legacy = store instanceof LegacyStore ? store : undefined
    this.#clock = clock
  }

  load(sid: string): Awaitable<SessionRecord | undefined> {
    return this.#legacy === undefined ? this.#store.load(this.#name(sid)) : this.#legacy.find(sid)
  }

  /** @throws {StoreError} `ERR_STORE_DUPLICATE`, but by stores for express-session, which cannot tell */
  insert(sid: string, data: string, cookie: Cookie): Awaitable<SessionRecord> {
    const now = this.#clock()
    const record: SessionRecord = {
      id: this.#name(sid),
      handle: randomHandle(),
      version: 1,
      subject: null,
      data,
      about: notesOf(cookie),
      createdAt: now,
      seenAt: now,
      expiresAt: expiryOf(cookie, now),
    }
    return andThen(this.#store.insert(record), () => record)
  }

  /**
   * Stores what one request has made of a session since it was `base`, its data as JSON text: what others changed meanwhile
   * stays, their changes of the cookie included.
   *
   * @returns `undefined` if the session has ended since: then nothing was written
   */
  save(base: SessionRecord, data: string, cookie: Cookie): Awaitable<SessionRecord | undefined> {
    const now = this.#clock()
    const about = notesOf(cookie)
    const sameCookie = about === base.about
    return saveRevision(this.#store, base, (newest) => {
      const theirs = sameCookie && newest.about !== about
      return {
        id: newest.id,
        handle: newest.handle,
        version: newest.version + 1,
        subject: newest.subject,
        data: replay({ base: base.data, local: data }, newest.data),
        about: theirs ? newest.about : about,
        createdAt: newest.createdAt,
        seenAt: now,
        expiresAt: theirs ? idleUntil(cookieOf(newest), now) : expiryOf(cookie, now),
      }
    })
  }

  /**
   * Writes down that a session was used, once a minute at most, and more often where it lives for less than twenty.
   *
   * @returns false if it has ended
   */
  touch(base: SessionRecord, session: { cookie: Cookie }): Awaitable<boolean> {
    const now = this.#clock()
    const expiresAt = expiryOf(session.cookie, now)
    const seenAt = this.#legacy === undefined ? base.seenAt : (this.#touched.get(base.id) ?? 0)
    if (now - seenAt < Math.min(MINUTE, (expiresAt - now) / 20)) return true
    if (this.#legacy === undefined) {
      return andThen(this.#store.touch(base.id, now, expiresAt), (result) => result === 'done')
    }
    return andThen(this.#legacy.touchSession(base.id, session), () => this.#noteTouch(base.id, now))
  }

  #noteTouch(id: SessionId, now: Timestamp): true {
    if (this.#touched.size >= MOST_TOUCHED) this.#touched.clear()
    this.#touched.set(id, now)
    return true
  }

  remove(sid: string): Awaitable<unknown> {
    return this.#store.remove(this.#name(sid))
  }

  #name(sid: string): SessionId {
    return (this.#legacy === undefined ? sha256Hex(sid) : sid) as SessionId
  }
}

/** A record as express-session has sessions: an object of the caller's own. */
export function sessionOf(record: SessionRecord): SessionLike {
  return originalOf(record) ?? { cookie: cookieOf(record), ...parseData(record.data) }
}

function expiryOf(cookie: Cookie, now: Timestamp): Timestamp {
  return cookie.expires instanceof Date ? cookie.expires.getTime() : idleUntil(cookie, now)
}
