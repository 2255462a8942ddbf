import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Done, LegacyStrategy } from './strategy.ts'

// biome-ignore lint/suspicious/noExplicitAny: what applications that were compiled against @types/passport expect
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
  /** What survives the new session id: `true` for everything, or the keys named. Default nothing. */
  keepSessionInfo?: boolean | readonly string[] | undefined
}

export interface LogInOptions extends LogOutOptions {
  /** Whether the session keeps the login. Default true. */
  session?: boolean | undefined
}

export interface InitializeOptions {
  /** Where the user is put. Default `user`. */
  userProperty?: string | undefined
  /** Whether requests are made to look as packages for Passport up to 0.4 expect. Default true. */
  compat?: boolean | undefined
}

export interface SessionOptions {
  /** Holds the body back while the user is looked up. Default false. */
  pauseStream?: boolean | undefined
}

/** What a message for the next page is: the strategy's own words (`true`), or these. */
export type FlashWish = boolean | string | { type?: string | undefined; message?: string | undefined }

/** What `authenticate` does with what the strategies conclude; the rest is for the strategies. */
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
  /** Where to go when `req.session.returnTo` does not say it. */
  successReturnToOrRedirect?: string | undefined
  scope?: string | string[] | undefined
  state?: string | undefined
  prompt?: string | undefined
  passReqToCallback?: boolean | undefined
  userProperty?: string | undefined
  [option: string]: unknown
}

/**
 * Told what the strategies concluded, in place of everything that `authenticate` would do: an error, a user or `false`, and
 * what the strategies say, with the status. Applications know more of these types than we.
 */
export type AuthenticateCallback = (error: Anything, user?: Anything, info?: Anything, status?: Anything) => unknown

/** What a serialiser or a strategy's verify function calls when it is done. */
export type DoneCallback = (error: Anything, user?: Express.User | false | null) => void

/** Middleware for Express, Connect and whatever calls `(req, res, next)`. */
export type Handler = (req: IncomingMessage, res: ServerResponse, next: (error?: Anything) => void) => void

/** How another framework than Express and Connect is served. */
export interface Framework {
  initialize(passport: object, options?: InitializeOptions): (...args: never[]) => unknown
  authenticate(
    passport: object,
    strategy: string | readonly string[] | LegacyStrategy,
    options?: AuthenticateOptions,
    callback?: AuthenticateCallback,
  ): (...args: never[]) => unknown
  authorize?: Framework['authenticate']
}

/** A user's profile as providers' strategies give it. */
export interface Profile {
  provider: string
  id: string
  displayName: string
  username?: string | undefined
  name?: { familyName: string; givenName: string; middleName?: string | undefined } | undefined
  emails?: { value: string; type?: string | undefined }[] | undefined
  photos?: { value: string }[] | undefined
}

// ── what the code below sees of requests ─────────────────────────────────────────────────────────────────────────────

/** A session as Passport knows it: data, and the methods of express-session where it has them. */
export interface SessionBag {
  [key: string]: unknown
  regenerate?(done: Done): void
  save?(done: Done): void
}

/** How a login gets into the session and out again. */
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
