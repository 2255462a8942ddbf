import type { Awaitable } from '../awaitable.ts'
import { UsageError } from '../error.ts'
import { type FetchPlatform, toResponse } from '../http/fetch.ts'
import type { UserObject } from '../passport/outcome.ts'
import {
  beginVisit,
  errorResponse,
  type FetchAccess,
  type FetchGatepassOptions,
  fetchVisits,
  finished,
  type RequestAuth,
  requestAuth,
} from './fetch-visits.ts'
import { type RouteMakers, routeMakers } from './route-steps.ts'

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
export interface FetchGatepass<User, Name extends string = string>
  extends FetchAccess<User, Name>,
    RouteMakers<Name, FetchStep> {
  /**
   * Wraps the function that answers requests. It refuses requests from other sites, saves the session before it returns the
   * response, and answers thrown errors. `auth.session(request)` and `auth.user(request)` find their values by the request.
   */
  handler(
    listener: (request: Request) => Awaitable<Response>,
  ): (request: Request, platform?: FetchPlatform) => Promise<Response>
  /** Session and user of a request without `await`: `auth.of(request).user`. */
  of(request: Request): RequestAuth<User>
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
  const visits = fetchVisits(options)

  async function serve(
    listener: (request: Request) => Awaitable<Response>,
    request: Request,
    platform: FetchPlatform | undefined,
  ): Promise<Response> {
    if (visits.has(request)) return listener(request)
    const visit = beginVisit(visits, request, platform)
    const { exchange } = visit
    const answer = async (): Promise<Response> => {
      await visits.admit(exchange)
      const response: Partial<Response> | undefined = await listener(request)
      if (response?.headers === undefined) throw notAnswered()
      return response as Response
    }
    const response = await answer().catch((error: unknown) => errorResponse(visits, exchange, error))
    return finished(visit, response).catch((error: unknown) => {
      // The session could not be saved, so the application's answer would be wrong.
      response.body?.cancel().catch(() => {})
      return errorResponse(visits, exchange, error)
    })
  }

  return {
    handler: (listener) => (request, platform) => serve(listener, request, platform),
    ...visits.access<Request>(),
    of: (request) => requestAuth(visits.of(request)),
    ...routeMakers(
      visits.core,
      (step): FetchStep =>
        async (request) => {
          const reply = await step(visits.of(request).exchange)
          return reply && toResponse(reply)
        },
    ),
  }
}

function notAnswered(): UsageError {
  return new UsageError('ERR_PASSPORT_OPTIONS', 'The listener of `auth.handler()` returned no Response', {
    hint: 'Return a `Response` on every path, also where nothing is found: `new Response(null, { status: 404 })`.',
  })
}
