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

/** The steps of all routes. Each checks its options when the route is defined. An adapter turns them into handlers. */
export function routeSteps<User, Name extends string>(core: Gatepass<User, Name>) {
  return {
    login(names: Name | readonly Name[], options: LoginRouteOptions = {}): RouteStep {
      core.checkRoute('login', options, names)
      return (exchange) => core.login(exchange, names, options)
    },
    link(name: Name, options: LinkRouteOptions): RouteStep {
      core.checkRoute('link', options, name)
      return (exchange) => core.link(exchange, name, options)
    },
    logout(options: LogoutRouteOptions = {}): RouteStep {
      core.checkRoute('logout', options)
      return (exchange) => core.logout(exchange, options)
    },
    backChannelLogout(name: Name, options: BackChannelLogoutOptions): RouteStep {
      core.checkRoute('backChannelLogout', options, name)
      return (exchange) => core.backChannelLogout(exchange, name, options)
    },
    authenticate(names: Name | readonly Name[], options?: Readonly<Record<string, unknown>>): RouteStep {
      core.checkRoute('authenticate', {}, names)
      return (exchange) => core.authenticate(exchange, names, options)
    },
    requireLogin(options: RequireLoginOptions = {}): RouteStep {
      core.checkRoute('requireLogin', options)
      return (exchange) => core.requireLogin(exchange, options)
    },
    requireSameOrigin(): RouteStep {
      return (exchange) => core.requireOwnForm(exchange)
    },
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
