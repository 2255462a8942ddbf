import { originForm, pathOf } from '../http/exchange.ts'
import type { NodeRequest, NodeResponse } from '../http/response-gate.ts'
import type { SessionStore } from '../session/store.ts'
import { Cookie, type CookieOptions } from './express-session/cookie.ts'
import { LegacyStore } from './express-session/original-stores.ts'
import { SessionRecords } from './express-session/records.ts'
import { generate, RequestKeeper, type Shared } from './express-session/request-keeper.ts'
import { keeper, Session, type SessionRequest } from './express-session/session.ts'
import { optionError, type Secret, type SessionOptions, settingsOf } from './express-session/settings.ts'
import { MemoryStore, Store } from './express-session/store.ts'
import type * as types from './express-session.ts'
import { Warnings } from './failures.ts'
import { expressStore } from './legacy-store.ts'

export type { SessionTypes } from './express-session/types.ts'
export { Cookie, type CookieOptions, MemoryStore, Session, type SessionOptions, Store }

/**
 * The data that an application keeps in its sessions. It declares them with
 * `declare module 'gatepass/compat/express-session'`, or as before for `express-session` while `@types/express-session` is
 * installed.
 */
// biome-ignore lint/suspicious/noEmptyInterface: filled in by the application, by declaration merging
export interface SessionData {}

/** Middleware for Express, Connect and every framework that calls `(req, res, next)`. */
export type SessionHandler = (req: NodeRequest, res: NodeResponse, next: (error?: unknown) => void) => void

/**
 * Middleware that keeps `req.session`: the API of express-session 1.19, on the same cookies and the same records.
 * Concurrent requests keep each other's changes, a session that has ended does not come back, and no response leaves
 * before its session is stored.
 *
 * @throws {UsageError} `ERR_SESSION_OPTIONS`, and `ERR_COOKIE_…` for a cookie that could never be written
 */
function session(given?: SessionOptions): SessionHandler {
  const options = given || {}
  const settings = settingsOf(options)
  const shared: Shared = { settings, ...storage(options.store || new MemoryStore()), warnings: new Warnings() }
  const { store } = shared
  // Several middlewares can share a store. The request knows which of them serves it.
  store.generate = (req: NodeRequest & SessionRequest) => generate(req, req[keeper]?.settings ?? settings)
  let connected = true
  store.on?.('disconnect', () => {
    connected = false
  })
  store.on?.('connect', () => {
    connected = true
  })
  return (request, res, next) => {
    const req = request as NodeRequest & SessionRequest & { readonly secret?: Secret | Secret[] }
    if (req.session || !connected || !requestedPath(req).startsWith(settings.cookieOf(req).path || '/')) return next()
    const ids = settings.idsFor(req)
    if (ids === undefined) return next(optionError('secret option required for sessions'))
    return new RequestKeeper(shared, ids, { req, res, next }).begin()
  }
}

/** The store, as applications use it and as a store of records. */
function storage(store: Store | SessionStore): Pick<Shared, 'store' | 'records'> {
  if (isNative(store)) return { store: expressStore(store), records: new SessionRecords(store) }
  const missing = (['get', 'set', 'destroy'] as const).filter((name) => typeof store[name] !== 'function')
  if (missing.length > 0) throw optionError(`store option is not a session store: it lacks ${missing.join(', ')}`)
  if (store instanceof MemoryStore && process.env.NODE_ENV === 'production') {
    process.emitWarning('Sessions are kept in the memory of this process, and end with it', {
      type: 'GatepassWarning',
      detail: 'Give session() a `store`: one of gatepass/stores, or the one you had.',
    })
  }
  return { store, records: new SessionRecords(new LegacyStore(store)) }
}

function isNative(store: Store | SessionStore): store is SessionStore {
  return 'insert' in store && 'replace' in store
}

/** The path that the browser asked for. `originalUrl` is Express's: a mounted application sees only a part of it. */
function requestedPath({ originalUrl, url }: NodeRequest & { readonly originalUrl?: string }): string {
  return pathOf({ target: originForm(originalUrl || url || '/') })
}

/** What `import session` and `require()` give. */
const expressSession: typeof session & {
  readonly Cookie: typeof Cookie
  readonly MemoryStore: typeof MemoryStore
  readonly Session: typeof Session
  readonly Store: typeof Store
} = Object.assign(session, { Cookie, MemoryStore, Session, Store })
Object.defineProperty(expressSession, 'default', { value: expressSession })

declare namespace expressSession {
  type Cookie = types.Cookie
  type CookieOptions = types.CookieOptions
  type MemoryStore = types.MemoryStore
  type Session = types.Session
  /** Where `declare module` declares the data for `require()`. */
  interface SessionData extends types.SessionData {}
  type SessionOptions = types.SessionOptions
  type Store = types.Store
}

// biome-ignore lint/style/noDefaultExport: as express-session has it
export default expressSession
export { expressSession as 'module.exports' }
