import { describeFailure } from '../http/answer.ts'
import { errorReply } from '../http/error-reply.ts'
import { FetchExchange, FetchHead, type FetchPlatform, toResponse } from '../http/fetch.ts'
import type { SessionData } from '../register.ts'
import type { Session } from '../session/session.ts'
import {
  kVisit,
  type UserLoginOptions,
  Visit,
  type VisitAccess,
  type Visited,
  type VisitOptions,
  Visits,
} from './visit.ts'

/** The options of `gatepass()` for servers that answer a `Request` with a `Response`. */
export type FetchGatepassOptions<User, Name extends string = string> = VisitOptions<User, Name, Request>

/** Session and user of a request, for its handler. */
export interface RequestAuth<User> {
  /** This browser's session; its `data` is yours to change. */
  readonly session: Session<SessionData>
  readonly user: User | undefined
  /** Keeps the login in the session, under a new token. */
  login(user: User, options?: UserLoginOptions<User>): Promise<void>
  /** Ends this session. With `everywhere` it ends all sessions of its subject. */
  logout(options?: { everywhere?: boolean }): Promise<void>
}

/** {@link VisitAccess}, found by a `Request` or by Hono's context. */
export type FetchAccess<User, Name extends string = string, Key = Request> = VisitAccess<User, Name, Key, FetchExchange>

/** Session and user are looked up at their first use. */
export function requestAuth<User, Name extends string>(visit: FetchVisit<User, Name>): RequestAuth<User> {
  return {
    get session() {
      return visit.session
    },
    get user() {
      return visit.user
    },
    login: (user, options) => visit.loginUser(user, options),
    logout: (options) => visit.logout(options),
  }
}

/** The visits of one `gatepass()` for fetch requests. */
export type FetchVisits<User, Name extends string> = Visits<User, Name, FetchExchange>
export type FetchVisit<User, Name extends string> = Visit<User, Name, FetchExchange>

export function fetchVisits<User, Name extends string>(
  options: FetchGatepassOptions<User, Name>,
): FetchVisits<User, Name> {
  const { onError = (error: unknown) => console.error(error) } = options
  return new Visits(options, {
    mounted: 'auth.handler(…), or app.use(auth) in Hono',
    report: (error, { request }) => onError(error, request),
  })
}

/**
 * Begins the visit of a request. No handler may run before `visits.admit()` has succeeded.
 *
 * @param key what the visit is found by: the request, or the framework's context
 */
export function beginVisit<User, Name extends string>(
  visits: FetchVisits<User, Name>,
  request: Request,
  platform: FetchPlatform = {},
  key: Visited<FetchExchange> = request,
): FetchVisit<User, Name> {
  if (visits.settings.trust !== undefined && platform.address === undefined) {
    visits.warnOnce(
      'ERR_HTTP_PROXY',
      'A proxy is trusted, but the address of the connection is unknown: forwarded fields are not read',
      'Pass the address of the peer as the second argument of the handler: { address }.',
    )
  }
  const exchange = key[kVisit]?.exchange ?? new FetchExchange(request, visits.settings, platform)
  // Nothing can be answered in the middle of a handler. An unheard error fails the response that the handler returns.
  return new Visit(visits, exchange, key, (error) => visits.report(error, exchange))
}

/** Saves the session and returns the response with its cookie. */
export async function finished<User, Name extends string>(
  visit: FetchVisit<User, Name>,
  response: Response,
): Promise<Response> {
  const { status, statusText } = response
  await visit.save(status)
  const head = new FetchHead(response)
  visit.writeHead(head)
  visit.exchange.answered = true
  if (!head.changed) return response
  // Its body is the same: a stream goes on from where it is.
  if (status >= 200) return new Response(response.body, { status, statusText, headers: head.headers })
  // A response that hands the connection over (101), or stands for a failed one, cannot be made again.
  if (visit.exchange.cookies.changed) {
    visit.visits.warnOnce(
      'ERR_RESPONSE_STARTED',
      `A response with status ${status} cannot set the cookies that its request changed. They are lost`,
      'Log in and out, and change cookies, in a request that gets an ordinary response.',
    )
  }
  return response
}

/** The answer to an error. */
export function errorResponse<User, Name extends string>(
  visits: FetchVisits<User, Name>,
  exchange: FetchExchange,
  error: unknown,
): Response {
  const reply = errorReply(exchange, error)
  if (reply.status >= 500) visits.report(error, exchange)
  const head = new FetchHead()
  describeFailure(head, error)
  return toResponse(reply, head)
}
