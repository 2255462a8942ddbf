import { ProtocolError } from '../../error.ts'
import type { NodeRequest } from '../../http/response-gate.ts'
import { dataText, diff, rebase } from '../../session/changes.ts'
import { nextTick } from '../../timers.ts'
import { answerOf } from '../callback-or-promise.ts'
import { type Answering, callBack, promised } from '../failures.ts'
import type { Cookie } from './cookie.ts'
import type { Found } from './record.ts'
import type { Settings } from './settings.ts'
import type { Callback, SessionLike, Store } from './store.ts'

/** A request with a session, as this drop-in sees it. */
export type SessionRequest = Partial<NodeRequest> & {
  session?: Session | null | undefined
  sessionID?: string | undefined
  sessionStore?: Store | undefined
  [keeper]?: SessionKeeper
}

/** Does what the methods of a session ask for. */
export interface SessionKeeper {
  /** The settings of the middleware that opened the session. */
  readonly settings?: Settings
  /** The response that waits for a session's promises, if there is one. */
  readonly answering?: Answering
  save(session: Session): Promise<void>
  reload(session: Session): Promise<void>
  destroy(session: Session): Promise<void>
  regenerate(session: Session): Promise<void>
}

/** Where a request holds the keeper of its sessions. */
export const keeper: unique symbol = Symbol('gatepass.sessionKeeper')

/**
 * `req.session`: the data itself, with methods that are not enumerable. With a callback, a method calls it and returns the
 * session, as express-session does. Without one it returns the session as a promise. If that promise fails and the
 * application does not handle it, the response fails; there is no unhandled rejection.
 */
export interface Session {
  cookie: Cookie
  readonly req: SessionRequest
  readonly id: string
  /** Moves the expiry to `cookie.originalMaxAge` from now. Every request does so. */
  touch(): this
  resetMaxAge(): this
  /** Saves now, and not only when the response begins. */
  save(callback: Callback): this
  save(): this & Promise<void>
  /** Makes a new `req.session` from what is stored. */
  reload(callback: Callback): this
  reload(): this & Promise<void>
  /** Ends the session. `req.session` is gone at once. */
  destroy(callback: Callback): this
  destroy(): this & Promise<void>
  /** Ends the session and begins an empty one: the new `req.session`. */
  regenerate(callback: Callback): this
  regenerate(): this & Promise<void>
}

/** The class of {@link Session}. */
export interface SessionClass {
  new (req: object, data?: object | null): Session
  (this: object, req: object, data?: object | null): void
  readonly prototype: Session
}

/** Where a session holds what it was found as: a property, because a Proxy and `Object.create` pass properties on. */
const kFound: unique symbol = Symbol('gatepass.found')

/** A function, because it is inherited without `class`, too. */
export const Session: SessionClass = function Session(this: Session, req: SessionRequest, data?: object | null): void {
  Object.defineProperty(this, 'req', { value: req })
  Object.defineProperty(this, 'id', { value: req.sessionID })
  // What it holds can change also after `Object.freeze(req.session)`.
  Object.defineProperty(this, kFound, { value: {} })
  if (typeof data !== 'object') return
  const own = this as unknown as Record<string, unknown>
  const given = data as Record<string, unknown>
  // Stored data with the name of a method does not replace the method.
  for (const key in given) if (!(key in own)) own[key] = given[key]
} as never

/** What this session was last found or stored as; `undefined` if it is not stored. */
export function foundAs(session: Session): Found | undefined {
  return (session as Holder)[kFound]?.found
}

export function setFound(session: Session, found: Found): void {
  const holder = (session as Holder)[kFound]
  if (holder !== undefined) holder.found = found
}

type Holder = Session & { readonly [kFound]?: { found?: Found } }

const methods: Omit<Session, 'cookie' | 'req' | 'id'> & ThisType<Session> = {
  touch() {
    return this.resetMaxAge()
  },

  resetMaxAge() {
    const { cookie } = this
    const { originalMaxAge } = cookie
    cookie.maxAge = originalMaxAge
    // The setter shortens an age that ends after the last date of Expires. It must not shrink with each request.
    cookie.originalMaxAge = originalMaxAge
    return this
  },

  save(callback?: Callback) {
    return act(this, 'save', callback)
  },

  reload(callback?: Callback) {
    return act(this, 'reload', callback)
  },

  destroy(callback?: Callback) {
    return act(this, 'destroy', callback)
  },

  regenerate(callback?: Callback) {
    return act(this, 'regenerate', callback)
  },
}

for (const [name, value] of Object.entries(methods)) {
  Object.defineProperty(Session.prototype, name, { value, writable: true, configurable: true })
}

function act<T extends Session>(
  session: T,
  what: 'save' | 'reload' | 'destroy' | 'regenerate',
  callback: Callback | undefined,
): T & Promise<void> {
  const { req } = session
  const by: SessionKeeper = req[keeper] ?? new StoreKeeper(req)
  const { answering } = by
  const work = by[what](session)
  if (typeof callback !== 'function') {
    if (answering !== undefined) return alsoPromise(session, promised(work, answering))
    // There is no response to report a failure to.
    work.catch(() => undefined)
    return alsoPromise(session, work)
  }
  // Not a promise: a router that receives one would report the failure a second time.
  work.then(
    () => nextTick(callBack, callback, [], answering?.next),
    (error: unknown) => nextTick(callBack, callback, [error], answering?.next),
  )
  return session as T & Promise<void>
}

/** A session's data as JSON text, without the cookie: a change to the cookie alone does not change the session. */
export function dataOf(session: object): string {
  const { cookie: _, ...data } = session as SessionLike
  return dataText(data)
}

/** Brings what others have stored into a session. Changes made since the session was `saved` stay. */
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
    // Express 5 warns of a handler that returns a thenable which is not a Promise.
    getPrototypeOf: () => Promise.prototype,
  }) as T & Promise<void>
}

/** Keeps a session that a store's `load` gave, for a socket for example: no middleware opened it. */
class StoreKeeper implements SessionKeeper {
  readonly #req: SessionRequest
  readonly #store: Store

  constructor(req: SessionRequest) {
    this.#req = req
    this.#store = req.sessionStore as Store
  }

  async save(session: Session): Promise<void> {
    await answerOf((done) => this.#store.set(session.id, session, done))
  }

  async reload(session: Session): Promise<void> {
    const found = await answerOf<SessionLike>((done) => this.#store.get(session.id, done))
    if (!found) throw notFound()
    this.#store.createSession(this.#req, found)
  }

  async destroy(session: Session): Promise<void> {
    delete this.#req.session
    await answerOf((done) => this.#store.destroy(session.id, done))
  }

  async regenerate(): Promise<void> {
    await answerOf((done) => this.#store.regenerate(this.#req, done))
  }
}

export function notFound(): ProtocolError {
  return new ProtocolError('ERR_SESSION_ENDED', 'failed to load session', {
    hint: 'It was destroyed or has expired since this request began.',
    status: 409,
  })
}

/** The request changed a session that has ended, so the changes cannot be stored. */
export function endedMeanwhile(): ProtocolError {
  return new ProtocolError(
    'ERR_SESSION_ENDED',
    'The session has ended since this request began; its changes were lost',
    {
      hint: 'It was destroyed or has expired meanwhile. Open the page again, and repeat what was done.',
      status: 409,
    },
  )
}
