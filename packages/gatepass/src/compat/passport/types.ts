import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Done } from '../callback-or-promise.ts'
import type { LegacyStrategy } from './strategy.ts'

// biome-ignore lint/suspicious/noExplicitAny: applications compiled against @types/passport expect it
type Anything = any

declare global {
  namespace Express {
    interface AuthInfo {}
    interface User {}
    interface Request {
      authInfo?: AuthInfo | undefined
      user?: User | undefined
      login(user: User, done: (error: Anything) => void): void
      login(user: User, options: LogInOptions, done: (error: Anything) => void): void
      login(user: User, options?: LogInOptions): Promise<void>
      logIn(user: User, done: (error: Anything) => void): void
      logIn(user: User, options: LogInOptions, done: (error: Anything) => void): void
      logIn(user: User, options?: LogInOptions): Promise<void>
      logout(done: (error: Anything) => void): void
      logout(options: LogOutOptions, done: (error: Anything) => void): void
      logout(options?: LogOutOptions): Promise<void>
      logOut(done: (error: Anything) => void): void
      logOut(options: LogOutOptions, done: (error: Anything) => void): void
      logOut(options?: LogOutOptions): Promise<void>
      isAuthenticated(): this is AuthenticatedRequest
      isUnauthenticated(): this is UnauthenticatedRequest
    }
    interface AuthenticatedRequest extends Request {
      user: User
    }
    interface UnauthenticatedRequest extends Request {
      user?: undefined
    }
  }
}

export interface LogOutOptions {
  /** Which data the new session keeps: `true` for all, or the named keys. Default: none. */
  keepSessionInfo?: boolean | readonly string[] | undefined
}

export interface LogInOptions extends LogOutOptions {
  /** Whether the session keeps the login. Default true. */
  session?: boolean | undefined
}

export interface InitializeOptions {
  /** The property of the request that holds the user. Default `user`. */
  userProperty?: string | undefined
  /** Whether requests get what packages for Passport up to 0.4 expect. Default true. */
  compat?: boolean | undefined
}

export interface SessionStrategyOptions {
  /** The key in the session that holds the login. Default `passport`. */
  key: string
}

/** What a `SessionStrategy` calls to find the user of a login. */
export type DeserializeUserFunction = (serializedUser: unknown, req: Express.Request, done: DoneCallback) => void

export interface SessionOptions {
  /** Whether the body is held back while the user is looked up. Default false. */
  pauseStream?: boolean | undefined
}

/** A message for the next page: the strategy's own (`true`), or this one. */
export type FlashWish = boolean | string | { type?: string | undefined; message?: string | undefined }

/** What `authenticate` does after the strategies have concluded. Strategies read further options. */
export interface AuthenticateOptions extends LogInOptions, SessionOptions {
  authInfo?: boolean | undefined
  assignProperty?: string | undefined
  failureFlash?: FlashWish | undefined
  failureMessage?: boolean | string | undefined
  failureRedirect?: string | undefined
  failWithError?: boolean | undefined
  successFlash?: FlashWish | undefined
  successMessage?: boolean | string | undefined
  successRedirect?: string | undefined
  /** Where to go if `req.session.returnTo` is not set. */
  successReturnToOrRedirect?: string | undefined
  scope?: string | string[] | undefined
  state?: string | undefined
  prompt?: string | undefined
  passReqToCallback?: boolean | undefined
  userProperty?: string | undefined
  [option: string]: unknown
}

/**
 * Called with the conclusion instead of all that `authenticate` would do: an error, a user or `false`, and what the strategies
 * say, with the status. Applications declare the types.
 */
export type AuthenticateCallback = (error: Anything, user?: Anything, info?: Anything, status?: Anything) => unknown

/** The callback of `authorize`. */
export type AuthorizeCallback = AuthenticateCallback

/** The callback of a serialiser, or of a strategy's verify function. */
export type DoneCallback = (error: Anything, user?: Express.User | false | null) => void

/** Middleware for Express, Connect and every framework that calls `(req, res, next)`. */
export type Handler = (req: IncomingMessage, res: ServerResponse, next: (error?: Anything) => void) => void

/** Serves a framework other than Express and Connect. */
export interface Framework<InitializeRet = unknown, AuthenticateRet = unknown, AuthorizeRet = AuthenticateRet> {
  initialize(passport: object, options?: InitializeOptions): (...args: never[]) => InitializeRet
  authenticate(
    passport: object,
    strategy: string | readonly string[] | LegacyStrategy,
    options?: AuthenticateOptions,
    callback?: AuthenticateCallback,
  ): (...args: never[]) => AuthenticateRet
  authorize?(
    passport: object,
    strategy: string | readonly string[] | LegacyStrategy,
    options?: AuthenticateOptions,
    callback?: AuthenticateCallback,
  ): (...args: never[]) => AuthorizeRet
}

/** A user's profile, as the strategies of providers give it. */
export interface Profile {
  provider: string
  id: string
  displayName: string
  username?: string | undefined
  name?: { familyName: string; givenName: string; middleName?: string | undefined } | undefined
  emails?: { value: string; type?: string | undefined }[] | undefined
  photos?: { value: string }[] | undefined
}

// ── requests and sessions, as the drop-in uses them ──────────────────────────────────────────────────────────────────

/** A session as Passport uses it: data, and the methods of express-session if it has them. */
export interface SessionBag {
  [key: string]: unknown
  regenerate?(done: Done): void
  save?(done: Done): void
}

/** Writes a login into the session, and removes it. */
export interface SessionLogins {
  logIn(req: PassportRequest, user: unknown, options: LogInOptions, done: Done): void
  logOut(req: PassportRequest, options: LogOutOptions, done: Done): void
}

export interface RequestMethods {
  login(this: PassportRequest, user: unknown, options?: LogInOptions | Done, done?: Done): unknown
  logIn(this: PassportRequest, user: unknown, options?: LogInOptions | Done, done?: Done): unknown
  logout(this: PassportRequest, options?: LogOutOptions | Done, done?: Done): unknown
  logOut(this: PassportRequest, options?: LogOutOptions | Done, done?: Done): unknown
  isAuthenticated(this: PassportRequest): boolean
  isUnauthenticated(this: PassportRequest): boolean
}

export interface PassportRequest extends Partial<RequestMethods> {
  [property: string]: unknown
  session?: SessionBag
  /** Express sets these two. */
  res?: ServerResponse
  next?(error?: unknown): void
  flash?(type: string, message: string): unknown
  _sessionManager?: SessionLogins
  _userProperty?: string
  _passport?: { instance: object }
}
