import type { Readable } from 'node:stream'
import { UsageError } from '../../error.ts'
import { callEitherWay, type Done } from '../callback-or-promise.ts'
import { callBack, promised } from '../failures.ts'
import { Strategy, type StrategyActions } from './strategy.ts'
import type {
  InitializeOptions,
  LogInOptions,
  LogOutOptions,
  PassportRequest,
  SessionBag,
  SessionLogins,
  SessionOptions,
} from './types.ts'

// ── the methods of a request ─────────────────────────────────────────────────────────────────────────────────────────

type Options = LogInOptions | Done | undefined

function logIn(this: PassportRequest, user: unknown, options?: Options, done?: Done): Promise<void> | undefined {
  if (typeof options === 'function') return logIn.call(this, user, {}, options)
  const property = propertyOf(this)
  const manager = options?.session === false ? undefined : this._sessionManager
  this[property] = user
  const keep = (told: Done): void =>
    manager?.logIn(this, user, options ?? {}, (error) => {
      if (error) this[property] = null
      told(error)
    })
  return withCallback(this, 'req#login', done, manager && keep)
}

function logOut(this: PassportRequest, options?: Options, done?: Done): Promise<void> | undefined {
  if (typeof options === 'function') return logOut.call(this, {}, options)
  const manager = this._sessionManager
  this[propertyOf(this)] = null
  return withCallback(this, 'req#logout', done, manager && ((told) => manager.logOut(this, options ?? {}, told)))
}

/** Changes the session, if it keeps logins. The callback, or without one the returned promise, tells when that is done. */
function withCallback(
  req: PassportRequest,
  name: string,
  done: Done | undefined,
  change: ((told: Done) => void) | undefined,
): Promise<void> | undefined {
  const run = (told: Done): void => (change === undefined ? told() : change(told))
  const { res, next, session } = req
  if (typeof done === 'function') {
    run((error) => callBack(done, error ? [error] : [], next))
    return undefined
  }
  // `isPopulated` tells a session of cookie-session, which is emptied instead. Another session cannot keep the login, and an
  // application that does not await the promise would not notice.
  const able = session === undefined || typeof session.regenerate === 'function' || 'isPopulated' in session
  if (change !== undefined && !able) {
    throw new UsageError('ERR_PASSPORT_OPTIONS', `${name} requires a callback function`, {
      hint: 'Pass a callback, or use a session with regenerate(): then a promise is returned.',
    })
  }
  const work = new Promise<void>((resolve, reject) => run((error) => (error ? reject(error) : resolve())))
  return res && next ? promised(work, { req, res, next }) : work
}

function isAuthenticated(this: PassportRequest): boolean {
  return Boolean(this[propertyOf(this)])
}

function isUnauthenticated(this: PassportRequest): boolean {
  return !this.isAuthenticated?.()
}

/** The property that holds the user: `user`, or `userProperty` of `initialize`. */
function propertyOf(req: PassportRequest): string {
  return req._userProperty ?? 'user'
}

/** Gives a request its methods, except those that it already has from elsewhere. */
export function equip(req: PassportRequest, logins: SessionLogins): void {
  req.logIn ||= logIn
  req.login = req.logIn
  req.logOut ||= logOut
  req.logout = req.logOut
  req.isAuthenticated ||= isAuthenticated
  req.isUnauthenticated ||= isUnauthenticated
  req._sessionManager = logins
}

/** Middleware that packages for Passport up to 0.4 expect. */
export function initialize(
  passport: { readonly _sm: SessionLogins; _userProperty?: string },
  options: InitializeOptions = {},
): (req: object, res: object, next: (error?: unknown) => void) => void {
  return function initialize(request, _res, next) {
    const req = request as PassportRequest
    equip(req, passport._sm)
    if (options.userProperty) req._userProperty = options.userProperty
    if (options.compat !== false) {
      passport._userProperty = options.userProperty || 'user'
      req._passport = { instance: passport }
    }
    next()
  }
}

// ── logins in sessions ───────────────────────────────────────────────────────────────────────────────────────────────

type Serialize = (user: unknown, req: PassportRequest, done: Done) => void

/** Keeps a login in the session as `req.session.passport.user`, under a new session id. */
export class LoginKeeper implements SessionLogins {
  readonly #key: string
  readonly #serialize: Serialize

  constructor(key: string, serialize: Serialize) {
    this.#key = key
    this.#serialize = serialize
  }

