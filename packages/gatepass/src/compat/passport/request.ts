import { UsageError } from '../../error.ts'
import { callBack, promised } from '../failures.ts'
import type { Done } from './promises.ts'
import { canRegenerate } from './session-login.ts'
import type { InitializeOptions, LogInOptions, PassportRequest, SessionLogins } from './types.ts'

type Options = LogInOptions | Done | undefined

function logIn(this: PassportRequest, user: unknown, options?: Options, done?: Done): Promise<void> | undefined {
  if (typeof options === 'function') return logIn.call(this, user, {}, options)
  const property = propertyOf(this)
  const manager = options?.session === false ? undefined : this._sessionManager
  this[property] = user
  return withCallback('req#login', this, manager, done, (logins, told) =>
    logins.logIn(this, user, options ?? {}, (error) => {
      if (error) this[property] = null
      told(error)
    }),
  )
}

function logOut(this: PassportRequest, options?: Options, done?: Done): Promise<void> | undefined {
  if (typeof options === 'function') return logOut.call(this, {}, options)
  this[propertyOf(this)] = null
  return withCallback('req#logout', this, this._sessionManager, done, (logins, told) =>
    logins.logOut(this, options ?? {}, told),
  )
}

type Act = (logins: SessionLogins, told: Done) => void

/** Tells the callback, or a promise where there is none. */
function withCallback(
  name: string,
  req: PassportRequest,
  logins: SessionLogins | undefined,
  done: Done | undefined,
  act: Act,
): Promise<void> | undefined {
  const withoutSession: Act = (_, told) => told()
  const run = (told: Done): void => (logins === undefined ? withoutSession : act)(logins as SessionLogins, told)
  const { res, next } = req
  if (typeof done === 'function') {
    run((error) => callBack(done, error ? [error] : [], next))
    return undefined
  }
  // A promise that is not awaited would hide that such a session cannot keep the login.
  if (logins !== undefined && !canRegenerate(req.session)) throw noCallback(name)
  const work = new Promise<void>((resolve, reject) => run((error) => (error ? reject(error) : resolve())))
  return res && next ? promised(work, { req, res, next }) : work
}

function noCallback(name: string): UsageError {
  return new UsageError('ERR_PASSPORT_OPTIONS', `${name} requires a callback function`, {
    hint: 'Pass a callback, or use a session with regenerate(): then a promise is returned.',
  })
}

function isAuthenticated(this: PassportRequest): boolean {
  return Boolean(this[propertyOf(this)])
}

function isUnauthenticated(this: PassportRequest): boolean {
  return !this.isAuthenticated?.()
}

/** Where the application finds its user: `req.user`, or as `initialize({ userProperty })` says. */
export function propertyOf(req: PassportRequest): string {
  return req._userProperty ?? 'user'
}

/** Gives a request its methods, except those that somebody else has given it. */
export function equip(req: PassportRequest, logins: SessionLogins): void {
  req.logIn ||= logIn
  req.login = req.logIn
  req.logOut ||= logOut
  req.logout = req.logOut
  req.isAuthenticated ||= isAuthenticated
  req.isUnauthenticated ||= isUnauthenticated
  req._sessionManager = logins
}

interface Initializing {
  readonly _sm: SessionLogins
  _userProperty?: string
}

/** Middleware that packages for Passport up to 0.4 expect. */
export function initialize(
  passport: Initializing,
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
