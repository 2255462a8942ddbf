import type { Awaitable } from '../awaitable.ts'
import { UsageError } from '../error.ts'
import type { Exchange, Reply } from '../http/exchange.ts'
import type { Gatepass } from '../passport/gatepass.ts'
import type { RequireLoginOptions } from '../passport/guard.ts'
import type { LinkRouteOptions, LoginRouteOptions } from '../passport/login-route.ts'
import type { BackChannelLogoutOptions, LogoutRouteOptions } from '../passport/logout-route.ts'

/** What a route does with a request: it answers, or lets the request go on (`undefined`). */
export type RouteStep = (exchange: Exchange) => Awaitable<Reply | undefined>

/**
 * No further arguments. A framework calls a handler with more, so that `auth.requireLogin` does not compile where
 * `auth.requireLogin()` is meant.
 */
export type NoMore = never[]

/** What the routes of an application do. Each is checked when the route is defined; an adapter makes handlers of them. */
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
 * What makes handlers, and says so where it was registered as one: called with a request it would return a handler that is
 * never called, and the request would wait for ever.
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

/** The same for what takes a request and calls no `next`: to be called by a handler, and not registered as one. */
export function noHandler<Given extends unknown[], Answer>(
  name: string,
  call: (...given: Given) => Answer,
): (...given: Given) => Answer {
  return (...given) => {
    const next: unknown = given[2]
    return typeof next === 'function' ? next(notCalled(name)) : call(...given)
  }
}

/** Whether a framework, and not the application, calls with this: a request, a context of Hono, or an error. */
function isRequest(given: unknown): boolean {
  if (typeof given !== 'object' || given === null) return false
  return given instanceof Error || 'req' in given || ('headers' in given && 'method' in given)
}

function notCalled(name: string): UsageError {
  return new UsageError('ERR_PASSPORT_OPTIONS', `auth.${name} is registered as a handler, and is not one`, {
    hint: `Call it: auth.${name}(…) where the route is defined, or in a handler of your own with gatepass/node.`,
  })
}
