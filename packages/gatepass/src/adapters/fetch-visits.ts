import type { Awaitable } from '../awaitable.ts'
import { describeFailure } from '../http/answer.ts'
import { errorReply } from '../http/error-reply.ts'
import { FetchExchange, FetchHead, type FetchPlatform, toResponse, withHead } from '../http/fetch.ts'
import type { Answerer } from '../http/promises.ts'
import type { Gatepass } from '../passport/gatepass.ts'
import type { Passport } from '../passport/passport.ts'
import type { SessionData } from '../register.ts'
import type { SessionManager } from '../session/manager.ts'
import type { Session } from '../session/session.ts'
import { notMounted, type UserLoginOptions, Visit, type VisitOptions, Visits } from './visit.ts'

export interface FetchGatepassOptions<User, Name extends string = string> extends VisitOptions<User, Name> {
  /**
   * Told about errors that become a 5xx answer of `handler`, and about those that no answer tells: a session that could not
   * be saved while an error was answered. Default: `console.error`.
   */
  onError?: (error: unknown, request: Request) => void
}

/** What a handler has of its request behind the middleware. */
export interface RequestAuth<User> {
  /** This browser's session; its `data` is yours to change. */
  readonly session: Session<SessionData>
  readonly user: User | undefined
  /** Keeps the login in the session, under a new token. */
  login(user: User, options?: UserLoginOptions<User>): Promise<void>
  /** Ends this session, or with `everywhere` all of its subject's. */
  logout(options?: { everywhere?: boolean }): Promise<void>
}

/** The visit as a handler sees it: looked up at the first use of each. */
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

/** What a request that is answered with a response and one `gatepass()` share. */
export type FetchVisit<User, Name extends string> = Visit<User, Name, FetchExchange>

/** What a visit is found by: the request, or what a framework has in its place. */
export type VisitKey = object & { [kVisits]?: Map<object, FetchVisit<never, never>> }
const kVisits: unique symbol = Symbol('gatepass.visits')

/** What the middleware knows about a request, for handlers, guards and tests of your own. */
export interface FetchAccess<User, Name extends string = string, Key = Request> {
  session(request: Key): Awaitable<Session<SessionData>>
  user(request: Key): Awaitable<User | undefined>
  /** A token for a form or a script; see {@link Gatepass.csrfToken}. */
  csrfToken(request: Key): Awaitable<string>
  readonly gatepass: Gatepass<User, Name>
  readonly sessions: SessionManager<object>
  readonly passport: Passport<User, Name>
}

/** The visits of one `gatepass()` where a request is answered with a response. */
export class FetchVisits<User, Name extends string> {
  readonly visits: Visits<User, Name>
  readonly #report: (error: unknown, request: Request) => void

  constructor(options: FetchGatepassOptions<User, Name>) {
    this.visits = new Visits(options, { onError: 'function' })
    this.#report = options.onError ?? ((error) => console.error(error))
  }

  /** The request's visit, which `begin` began. */
  of(key: VisitKey): FetchVisit<User, Name> {
    const visit = this.find(key)
    if (visit === undefined) throw notMounted('auth.handler(…), or app.use(auth) in Hono')
    return visit
  }

  find(key: VisitKey): FetchVisit<User, Name> | undefined {
    return key[kVisits]?.get(this.visits) as FetchVisit<User, Name> | undefined
  }

  access(): FetchAccess<User, Name, VisitKey> {
    const { core } = this.visits
    return {
      session: (key) => this.of(key).reading((visit) => visit.open()),
      user: (key) => this.of(key).reading(({ exchange }) => core.passport.user(exchange)),
      csrfToken: (key) => this.of(key).reading(({ exchange }) => core.csrfToken(exchange)),
      gatepass: core,
      sessions: core.sessions,
      passport: core.passport,
    }
  }

  /** What a request and this `gatepass()` share; no handler may run before `visits.admit(visit)` has let it in. */
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
      'A proxy is trusted, and the address of the connection is not known: its forwarded fields are not read',
      'Give the second argument of the handler: { address }, the address that the connection comes from.',
    )
  }

  /** The response that may be given out: the session is saved, and its cookie is in the head. */
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
      // The session could not be saved, so what the application answered is not true.
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

/** There is no answering in the middle of a handler: what fails without being heard fails the response that it gives. */
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
