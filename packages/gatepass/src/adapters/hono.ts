import type { Context, MiddlewareHandler } from 'hono'
import type { Awaitable } from '../awaitable.ts'
import { GatepassError } from '../error.ts'
import { toResponse } from '../http/fetch.ts'
import type { Gatepass } from '../passport/gatepass.ts'
import type { RequireLoginOptions } from '../passport/guard.ts'
import type { LinkRouteOptions, LoginRouteOptions } from '../passport/login-route.ts'
import type { BackChannelLogoutOptions, LogoutRouteOptions } from '../passport/logout-route.ts'
import type { UserObject } from '../passport/outcome.ts'
import type { Passport } from '../passport/passport.ts'
import type { SessionData } from '../register.ts'
import type { SessionManager } from '../session/manager.ts'
import type { Session } from '../session/session.ts'
import { type FetchGatepassOptions, type FetchVisit, FetchVisits, type RequestAuth, VisitAuth } from './fetch-visits.ts'
import { makerOf, type NoMore, type RouteStep, routeSteps } from './route-steps.ts'

export type { FetchPlatform } from '../http/fetch.ts'
export { type LocationOptions, safeLocation } from '../http/location.ts'
export { allowCrossOrigin, csrfFormField } from '../passport/own-pages.ts'
export type { Register } from '../register.ts'
export type { RequestAuth } from './fetch-visits.ts'
export type { UserLoginOptions } from './visit.ts'

export interface HonoGatepassOptions<User, Name extends string = string> extends FetchGatepassOptions<User, Name> {
  /** The address that the connection comes from, as the platform tells it: `(c) => getConnInfo(c).remote.address`. */
  address?: (c: Context) => string | undefined
}

/** For `new Hono<HonoEnv<User>>()`: `c.var.auth` has the session, the user, `login` and `logout`. */
export interface HonoEnv<User> {
  Variables: { readonly auth: RequestAuth<User> }
}

/** A handler that answers, or lets the request go on. */
export type HonoStep = MiddlewareHandler

/** Middleware for `app.use`, and handlers for routes. */
export interface HonoGatepass<User, Name extends string = string> extends MiddlewareHandler<HonoEnv<User>> {
  session(c: Context): Awaitable<Session<SessionData>>
  user(c: Context): Awaitable<User | undefined>
  csrfToken(c: Context): Awaitable<string>
  /** Logs in with the first of the named strategies that concludes, and keeps the login in the session. */
  login(names: Name | readonly Name[], options?: LoginRouteOptions): HonoStep
  /** Adds a way to log in to the account of the user who is logged in, by a recent login; for a POST route. */
  link(name: Name, options: LinkRouteOptions): HonoStep
  /** Ends the session; for a POST route. */
  logout(options?: LogoutRouteOptions, ...none: NoMore): HonoStep
  /** Ends the sessions whose login a provider says has ended; for a POST route that the provider knows. */
  backChannelLogout(name: Name, options: BackChannelLogoutOptions): HonoStep
  /** Lets in a request that proves by itself who it is from (Bearer, Basic), and keeps nothing. */
  authenticate(names: Name | readonly Name[], options?: Readonly<Record<string, unknown>>): HonoStep
  /** Lets in a user who is logged in; other requests get 401 with the reason, or are sent to the login page. */
  requireLogin(options?: RequireLoginOptions, ...none: NoMore): HonoStep
  /** Lets in what comes from our own pages, with or without cookies: for routes of your own that log in. */
  requireSameOrigin(...none: NoMore): HonoStep
  /** Answers errors of Gatepass as guards answer refusals; for `app.onError`. Others go on to be thrown. */
  errors(...none: NoMore): (error: Error, c: Context) => Response
  readonly gatepass: Gatepass<User, Name>
  readonly sessions: SessionManager<object>
  readonly passport: Passport<User, Name>
}

/**
 * Sessions and users in Hono.
 *
 * ```ts
 * import { Hono } from 'hono'
 * import { gatepass } from 'gatepass/hono'
 * import { memoryStore } from 'gatepass/stores/memory'
 *
 * const auth = gatepass({
 *   sessions: { store: memoryStore() },
 *   users: { find: (id) => ({ id }), subject: (user) => user.id },
 * })
 * const app = new Hono().use(auth)
 * app.onError(auth.errors())
 * app.get('/me', auth.requireLogin(), (c) => c.json(c.var.auth.user))
 * ```
 *
 * @throws {UsageError} `ERR_PASSPORT_OPTIONS`, `ERR_SESSION_OPTIONS`, `ERR_HTTP_ORIGIN`, `ERR_HTTP_PROXY`
 */
export function gatepass<User extends UserObject, const Name extends string = string>(
  options: HonoGatepassOptions<User, Name>,
): HonoGatepass<User, Name> {
  const { address, ...rest } = options
  const visits = new FetchVisits<User, Name>(rest)
  const { core } = visits.visits
  const access = visits.access()
  const steps = routeSteps(core)
  const maker = <Given extends unknown[]>(name: string, stepOf: (...given: Given) => RouteStep) =>
    makerOf(name, (...given: Given): HonoStep => {
      const step = stepOf(...given)
      return async (c, next) => {
        const reply = await step(visits.of(c.req.raw).exchange)
        return reply === undefined ? next() : toResponse(reply)
      }
    })

  const middleware: MiddlewareHandler<HonoEnv<User>> = async (c, next) => {
    if (visits.find(c.req.raw) !== undefined) return next()
    const visit = visits.begin(c.req.raw, {
      address: address?.(c),
      body: () => c.req.arrayBuffer(),
    })
    c.set('auth', new VisitAuth(visit))
    await visits.visits.admit(visit)
    await next()
    await finish(c, visit)
  }

  async function finish(c: Context, visit: FetchVisit<User, Name>): Promise<void> {
    const { res } = c
    // Assigned anew, a response would keep the fields of the one before it.
    c.res = undefined
    c.res = await visits.finished(visit, res)
  }

  return Object.assign(middleware, {
    session: (c: Context) => access.session(c.req.raw),
    user: (c: Context) => access.user(c.req.raw),
    csrfToken: (c: Context) => access.csrfToken(c.req.raw),
    login: maker('login', steps.login),
    link: maker('link', steps.link),
    logout: maker('logout', steps.logout),
    backChannelLogout: maker('backChannelLogout', steps.backChannelLogout),
    authenticate: maker('authenticate', steps.authenticate),
    requireLogin: maker('requireLogin', steps.requireLogin),
    requireSameOrigin: maker('requireSameOrigin', steps.requireSameOrigin),
    errors: makerOf('errors', () => (error: Error, c: Context): Response => {
      if (!(error instanceof GatepassError)) throw error
      return visits.fail(visits.find(c.req.raw) ?? visits.begin(c.req.raw), error)
    }),
    gatepass: core,
    sessions: core.sessions,
    passport: core.passport,
  })
}
