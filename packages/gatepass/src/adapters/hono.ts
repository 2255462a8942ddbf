import type { Context, MiddlewareHandler } from 'hono'
import type { Awaitable } from '../awaitable.ts'
import { GatepassError, UsageError } from '../error.ts'
import { FetchExchange, toResponse } from '../http/fetch.ts'
import type { UserObject } from '../passport/outcome.ts'
import {
  beginVisit,
  errorResponse,
  type FetchAccess,
  type FetchGatepassOptions,
  type FetchVisit,
  fetchVisits,
  finished,
  type RequestAuth,
  requestAuth,
} from './fetch-visits.ts'
import { makerOf, type NoMore, type RouteMakers, routeMakers } from './route-steps.ts'

export { type FetchPlatform, toResponse } from '../http/fetch.ts'
export { type LocationOptions, safeLocation } from '../http/location.ts'
export { allowCrossOrigin, csrfFormField } from '../passport/own-pages.ts'
export type { Register } from '../register.ts'
export type { RequestAuth } from './fetch-visits.ts'
export type { UserLoginOptions } from './visit.ts'

export interface HonoGatepassOptions<User, Name extends string = string> extends FetchGatepassOptions<User, Name> {
  /** Returns the address of the peer, from the platform: `(c) => getConnInfo(c).remote.address`. */
  address?: (c: Context) => string | undefined
}

/** For `new Hono<HonoEnv<User>>()`: `c.var.auth` has the session, the user, `login` and `logout`. */
export interface HonoEnv<User> {
  Variables: { readonly auth: RequestAuth<User> }
}

/** A handler that answers the request or lets it continue. */
export type HonoStep = MiddlewareHandler

/** Middleware for `app.use`, and handlers for routes. */
export interface HonoGatepass<User, Name extends string = string>
  extends MiddlewareHandler<HonoEnv<User>>,
    FetchAccess<User, Name, Context>,
    RouteMakers<Name, HonoStep> {
  /**
   * Answers errors of Gatepass in the same form as guards, for `app.onError`. Other errors are reported and answered with 500,
   * unless they have their own response (`HTTPException`).
   */
  errors(...none: NoMore): (error: Error, c: Context) => Response
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
  const visits = fetchVisits(rest)
  if (visits.settings.trust !== undefined && address === undefined) throw addressMissing()

  /** Gives an error of Gatepass a response. Hono uses it if the application has no error handler. */
  async function answerable<T>(visit: FetchVisit<User, Name>, step: () => Awaitable<T>): Promise<T> {
    try {
      return await step()
    } catch (error) {
      if (!(error instanceof GatepassError)) throw error
      // Not on the error itself: requests that share a look-up fail with the same error, and each has its own answer.
      throw Object.assign(Object.create(error), error, {
        cause: error.cause,
        getResponse: () => errorResponse(visits, visit.exchange, error),
      })
    }
  }

  const middleware: MiddlewareHandler<HonoEnv<User>> = async (c, next) => {
    if (visits.has(c)) return next()
    const platform = { address: address?.(c), current: () => c.req.raw, body: () => bodyAgain(c) }
    const visit = beginVisit(visits, c.req.raw, platform, c)
    c.set('auth', requestAuth(visit))
    await answerable(visit, () => visits.admit(visit.exchange))
    await next()
    // No handler gave a response: Hono reports that itself.
    if (!c.finalized) return
    const { res } = c
    const response = await answerable(visit, () => finished(visit, res)).catch((error: unknown) => {
      res.body?.cancel().catch(() => {})
      // Otherwise Hono would copy the fields of this response to that of the error handler.
      c.res = undefined
      throw error
    })
    if (response === res) return
    c.res = undefined
    c.res = response
  }

  return Object.assign(middleware, {
    ...visits.access<Context>(),
    ...routeMakers(
      visits.core,
      (step): HonoStep =>
        async (c, next) => {
          const visit = visits.of(c)
          const reply = await answerable(visit, () => step(visit.exchange))
          return reply === undefined ? next() : toResponse(reply)
        },
    ),
    errors: makerOf('errors', () => (error: Error, c: Context): Response => {
      if ('getResponse' in error) return (error as Error & { getResponse(): Response }).getResponse()
      // Without the middleware there is no visit.
      const exchange = visits.has(c)
        ? visits.of(c).exchange
        : new FetchExchange(c.req.raw, visits.settings, { address: address?.(c) })
      return errorResponse(visits, exchange, error)
    }),
  })
}

/** Returns the body again. A form that was read as FormData is written as it was sent; Hono would write it as multipart. */
async function bodyAgain(c: Context): Promise<ArrayBuffer | Uint8Array> {
  if (c.req.bodyCache.formData === undefined) return c.req.arrayBuffer()
  const pairs = [...(await c.req.formData())].filter((pair): pair is [string, string] => typeof pair[1] === 'string')
  return new TextEncoder().encode(new URLSearchParams(pairs).toString())
}

function addressMissing(): UsageError {
  return new UsageError(
    'ERR_HTTP_PROXY',
    '`trustProxy` needs `address`, because Hono does not know the address of a connection',
    {
      hint: "Write address: (c) => getConnInfo(c).remote.address, with the getConnInfo of your platform's adapter.",
    },
  )
}
