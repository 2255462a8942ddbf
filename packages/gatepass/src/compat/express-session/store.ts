import { EventEmitter } from 'node:events'
import { Cookie } from './cookie.ts'
import { Session, type SessionRequest } from './session.ts'

// biome-ignore lint/suspicious/noExplicitAny: what stores and applications compiled against @types/express-session expect
export type Anything = any

export type Callback = (error?: Anything) => void

/** A session as stores take and give it: data, and the cookie beside it. */
export interface SessionLike {
  cookie: Cookie | object
  [key: string]: unknown
}

/**
 * What express-session stores extend: `get`, `set` and `destroy` are theirs to write, `touch`, `all`, `length` and `clear`
 * if they can. A store that emits `disconnect` has requests served without `req.session` until it emits `connect`.
 */
export interface Store extends EventEmitter {
  get(sid: string, callback: (error: Anything, session?: Anything) => void): void
  set(sid: string, session: Anything, callback?: Callback): void
  destroy(sid: string, callback?: Callback): void
  touch?(sid: string, session: Anything, callback?: Callback): void
  all?(callback: (error: Anything, sessions?: Anything) => void): void
  length?(callback: (error: Anything, length?: number) => void): void
  clear?(callback?: Callback): void
  /** Makes a new session for a request; the middleware sets it. */
  generate(req: Anything): void
  /** Ends the session of a request and makes a new one. */
  regenerate(req: Anything, callback: Callback): void
  /** The session with its methods, for whoever has no request: a socket, for example. */
  load(sid: string, callback: (error: Anything, session?: Session) => void): void
  createSession(req: Anything, session: Anything): Session
}

/** A function rather than a class: older stores call it on themselves, without `new`. */
function StoreFunction(this: Store): void {
  EventEmitter.call(this as never)
}

const methods: Pick<Store, 'regenerate' | 'load' | 'createSession'> & ThisType<Store> = {
  regenerate(req: SessionRequest, callback) {
    this.destroy(req.sessionID as string, (error) => {
      this.generate(req)
      callback(error)
    })
  },

  load(sid, callback) {
    this.get(sid, (error, session) => {
      if (error || !session) return callback(error)
      let created: Session
      try {
        created = this.createSession({ sessionID: sid, sessionStore: this }, session)
      } catch (failure) {
        return callback(failure)
      }
      return callback(null, created)
    })
  },

  createSession(req: SessionRequest, session: SessionLike) {
    session.cookie = new Cookie(session.cookie)
    req.session = new Session(req, session)
    return req.session
  },
}

Object.setPrototypeOf(StoreFunction.prototype, EventEmitter.prototype)
for (const [name, value] of Object.entries(methods)) {
  Object.defineProperty(StoreFunction.prototype, name, { value, writable: true, configurable: true })
}

/** What stores inherit; as methods, which they may override. */
declare abstract class StoreBase extends EventEmitter {
  constructor(options?: Anything)
  generate(req: Anything): void
  regenerate(req: Anything, callback: Callback): void
  load(sid: string, callback: (error: Anything, session?: Session) => void): void
  createSession(req: Anything, session: Anything): Session
}

/** The class that stores extend. */
export const Store: typeof StoreBase = StoreFunction as never
