import type { Awaitable } from '../awaitable.ts'
import { UsageError } from '../error.ts'
import type { Exchange, Reply } from '../http/exchange.ts'
import type { Gatepass } from '../passport/gatepass.ts'
import type { RequireLoginOptions } from '../passport/guard.ts'
import type { LinkRouteOptions, LoginRouteOptions } from '../passport/login-route.ts'
import type { BackChannelLogoutOptions, LogoutRouteOptions } from '../passport/logout-route.ts'

/** One step of a route: it answers the request, or lets it continue (`undefined`). */
export type RouteStep = (exchange: Exchange) => Awaitable<Reply | undefined>

/**
 * Forbids further arguments. A framework calls handlers with more arguments, so `auth.requireLogin` does not compile as a
 * handler where `auth.requireLogin()` is meant.
 */
export type NoMore = never[]

/** What makes the handlers of an application's routes, in every framework. */
export interface RouteMakers<Name extends string, Handler> {
  /** Logs in with the first of these strategies that succeeds, and keeps the login in the session. */
  login(names: Name | readonly Name[], options?: LoginRouteOptions): Handler
  /** Adds another way to log in to the user's account, after a recent login. For a POST route. */
  link(name: Name, options: LinkRouteOptions): Handler
  /** Ends the session. For a POST route. */
  logout(options?: LogoutRouteOptions, ...none: NoMore): Handler
  /** Ends the sessions that a provider's logout request names. For a POST route that is registered at the provider. */
  backChannelLogout(name: Name, options: BackChannelLogoutOptions): Handler
  /** Lets requests pass that authenticate themselves (Bearer, Basic). Nothing is kept in the session. */
  authenticate(names: Name | readonly Name[], options?: Readonly<Record<string, unknown>>): Handler
  /** Lets logged-in users pass. Other requests get 401 with the reason, or a redirect to the login page. */
  requireLogin(options?: RequireLoginOptions, ...none: NoMore): Handler
  /**
   * Lets only requests from our own pages pass, with or without cookies. For your own login routes. Unsafe requests with
   * cookies are checked before any handler runs.
   */
  requireSameOrigin(...none: NoMore): Handler
}

/** The makers of one application. Each checks its options when the route is defined. */
export function routeMakers<User, Name extends string, Handler>(
  core: Gatepass<User, Name>,
  handlerOf: (step: RouteStep) => Handler,
): RouteMakers<Name, Handler> {
  return {
    login: makerOf('login', (names: Name | readonly Name[], options: LoginRouteOptions = {}) => {
      core.checkRoute('login', options, names)
      return handlerOf((exchange) => core.login(exchange, names, options))
    }),
    link: makerOf('link', (name: Name, options: LinkRouteOptions) => {
      core.checkRoute('link', options, name)
      return handlerOf((exchange) => core.link(exchange, name, options))
    }),
    logout: makerOf('logout', (options: LogoutRouteOptions = {}) => {
      core.checkRoute('logout', options)
      return handlerOf((exchange) => core.logout(exchange, options))
    }),
    backChannelLogout: makerOf('backChannelLogout', (name: Name, options: BackChannelLogoutOptions) => {
      core.checkRoute('backChannelLogout', options, name)
      return handlerOf((exchange) => core.backChannelLogout(exchange, name, options))
    }),
    authenticate: makerOf(
      'authenticate',
      (names: Name | readonly Name[], options?: Readonly<Record<string, unknown>>) => {
        core.checkRoute('authenticate', {}, names)
        return handlerOf((exchange) => core.authenticate(exchange, names, options))
      },
    ),
    requireLogin: makerOf('requireLogin', (options: RequireLoginOptions = {}) => {
      core.checkRoute('requireLogin', options)
      return handlerOf((exchange) => core.requireLogin(exchange, options))
    }),
    requireSameOrigin: makerOf('requireSameOrigin', () => handlerOf((exchange) => core.requireOwnForm(exchange))),
  }
}

/**
 * Wraps a function that makes handlers, such as `requireLogin`. If it is registered itself as a handler and called with a
 * request, that is an error. Without this check it would return a handler that is never called, and the request would hang.
 */
export function makerOf<Given extends unknown[], Handler>(
  name: string,
  make: (...given: Given) => Handler,
): (...given: Given) => Handler {
  return (...given) => {
    const error = isRequest(given[0]) ? notCalled(name) : undefined
    if (error === undefined) return make(...given)
    const next: unknown = given[2]
    if (typeof next !== 'function') throw error
    return next(error) as Handler
  }
}

/** Wraps a function that a handler calls with a request. If it is registered as a handler with a `next`, that is an error. */
export function noHandler<Given extends unknown[], Answer>(
  name: string,
  call: (...given: Given) => Answer,
): (...given: Given) => Answer {
  return (...given) => {
    const next: unknown = given[2]
    return typeof next === 'function' ? next(notCalled(name)) : call(...given)
  }
}

/** Whether a framework, and not the application, passed this argument: a request, a Hono context, or an error. */
function isRequest(given: unknown): boolean {
  if (typeof given !== 'object' || given === null) return false
  return given instanceof Error || 'req' in given || ('headers' in given && 'method' in given)
}

function notCalled(name: string): UsageError {
  return new UsageError('ERR_PASSPORT_OPTIONS', `auth.${name} is registered as a handler, but it is not one`, {
    hint: `Call it: auth.${name}(…) where the route is defined, or in your own handler with gatepass/node.`,
  })
}
