import type { NodeRequest } from '../../http/response-gate.ts'
import { dataText, diff, rebase } from '../../session/changes.ts'
import type { SessionRecord } from '../../session/store.ts'
import { type Cookie, copyInto } from './cookie.ts'
import type { Settings } from './settings.ts'
import type { Callback, SessionLike, Store } from './store.ts'
import { StoreKeeper } from './store-keeper.ts'

/** A request with a session, as far as this drop-in is concerned. */
export type SessionRequest = Partial<NodeRequest> & {
  session?: Session | null | undefined
  sessionID?: string | undefined
  sessionStore?: Store | undefined
  /** Looks after the sessions of this request. */
  [keeper]?: SessionKeeper
}

/** Does what the methods of a session say. */
export interface SessionKeeper {
  /** Of the middleware whose request it is. */
  readonly settings?: Settings
  save(session: Session): Promise<void>
  reload(session: Session): Promise<void>
  destroy(session: Session): Promise<void>
  regenerate(session: Session): Promise<void>
  /** Makes of what is under way a promise for the application. */
  promised(work: Promise<void>): Promise<void>
  /** Calls the application back. */
  callBack(callback: Callback, ...args: unknown[]): void
}

export const keeper: unique symbol = Symbol('gatepass.sessionKeeper')

/**
 * `req.session`: the data itself, with methods that are not enumerable. Given a callback, a method calls it and returns the
 * session, as express-session does. Without one it returns the session as a promise; a failure of that promise which the
 * application does not handle becomes the failure of the response, and not an unhandled rejection.
 */
export class Session {
  declare cookie: Cookie
  readonly #req: SessionRequest
  readonly #id: string
  #record: SessionRecord | undefined

  constructor(req: object, data?: object | null) {
    this.#req = req as SessionRequest
    this.#id = this.#req.sessionID as string
    // What is stored under the name of a method does not take its place.
    if (typeof data === 'object') copyInto(this, data, Session.prototype)
  }

  get req(): SessionRequest {
    return this.#req
  }

  get id(): string {
    return this.#id
  }

  /** Moves the expiry to `cookie.originalMaxAge` from now; every request does. */
  touch(): this {
    return this.resetMaxAge()
  }

  resetMaxAge(): this {
    const { cookie } = this
    const { originalMaxAge } = cookie
    cookie.maxAge = originalMaxAge
    // To set the age takes a moment, which must not be lost with every request.
    cookie.originalMaxAge = originalMaxAge
    return this
  }

  /** Saves now rather than when the response begins. */
  save(callback: Callback): this
  save(): this & Promise<void>
  save(callback?: Callback): this {
    return this.#act('save', callback)
  }

  /** Puts what is stored into a new `req.session`. */
  reload(callback: Callback): this
  reload(): this & Promise<void>
  reload(callback?: Callback): this {
    return this.#act('reload', callback)
  }

  /** Ends the session; `req.session` is gone at once. */
  destroy(callback: Callback): this
  destroy(): this & Promise<void>
  destroy(callback?: Callback): this {
    return this.#act('destroy', callback)
  }

  /** Ends the session and begins another, empty one: the new `req.session`. */
  regenerate(callback: Callback): this
  regenerate(): this & Promise<void>
  regenerate(callback?: Callback): this {
    return this.#act('regenerate', callback)
  }

  /** The record this session was last found or stored as. */
  static recordOf(session: Session): SessionRecord | undefined {
    return session.#record
  }

  /** Goes on from what is now stored, when `saved` was what had to be. */
  static settle(session: Session, record: SessionRecord, saved: string): void {
    session.#record = record
    refresh(session, record.data, saved)
  }

  #act(what: 'save' | 'reload' | 'destroy' | 'regenerate', callback: Callback | undefined): this {
    const by = this.#req[keeper] ?? new StoreKeeper(this.#req)
    const work = by[what](this)
    if (typeof callback !== 'function') return alsoPromise(this, by.promised(work))
    // Not a promise as well: a router that is handed one would hear of the failure, too.
    work.then(
      () => process.nextTick(() => by.callBack(callback)),
      (error: unknown) => process.nextTick(() => by.callBack(callback, error)),
    )
    return this
  }
}

/** A session's data as JSON text, without its cookie: changes of the cookie alone make no change. */
export function dataOf(session: object): string {
  const { cookie: _, ...data } = session as SessionLike
  return dataText(data)
}

/** Brings into a session what others have stored; what it was changed by since it was `saved` remains. */
export function refresh(session: object, stored: string, saved: string): void {
  if (stored === saved) return
  const local = dataOf(session)
  for (const [key, text] of diff(local, rebase(stored, diff(saved, local)))) {
    if (text === undefined) Reflect.deleteProperty(session, key)
    else Reflect.set(session, key, JSON.parse(text))
  }
}

function alsoPromise<T extends Session>(session: T, work: Promise<void>): T & Promise<void> {
  return new Proxy(session, {
    get(target, key) {
      const from = key === 'then' || key === 'catch' || key === 'finally' ? work : target
      const value: unknown = Reflect.get(from, key)
      return typeof value === 'function' ? value.bind(from) : value
    },
    // Express 5 warns of a handler that returns what can be awaited and is not a Promise.
    getPrototypeOf: () => Promise.prototype,
  }) as T & Promise<void>
}
