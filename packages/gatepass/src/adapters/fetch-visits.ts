import type { Awaitable } from '../awaitable.ts'
import { describeFailure } from '../http/answer.ts'
import { errorReply } from '../http/error-reply.ts'
import { FetchExchange, FetchHead, type FetchPlatform, toResponse, withHead } from '../http/fetch.ts'
import type { Answerer } from '../http/promises.ts'
import type { SessionData } from '../register.ts'
import type { Session } from '../session/session.ts'
import { notMounted, type UserLoginOptions, Visit, type VisitAccess, type VisitOptions, Visits } from './visit.ts'

export interface FetchGatepassOptions<User, Name extends string = string> extends VisitOptions<User, Name> {
  /**
   * Receives errors that `handler` answers with 5xx, and errors that no answer shows, such as a session that could not be
   * saved while an error was answered. Default: `console.error`.
   */
  onError?: (error: unknown, request: Request) => void
}

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

/** Session and user of a visit. Each is looked up at its first use. */
export class VisitAuth<User> implements RequestAuth<User> {
  readonly #visit: Visit<User, string>

  constructor(visit: Visit<User, string>) {
    this.#visit = visit
  }

  get session(): Session<SessionData> {
    return this.#visit.session
  }

  get user(): User | undefined {
    return this.#visit.user
  }

  login(user: User, options?: UserLoginOptions<User>): Promise<void> {
    return this.#visit.loginUser(user, options)
  }

  logout(options?: { everywhere?: boolean }): Promise<void> {
    return this.#visit.logout(options)
  }
}

/** The visit of a fetch request. */
export type FetchVisit<User, Name extends string> = Visit<User, Name, FetchExchange>

/** The object that a visit is found by: the request, or the framework's context. */
export type VisitKey = object & { [kVisits]?: Map<object, FetchVisit<never, never>> }
const kVisits: unique symbol = Symbol('gatepass.visits')

/** What the middleware knows about a request, for your own handlers, guards and tests. */
export type FetchAccess<User, Name extends string = string, Key = Request> = VisitAccess<User, Name, Key, FetchExchange>

/** The visits of one `gatepass()` for fetch requests. */
export class FetchVisits<User, Name extends string> {
  readonly visits: Visits<User, Name>
  readonly #report: (error: unknown, request: Request) => void

  constructor(options: FetchGatepassOptions<User, Name>) {
    this.visits = new Visits(options, { onError: 'function' })
    this.#report = options.onError ?? ((error) => console.error(error))
  }

  /** The visit that `begin` made for the request. */
  of(key: VisitKey): FetchVisit<User, Name> {
    const visit = this.find(key)
    if (visit === undefined) throw notMounted('auth.handler(…), or app.use(auth) in Hono')
    return visit
  }

  find(key: VisitKey): FetchVisit<User, Name> | undefined {
    return key[kVisits]?.get(this.visits) as FetchVisit<User, Name> | undefined
  }

  access(): FetchAccess<User, Name, VisitKey> {
    return this.visits.access((key) => this.of(key))
  }

  /** Makes the visit of a request. No handler may run before `visits.admit(visit)` has succeeded. */
  begin(request: Request, platform: FetchPlatform = {}, key: VisitKey = request): FetchVisit<User, Name> {
    const known = key[kVisits] ?? new Map<object, FetchVisit<never, never>>()
    const earlier = [...known.values()].at(-1)
    const exchange = earlier?.exchange ?? new FetchExchange(request, this.visits.settings, platform)
    if (earlier !== undefined) this.visits.mustDiffer(exchange, earlier.visits as Visits<unknown, string>)
    if (this.visits.settings.trust !== undefined && platform.address === undefined) this.#warnOfAddress()
    const answerer = exchange.answerer ?? new FetchAnswerer((error) => this.report(error, request))
    const visit: FetchVisit<User, Name> = new Visit(this.visits, exchange, answerer)
    known.set(this.visits, visit as FetchVisit<never, never>)
    key[kVisits] = known
    return visit
  }

  #warnOfAddress(): void {
    this.visits.warnOnce(
      'ERR_HTTP_PROXY',
      'A proxy is trusted, but the address of the connection is unknown: forwarded fields are not read',
      'Pass the address of the peer as the second argument of the handler: { address }.',
    )
  }

  /** Saves the session and returns the response with its cookie. */
  async finished(visit: FetchVisit<User, Name>, response: Response): Promise<Response> {
    const head = new FetchHead(response)
    await visit.finish(head)
    const { answerer } = visit.exchange
    if (answerer instanceof FetchAnswerer) answerer.answered = true
    return withHead(response, head)
  }

  report(error: unknown, request: Request): void {
    this.#report(error, request)
  }

  async serve(
    request: Request,
    platform: FetchPlatform | undefined,
    listener: (request: Request) => Awaitable<Response>,
  ): Promise<Response> {
    const begun = this.find(request)
    if (begun !== undefined) return listener(request)
    const visit = this.begin(request, platform)
    const response = await this.#answer(visit, request, listener)
    try {
      return await this.finished(visit, response)
    } catch (error) {
      // The session could not be saved, so the application's answer would be wrong.
      response.body?.cancel().catch(() => {})
      return this.fail(visit, error)
    }
  }

  fail(visit: FetchVisit<User, Name>, error: unknown): Response {
    const reply = errorReply(visit.exchange, error)
    if (reply.status >= 500) this.report(error, visit.exchange.request)
    const head = new FetchHead()
    describeFailure(head, error)
    return toResponse(reply, head)
  }

  async #answer(
    visit: FetchVisit<User, Name>,
    request: Request,
    listener: (request: Request) => Awaitable<Response>,
  ): Promise<Response> {
    try {
      await this.visits.admit(visit)
      return await listener(request)
    } catch (error) {
      return this.fail(visit, error)
    }
  }
}

/** Reports errors. It cannot answer in the middle of a handler; an unheard error fails the response that the handler returns. */
class FetchAnswerer implements Answerer {
  answered = false
  readonly report: (error: unknown) => void

  constructor(report: (error: unknown) => void) {
    this.report = report
  }

  next(error: unknown): void {
    this.report(error)
  }
}
