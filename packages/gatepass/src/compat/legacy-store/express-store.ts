import { type Awaitable, andThen } from '../../awaitable.ts'
import { StoreError } from '../../error.ts'
import type { SessionRecord, SessionStore } from '../../session/store.ts'
import { Cookie } from '../express-session/cookie.ts'
import { SessionRecords, sessionOf } from '../express-session/records.ts'
import { dataOf, refresh, type Session, type SessionRequest } from '../express-session/session.ts'
import { type Callback, type SessionLike, Store } from '../express-session/store.ts'
import { endedMeanwhile } from '../express-session/store-keeper.ts'

/**
 * A store of ours for express-session itself: `session({ store: expressStore(sqliteStore('app.db')) })`. Ids are hashed in
 * it. What express-session saves is merged into what others have saved meanwhile, and does not bring back a session that has
 * ended. A store that keeps hashes cannot list what it holds, so there is no `all`, `length` or `clear`.
 */
export function expressStore(store: SessionStore): Store {
  return new ExpressStore(store)
}

class ExpressStore extends Store {
  readonly #records: SessionRecords
  /** Which record a session was read from or stored as: what express-session then saves is a change of that. */
  readonly #bases = new WeakMap<object, SessionRecord>()

  constructor(store: SessionStore) {
    super()
    this.#records = new SessionRecords(store)
  }

  get(sid: string, callback: (error: unknown, session?: SessionLike | null) => void): void {
    answer(
      () =>
        andThen(this.#records.load(sid), (record) => {
          if (record === undefined) return null
          const session = sessionOf(record)
          this.#bases.set(session, record)
          return session
        }),
      callback,
    )
  }

  override createSession(req: SessionRequest, session: SessionLike): Session {
    const base = this.#bases.get(session)
    const made = super.createSession(req, session)
    if (base !== undefined) this.#bases.set(made, base)
    return made
  }

  set(sid: string, session: SessionLike, callback?: Callback): void {
    answer(() => this.#save(sid, session), callback)
  }

  touch(_sid: string, session: SessionLike, callback?: Callback): void {
    const base = this.#bases.get(session)
    answer(() => base && this.#records.touch(base, { cookie: new Cookie(session.cookie) }), callback)
  }

  destroy(sid: string, callback?: Callback): void {
    answer(() => this.#records.remove(sid), callback)
  }

  #save(sid: string, session: SessionLike): Awaitable<unknown> {
    const base = this.#bases.get(session)
    const data = dataOf(session)
    const cookie = new Cookie(session.cookie)
    const saving = base === undefined ? this.#put(sid, data, cookie) : this.#records.save(base, data, cookie)
    return andThen(saving, (saved) => {
      if (saved === undefined) {
        if (data === base?.data) return
        throw endedMeanwhile()
      }
      refresh(session, saved.data, data)
      this.#bases.set(session, saved)
    })
  }

  /** Of a session that was never read, express-session means all that it gives. */
  async #put(sid: string, data: string, cookie: Cookie): Promise<SessionRecord | undefined> {
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
  const done = (error: unknown, value?: T) => callback && process.nextTick(callback, error, value)
  Promise.resolve()
    .then(work)
    .then((value) => done(null, value), done)
}
