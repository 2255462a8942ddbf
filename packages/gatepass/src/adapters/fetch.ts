import type { Awaitable } from '../awaitable.ts'
import { type FetchPlatform, toResponse } from '../http/fetch.ts'
import type { RequireLoginOptions } from '../passport/guard.ts'
import type { LinkRouteOptions, LoginRouteOptions } from '../passport/login-route.ts'
import type { BackChannelLogoutOptions, LogoutRouteOptions } from '../passport/logout-route.ts'
import type { UserObject } from '../passport/outcome.ts'
import {
  type FetchAccess,
  type FetchGatepassOptions,
  FetchVisits,
  type RequestAuth,
  VisitAuth,
} from './fetch-visits.ts'
import { makerOf, type NoMore, type RouteStep, routeSteps } from './route-steps.ts'

export type { FetchPlatform } from '../http/fetch.ts'
export { type LocationOptions, safeLocation } from '../http/location.ts'
export type { HttpOptions } from '../http/settings.ts'
export { allowCrossOrigin, csrfFormField } from '../passport/own-pages.ts'
export type { Register } from '../register.ts'
export type { FetchGatepassOptions, RequestAuth } from './fetch-visits.ts'
export type { UserLoginOptions } from './visit.ts'

/** Answers the request, or lets it go on (`undefined`). */
export type FetchStep = (request: Request) => Promise<Response | undefined>

/** Sessions and users for servers that answer a `Request` with a `Response`. */
export interface FetchGatepass<User, Name extends string = string> extends FetchAccess<User, Name> {
  /**
   * Wraps what answers requests: a request from another site is refused, the session is saved before the response is given
   * out, and an error that is thrown is answered. What a request has is found by the request: `auth.session(request)`.
   */
  handler(
    listener: (request: Request) => Awaitable<Response>,
  ): (request: Request, platform?: FetchPlatform) => Promise<Response>
  /** What a handler has of its request without waiting: `auth.of(request).user`. */
  of(request: Request): RequestAuth<User>
  /** Logs in with the first of the named strategies that concludes, and keeps the login in the session. */
  login(names: Name | readonly Name[], options?: LoginRouteOptions): FetchStep
  /** Adds a way to log in to the account of the user who is logged in, by a recent login; for POST. */
  link(name: Name, options: LinkRouteOptions): FetchStep
  /** Ends the session; for POST. */
  logout(options?: LogoutRouteOptions, ...none: NoMore): FetchStep
  /** Ends the sessions whose login a provider says has ended; for a POST that the provider knows. */
  backChannelLogout(name: Name, options: BackChannelLogoutOptions): FetchStep
  /** Lets in a request that proves by itself who it is from (Bearer, Basic), and keeps nothing. */
  authenticate(names: Name | readonly Name[], options?: Readonly<Record<string, unknown>>): FetchStep
  /** Lets in a user who is logged in; other requests get 401 with the reason, or are sent to the login page. */
  requireLogin(options?: RequireLoginOptions, ...none: NoMore): FetchStep
  /** Lets in what comes from our own pages, with or without cookies: for routes of your own that log in. */
  requireSameOrigin(...none: NoMore): FetchStep
}

/**
 * Sessions and users wherever a `Request` is answered with a `Response`.
 *
 * ```ts
 * import { gatepass } from 'gatepass/fetch'
 * import { memoryStore } from 'gatepass/stores/memory'
 *
 * const auth = gatepass({
 *   sessions: { store: memoryStore() },
 *   users: { find: (id) => ({ id }), subject: (user) => user.id },
 * })
 * const guard = auth.requireLogin()
 * export const answer = auth.handler(async (request) => {
 *   const refused = await guard(request)
 *   return refused ?? Response.json(await auth.user(request))
 * })
 * ```
 *
 * @throws {UsageError} `ERR_PASSPORT_OPTIONS`, `ERR_SESSION_OPTIONS`, `ERR_HTTP_ORIGIN`, `ERR_HTTP_PROXY`
 */
export function gatepass<User extends UserObject, const Name extends string = string>(
  options: FetchGatepassOptions<User, Name>,
): FetchGatepass<User, Name> {
  const visits = new FetchVisits<User, Name>(options)
  const { core } = visits.visits
  const steps = routeSteps(core)
  const maker = <Given extends unknown[]>(name: string, stepOf: (...given: Given) => RouteStep) =>
    makerOf(name, (...given: Given): FetchStep => {
      const step = stepOf(...given)
      return async (request) => {
        const reply = await step(visits.of(request).exchange)
        return reply && toResponse(reply)
      }
    })
  return {
    handler: (listener) => (request, platform) => visits.serve(request, platform, listener),
    ...visits.access(),
    of: (request) => new VisitAuth(visits.of(request)),
    login: maker('login', steps.login),
    link: maker('link', steps.link),
    logout: maker('logout', steps.logout),
    backChannelLogout: maker('backChannelLogout', steps.backChannelLogout),
    authenticate: maker('authenticate', steps.authenticate),
    requireLogin: maker('requireLogin', steps.requireLogin),
    requireSameOrigin: maker('requireSameOrigin', steps.requireSameOrigin),
  }
}