  /** Passport up to 0.5 has no options here. Its methods reach requests if it is loaded somewhere in the process. */
  logIn(req: PassportRequest, user: unknown, given: LogInOptions | Done, told?: Done): void {
    const [options, done] = typeof given === 'function' ? [{}, given] : [given, told as Done]
    const session = requireSession(req, done)
    if (session === undefined) return
    const kept = keptOf(session, options)
    const keep = (id: unknown): void => {
      const fresh = Object.assign(req.session ?? session, kept)
      loginIn(fresh, this.#key).user = id
      const saved = unlessError(done, () => done())
      if (typeof fresh.save === 'function') fresh.save(saved)
      else saved()
    }
    regenerate(
      session,
      unlessError(done, () => this.#serialize(user, req, unlessError(done, keep))),
    )
  }

  /** Passport up to 0.5 has neither options nor, mostly, a callback here. The response then waits for the end of the login. */
  logOut(req: PassportRequest, given: LogOutOptions | Done = {}, told?: Done): void {
    const [options, done = inBackground(req)] = typeof given === 'function' ? [{}, given] : [given, told]
    const session = requireSession(req, done)
    if (session === undefined) return
    if (session[this.#key]) delete loginIn(session, this.#key).user
    const kept = keptOf(session, options)
    const saved: Done = (error) => {
      // The session has expired, or another request has logged out: the login has ended.
      if (error && (error as { code?: unknown }).code !== 'ERR_SESSION_ENDED') return done(error)
      const restore = () => {
        Object.assign(req.session ?? session, kept)
        done()
      }
      return regenerate(session, unlessError(done, restore))
    }
    // Saved first: a request that is still running must not find the login in the old session.
    if (typeof session.save === 'function') session.save(saved)
    else saved()
  }
}

/** The callback of work for which no code waits. */
function inBackground(req: PassportRequest): Done {
  const { res, next } = req
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  if (res && next) void promised(promise, { req, res, next })
  else promise.catch(() => undefined)
  return (error) => (error ? reject(error) : resolve())
}

function unlessError(done: Done, then: (value: unknown) => void): Done {
  return (error, value) => (error ? done(error) : then(value))
}

/** The part of a session that holds its login. */
function loginIn(session: SessionBag, key: string): { user?: unknown } {
  session[key] ||= {}
  return session[key] as { user?: unknown }
}

/** The session of a request. If it cannot hold a login, `done` gets the error. */
function requireSession({ session }: PassportRequest, done: Done): SessionBag | undefined {
  // A session of gatepass/express keeps its data in `data`. A login written beside it would be lost without an error.
  const native = typeof session?.rotate === 'function' && typeof session.assign === 'function'
  if (session && !native) return session
  const [message, hint] = native
    ? [
        'req.session is that of gatepass/express, which keeps logins itself',
        'Hand your strategies to gatepass({ strategies: [fromPassport(strategy)] }), or mount gatepass/compat/express-session.',
      ]
    : [
        'Login sessions require session support. Did you forget to use `express-session` middleware?',
        'Mount gatepass/compat/express-session, express-session or cookie-session before passport.session().',
      ]
  done(new UsageError('ERR_PASSPORT_NO_SESSIONS', message, { hint }))
  return undefined
}

/** The data that a new session id keeps: none, all of them, or those that the options name. */
function keptOf(session: SessionBag, { keepSessionInfo = false }: LogInOptions): object | undefined {
  if (!Array.isArray(keepSessionInfo)) return keepSessionInfo ? { ...session } : undefined
  const named = keepSessionInfo.filter((key: string) => Object.hasOwn(session, key))
  return Object.fromEntries(named.map((key: string) => [key, session[key]]))
}

/** A session of cookie-session has no id to change: it is emptied. */
function regenerate(session: SessionBag, done: Done): unknown {
  if (typeof session.regenerate === 'function') return session.regenerate(done)
  for (const key of Object.keys(session)) delete session[key]
  return done()
}

// ── the user of a login ──────────────────────────────────────────────────────────────────────────────────────────────

/** Finds the user by the id in a session. */
export type Deserialize = (id: unknown, req: PassportRequest, done: Done) => void

/** Finds the user whose login the session keeps. */
export interface SessionStrategy extends Strategy {
  readonly name: 'session'
  readonly _key: string
  readonly _deserializeUser: Deserialize
  authenticate(this: this & StrategyActions, req: PassportRequest, options?: SessionOptions): void
}

/** The class of {@link SessionStrategy}. */
export interface SessionStrategyClass {
  new (options: { readonly key?: string | undefined }, deserialize: Deserialize): SessionStrategy
  new (deserialize?: Deserialize): SessionStrategy
  (this: object, options?: { readonly key?: string | undefined } | Deserialize, deserialize?: Deserialize): void
  readonly prototype: SessionStrategy
}

/** A function, because it is inherited without `class`, too. */
export const SessionStrategy: SessionStrategyClass = function SessionStrategy(
  this: { name: string; _key: string; _deserializeUser: Deserialize },
  options: { key?: string } | Deserialize = {},
  deserialize?: Deserialize,
): void {
  Strategy.call(this)
  const find = typeof options === 'function' ? options : deserialize
  this.name = 'session'
  this._key = (typeof options === 'function' ? undefined : options.key) ?? 'passport'
  this._deserializeUser = (id, req, done) => find && callEitherWay(find, [id, req], done)
} as never
Object.setPrototypeOf(SessionStrategy.prototype, Strategy.prototype)
SessionStrategy.prototype.authenticate = function authenticate(req, options) {
  recall(this, { req, options, done: (error) => (error ? this.error(error) : this.pass()) })
}

/** `authenticate` as it is without a subclass. */
export const ownAuthenticate: SessionStrategy['authenticate'] = SessionStrategy.prototype.authenticate

interface Recall {
  readonly req: PassportRequest
  readonly options: SessionOptions | undefined
  readonly done: Done
}

/** Puts the user of the session's login on the request, if there is one. */
export function recall({ _key, _deserializeUser }: SessionStrategy, { req, options, done }: Recall): void {
  const session = requireSession(req, done)
  if (session === undefined) return
  const id = (session[_key] as { user?: unknown } | undefined)?.user
  if (!id && id !== 0) {
    done()
    return
  }
  const resume = options?.pauseStream === true ? held(req as unknown as Readable) : undefined
  _deserializeUser(id, req, (error, user) => {
    if (error) {
      done(error)
      return
    }
    if (user) req[propertyOf(req)] = user
    else delete loginIn(req.session ?? session, _key).user
    done()
    resume?.()
  })
}

/** Pauses a body that is being read, and returns the function that resumes it. A body that is not read yet waits by itself. */
function held(req: Readable): (() => void) | undefined {
  if (req.readableFlowing !== true) return undefined
  req.pause()
  return () => {
    req.resume()
  }
}
