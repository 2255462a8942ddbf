import { type Awaitable, andThen } from '../awaitable.ts'
import { StoreError } from '../error.ts'
import type { SessionStore } from '../session/store.ts'
import { nextTick } from '../timers.ts'
import { type Cookie, storedCookie } from './express-session/cookie.ts'
import type { Found } from './express-session/record.ts'
import { SessionRecords } from './express-session/records.ts'
import { dataOf, endedMeanwhile, refresh, type Session, type SessionRequest } from './express-session/session.ts'
import { type Callback, type SessionLike, Store } from './express-session/store.ts'

export { type ExpressSessionStore, legacyStore } from './express-session/original-stores.ts'

/**
 * A store of ours for express-session itself: `session({ store: expressStore(sqliteStore('app.db')) })`. The store holds ids
 * as hashes. What express-session saves is merged into what other requests have saved meanwhile, and does not bring back a
 * session that has ended. A store of hashes cannot list its sessions, so there is no `all`, `length` or `clear`.
 */
export function expressStore(store: SessionStore): Store {
  return new ExpressStore(store)
}

class ExpressStore extends Store {
  readonly #records: SessionRecords
  /** What a session was found or stored as. When express-session saves the session, only the difference counts. */
  readonly #found = new WeakMap<object, Found>()

  constructor(store: SessionStore) {
    super()
    this.#records = new SessionRecords(store)
  }

  get(sid: string, callback: (error: unknown, session?: SessionLike | null) => void): void {
    const loading = () =>
      andThen(this.#records.load(sid), (found) => {
        if (found === undefined) return null
        const session = found.session()
        this.#found.set(session, found)
        return session
      })
    answer(loading, callback)
  }

  override createSession(req: SessionRequest, session: SessionLike): Session {
    const found = this.#found.get(session)
    const made = super.createSession(req, session)
    if (found !== undefined) this.#found.set(made, found)
    return made
  }

  set(sid: string, session: SessionLike, callback?: Callback): void {
    answer(() => this.#save(sid, session), callback)
  }

  touch(sid: string, session: SessionLike, callback?: Callback): void {
    const found = this.#found.get(session)
    answer(() => found && this.#records.touch(sid, found, { cookie: storedCookie(session.cookie) }), callback)
  }

  destroy(sid: string, callback?: Callback): void {
    answer(() => this.#records.remove(sid), callback)
  }

  #save(sid: string, session: SessionLike): Awaitable<unknown> {
    const found = this.#found.get(session)
    const data = dataOf(session)
    const cookie = storedCookie(session.cookie)
    const saving = found === undefined ? this.#put(sid, data, cookie) : this.#records.save(found, data, cookie)
    return andThen(saving, (saved) => {
      if (saved === undefined) {
        if (data === found?.data) return
        throw endedMeanwhile()
      }
      refresh(session, saved.data, data)
      this.#found.set(session, saved)
    })
  }

  /** express-session has not loaded this session, so what it gives replaces all that is stored. */
  async #put(sid: string, data: string, cookie: Cookie): Promise<Found | undefined> {
    try {
      return await this.#records.insert(sid, data, cookie)
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'ERR_STORE_DUPLICATE')) throw error
      const there = await this.#records.load(sid)
      return there && (await this.#records.save(there, data, cookie))
    }
  }
}

function answer<T>(work: () => Awaitable<T>, callback: ((error: unknown, value?: T) => void) | undefined): void {
  const done = (error: unknown, value?: T) => callback && nextTick(callback, error, value)
  Promise.resolve()
    .then(work)
    .then((value) => done(null, value), done)
}
