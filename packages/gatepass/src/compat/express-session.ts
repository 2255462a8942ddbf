import type { NodeRequest, NodeResponse } from '../http/response-gate.ts'
import type { SessionStore } from '../session/store.ts'
import { pathOf, warnTooLate, warnWithheld } from './express-session/connection.ts'
import { Cookie, type CookieOptions } from './express-session/cookie.ts'
import { MemoryStore } from './express-session/memory-store.ts'
import type { SignedIds } from './express-session/received.ts'
import { SessionRecords } from './express-session/records.ts'
import { keeper, Session, type SessionRequest } from './express-session/session.ts'
import { newCookie } from './express-session/set-cookie.ts'
import {
  type Secret,
  type SessionOptions,
  type Settings,
  settingsOf,
  signedIds,
  wrong,
} from './express-session/settings.ts'
import { Store } from './express-session/store.ts'
import { Turns } from './express-session/turns.ts'
import { type Shared, Visit } from './express-session/visit.ts'
import type * as types from './express-session.ts'
import { expressStore } from './legacy-store/express-store.ts'
import { LegacyStore } from './legacy-store/legacy-store.ts'

export type { SessionTypes } from './express-session/types.ts'
export { Cookie, type CookieOptions, MemoryStore, Session, type SessionOptions, Store }

/**
 * What an application keeps in its sessions. It says so with `declare module 'gatepass/compat/express-session'`, or goes on
 * saying it of `express-session` while `@types/express-session` is installed.
 */
// biome-ignore lint/suspicious/noEmptyInterface: filled in by the application, by declaration merging
export interface SessionData {}

/** Middleware for Express, Connect and whatever calls `(req, res, next)`. */
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
  const turns = new Turns()
  const shared: Shared = {
    settings,
    turns,
    ...storage(options.store || new MemoryStore()),
    withheld: once((req: NodeRequest) => warnWithheld(req, settings.proxy)),
    tooLate: once(warnTooLate),
  }
  const { store } = shared
  // Of several middlewares on one store the last is here; the request knows which one is its own.
  store.generate = (req: NodeRequest & SessionRequest) => generate(req, req[keeper]?.settings ?? settings)
  const idsOf = idsBySecret(settings.name)
  let connected = true
  store.on?.('disconnect', () => {
    connected = false
  })
  store.on?.('connect', () => {
    connected = true
  })
  return (request, res, next) => {
    const req = request as NodeRequest & SessionRequest & { readonly secret?: Secret | Secret[] }
    if (req.session || !connected || !pathOf(req).startsWith(settings.cookieOf(req).path || '/')) return next()
    const ids = settings.ids ?? idsOf(req.secret)
    if (ids === undefined) return next(wrong('secret option required for sessions'))
    return new Visit(shared, ids, { req, res, next }).begin()
  }
}

/** The store as applications see it, and as the engine does. */
function storage(store: Store | SessionStore): Pick<Shared, 'store' | 'records'> {
  if (isNative(store)) return { store: expressStore(store), records: new SessionRecords(store) }
  const missing = (['get', 'set', 'destroy'] as const).filter((name) => typeof store[name] !== 'function')
  if (missing.length > 0) throw wrong(`store option is no session store: it lacks ${missing.join(', ')}`)
  if (store instanceof MemoryStore && process.env.NODE_ENV === 'production') warnOfMemory()
  return { store, records: new SessionRecords(new LegacyStore(store)) }
}

function warnOfMemory(): void {
  process.emitWarning('Sessions are kept in the memory of this process, and end with it', {
    type: 'GatepassWarning',
    detail: 'Give session() a `store`: one of gatepass/stores, or the one you had.',
  })
}

function isNative(store: Store | SessionStore): store is SessionStore {
  return 'insert' in store && 'replace' in store
}

/** Under the secrets of cookie-parser, which are the same in every request. */
function idsBySecret(name: string): (secret: Secret | Secret[] | undefined) => SignedIds | undefined {
  let known: { readonly secret: Secret | Secret[]; readonly ids: SignedIds } | undefined
  return (secret) => {
    if (!secret) return undefined
    if (known?.secret !== secret) known = { secret, ids: signedIds(name, secret) }
    return known.ids
  }
}

/** A warning per request would fill the log. */
function once<Args extends unknown[]>(warn: (...args: Args) => void): (...args: Args) => void {
  let warned = false
  return (...args) => {
    if (warned) return
    warned = true
    warn(...args)
  }
}

function generate(req: NodeRequest & SessionRequest, settings: Settings): void {
  const id: unknown = settings.genid(req)
  // Without a text for an id nothing would be kept, and no word said.
  if (typeof id !== 'string' || id === '') throw wrong('genid option must return a string')
  req.sessionID = id
  req.session = new Session(req)
  req.session.cookie = newCookie(req, settings)
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
  type SessionData = types.SessionData
  type SessionOptions = types.SessionOptions
  type Store = types.Store
}

// biome-ignore lint/style/noDefaultExport: as express-session has it
export default expressSession
export { expressSession as 'module.exports' }
