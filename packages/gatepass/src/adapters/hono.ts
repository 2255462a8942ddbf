import type { Context, MiddlewareHandler } from 'hono'
import type { Awaitable } from '../awaitable.ts'
import { GatepassError, UsageError } from '../error.ts'
import { type FetchExchange, toResponse } from '../http/fetch.ts'
import type { Gatepass } from '../passport/gatepass.ts'
import type { UserObject } from '../passport/outcome.ts'
import type { Passport } from '../passport/passport.ts'
import type { SessionData } from '../register.ts'
import type { SessionManager } from '../session/manager.ts'
import type { Session } from '../session/session.ts'
import { type FetchGatepassOptions, type FetchVisit, FetchVisits, type RequestAuth, VisitAuth } from './fetch-visits.ts'
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
    RouteMakers<Name, HonoStep> {
  /** The request as the core sees it: what `passport`, `sessions` and `gatepass` take. */
  exchange(c: Context): FetchExchange
  session(c: Context): Awaitable<Session<SessionData>>
  user(c: Context): Awaitable<User | undefined>
  csrfToken(c: Context): Awaitable<string>
  /**
   * Answers errors of Gatepass in the same form as guards, for `app.onError`. Other errors are reported and answered with 500,
   * unless they have their own response (`HTTPException`).
   */
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
  const { core, settings } = visits.visits
  if (settings.trust !== undefined && address === undefined) throw addressMissing()
  const access = visits.access()
  const makers = routeMakers(core, (step): HonoStep => {
    return async (c, next) => {
      const visit = visits.of(c)
      const reply = await answerable(visit, async () => step(visit.exchange))
      return reply === undefined ? next() : toResponse(reply)
    }
  })

  /** Gives errors a response. Hono uses it if the application has no error handler. */
  async function answerable<T>(visit: FetchVisit<User, Name>, step: () => Awaitable<T>): Promise<T> {
    try {
      return await step()
    } catch (error) {
      if (error instanceof GatepassError) Object.assign(error, { getResponse: () => visits.fail(visit, error) })
      throw error
    }
  }

  const middleware: MiddlewareHandler<HonoEnv<User>> = async (c, next) => {
    if (visits.find(c) !== undefined) return next()
    const platform = { address: address?.(c), current: () => c.req.raw, body: () => bodyAgain(c) }
    const visit = visits.begin(c.req.raw, platform, c)
    c.set('auth', new VisitAuth(visit))
    await answerable(visit, () => visits.visits.admit(visit))
    await next()
    // No handler gave a response: Hono reports that itself.
    if (!c.finalized) return
    const { res } = c
    const finished = await answerable(visit, () => visits.finished(visit, res)).catch((error: unknown) => {
      res.body?.cancel().catch(() => {})
      // Otherwise Hono would copy the fields of this response to that of the error handler.
      c.res = undefined
      throw error
    })
    if (finished === res) return
    c.res = undefined
    c.res = finished
  }

  return Object.assign(middleware, {
    exchange: (c: Context) => access.exchange(c),
    session: (c: Context) => access.session(c),
    user: (c: Context) => access.user(c),
    csrfToken: (c: Context) => access.csrfToken(c),
    ...makers,
    errors: makerOf('errors', () => (error: Error, c: Context): Response => {
      const own = !(error instanceof GatepassError) && 'getResponse' in error
      if (own) return (error as Error & { getResponse(): Response }).getResponse()
      return visits.fail(visits.find(c) ?? visits.begin(c.req.raw, {}, c), error)
    }),
    gatepass: core,
    sessions: core.sessions,
    passport: core.passport,
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
