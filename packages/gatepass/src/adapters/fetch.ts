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

/** Answers the request, or lets it continue (`undefined`). */
export type FetchStep = (request: Request) => Promise<Response | undefined>

/** Sessions and users for servers that answer a `Request` with a `Response`. */
export interface FetchGatepass<User, Name extends string = string> extends FetchAccess<User, Name> {
  /**
   * Wraps the function that answers requests. It refuses requests from other sites, saves the session before it returns the
   * response, and answers thrown errors. `auth.session(request)` and `auth.user(request)` find their values by the request.
   */
  handler(
    listener: (request: Request) => Awaitable<Response>,
  ): (request: Request, platform?: FetchPlatform) => Promise<Response>
  /** Session and user of a request without `await`: `auth.of(request).user`. */
  of(request: Request): RequestAuth<User>
  /** Logs in with the first of these strategies that succeeds, and keeps the login in the session. */
  login(names: Name | readonly Name[], options?: LoginRouteOptions): FetchStep
  /** Adds another way to log in to the user's account, after a recent login. For POST. */
  link(name: Name, options: LinkRouteOptions): FetchStep
  /** Ends the session. For POST. */
  logout(options?: LogoutRouteOptions, ...none: NoMore): FetchStep
  /** Ends the sessions that a provider's logout request names. For a POST address that is registered at the provider. */
  backChannelLogout(name: Name, options: BackChannelLogoutOptions): FetchStep
  /** Lets requests pass that authenticate themselves (Bearer, Basic). Nothing is kept in the session. */
  authenticate(names: Name | readonly Name[], options?: Readonly<Record<string, unknown>>): FetchStep
  /** Lets logged-in users pass. Other requests get 401 with the reason, or a redirect to the login page. */
  requireLogin(options?: RequireLoginOptions, ...none: NoMore): FetchStep
  /** Lets only requests from our own pages pass, with or without cookies. For your own login routes. */
  requireSameOrigin(...none: NoMore): FetchStep
}

/**
 * Sessions and users for servers that answer a `Request` with a `Response`.
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
