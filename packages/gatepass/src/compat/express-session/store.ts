import { EventEmitter } from 'node:events'
import { type Cookie, storedCookie } from './cookie.ts'
import { Session, type SessionRequest } from './session.ts'

// biome-ignore lint/suspicious/noExplicitAny: what stores and applications compiled against @types/express-session expect
export type Anything = any

export type Callback = (error?: Anything) => void

/** A session as stores take and give it: its data, with the cookie among them. */
export interface SessionLike {
  cookie: Cookie | object
  [key: string]: unknown
}

/** A session in a store that can compare, and the text under which it is stored. */
export interface StoredSession {
  readonly session: SessionLike
  readonly text: string
}

/**
 * How a store of ours writes without overwriting what another process has just written. Stores for express-session can only read
 * and write.
 */
export interface Exchange {
  load(sid: string): Promise<StoredSession | undefined>
  /**
   * Replaces a session by another one, or none by a first one, or a session by none, in one step.
   *
   * @param change `from`: the text of what is stored; `undefined` means no session
   * @returns the text that is stored from now on, or what is stored instead of `from`
   */
  replace(sid: string, change: { from: string | undefined; to: SessionLike | undefined }): Promise<Exchanged>
}

export type Exchanged =
  | { readonly done: true; readonly text: string | undefined }
  | { readonly done: false; readonly instead: StoredSession | undefined }

/** Where a store holds its {@link Exchange}. `undefined` if a subclass or a test has replaced what it would bypass. */
export const exchange: unique symbol = Symbol('gatepass.exchange')

/** What stores inherit. They may override each method but `generate`. */
declare abstract class StoreBase extends EventEmitter {
  constructor(options?: Anything)
  /** Makes a new session for a request. The middleware sets this method. */
  generate(req: Anything): void
  /** Ends the session of a request, and makes a new one. */
  regenerate(req: Anything, callback: Callback): void
  /** Loads a session with its methods, where there is no request: for a socket, for example. */
  load(sid: string, callback: (error: Anything, session?: Session) => void): void
  createSession(req: Anything, session: Anything): Session
}

/**
 * A store for express-session. It extends the class of this name and writes `get`, `set` and `destroy`, and if it can `touch`,
 * `all`, `length` and `clear`. After it has emitted `disconnect`, requests get no `req.session` until it emits `connect`.
 */
export interface Store extends StoreBase {
  get(sid: string, callback: (error: Anything, session?: Anything) => void): void
  set(sid: string, session: Anything, callback?: Callback): void
  destroy(sid: string, callback?: Callback): void
  touch?(sid: string, session: Anything, callback?: Callback): void
  all?(callback: (error: Anything, sessions?: Anything) => void): void
  length?(callback: (error: Anything, length?: number) => void): void
  clear?(callback?: Callback): void
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
    session.cookie = storedCookie(session.cookie)
    req.session = new Session(req, session)
    return req.session
  },
}

/** The class that stores extend. A function, because older stores call it on themselves without `new`. */
export const Store: typeof StoreBase = function Store(this: object): void {
  EventEmitter.call(this as never)
} as never
inherit(Store, { from: EventEmitter, methods })

/** Milliseconds between two removals of expired sessions. */
const SWEEP_INTERVAL = 60 * 1000
/** When expired sessions of a store were last removed. */
const sweptAt = new WeakMap<object, number>()

declare class MemoryStoreBase extends Store {
  sessions: Record<string, string>
  get(sid: string, callback: (error: Anything, session?: SessionLike) => void): void
  set(sid: string, session: object, callback?: Callback): void
  destroy(sid: string, callback?: Callback): void
  touch(sid: string, session: SessionLike, callback?: Callback): void
  all(callback: (error: Anything, sessions?: Record<string, SessionLike>) => void): void
  length(callback: (error: Anything, length?: number) => void): void
  clear(callback?: Callback): void
}

const inMemory: Omit<MemoryStoreBase, keyof StoreBase | 'sessions'> & ThisType<MemoryStore> = {
  get(sid, callback) {
    callback(null, readFrom(this, sid))
  },

  set(sid, session, callback) {
    sweep(this)
    this.sessions[sid] = JSON.stringify(session)
    callback?.()
  },

  destroy(sid, callback) {
    delete this.sessions[sid]
    callback?.()
  },

  touch(sid, session, callback) {
    const stored = readFrom(this, sid)
    if (stored !== undefined) this.sessions[sid] = JSON.stringify({ ...stored, cookie: session.cookie })
    callback?.()
  },

  all(callback) {
    const all: Record<string, SessionLike> = Object.create(null)
    for (const sid of Object.keys(this.sessions)) {
      const session = readFrom(this, sid)
      if (session !== undefined) all[sid] = session
    }
    callback(null, all)
  },

  length(callback) {
    this.all((error, sessions) => callback(error, Object.keys(sessions ?? {}).length))
  },

  clear(callback) {
    this.sessions = Object.create(null)
    callback?.()
  },
}

/** Keeps sessions in this process, as JSON text by id. Expired ones are removed every minute, also if no request reads them. */
export const MemoryStore: typeof MemoryStoreBase = function MemoryStore(this: MemoryStore): void {
  ;(Store as unknown as () => void).call(this)
  this.sessions = Object.create(null)
} as never
inherit(MemoryStore, { from: Store, methods: inMemory })
/** A store in the memory of this process. */
export type MemoryStore = MemoryStoreBase

function readFrom({ sessions }: MemoryStore, sid: string): SessionLike | undefined {
  const text = sessions[sid]
  if (text === undefined) return undefined
  const session: Partial<SessionLike> & { cookie?: { expires?: string | null } } = JSON.parse(text)
  const expires = session.cookie?.expires
  if (!expires || Date.parse(expires) > Date.now()) return session as SessionLike
  delete sessions[sid]
  return undefined
}

function sweep(store: MemoryStore): void {
  const now = Date.now()
  if (now - (sweptAt.get(store) ?? 0) < SWEEP_INTERVAL) return
  sweptAt.set(store, now)
  for (const sid of Object.keys(store.sessions)) readFrom(store, sid)
}

/** Inheritance for functions that are called without `new`, too. As in express-session, their methods can be enumerated. */
function inherit(made: Inherited, { from, methods }: { from: Inherited; methods: object }): void {
  Object.setPrototypeOf(Object.assign(made.prototype, methods), from.prototype)
}

type Inherited = { readonly prototype: object }
