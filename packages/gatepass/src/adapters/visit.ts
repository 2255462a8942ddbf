import { type Awaitable, andThen, orElse } from '../awaitable.ts'
import { checkOptions, type ErrorCode, type OptionKinds, UsageError } from '../error.ts'
import { type AnswerHead, keepFromCaches, writeCookies } from '../http/answer.ts'
import type { Exchange } from '../http/exchange.ts'
import type { Answerer, PromisingExchange } from '../http/promises.ts'
import { type HttpOptions, type HttpSettings, httpOptions, httpSettings } from '../http/settings.ts'
import { Gatepass, type GatepassOptions, gatepassOptions } from '../passport/gatepass.ts'
import type { Success } from '../passport/outcome.ts'
import type { LoginOptions, Passport } from '../passport/passport.ts'
import { checkUsers } from '../passport/users.ts'
import type { SessionData } from '../register.ts'
import type { SessionManager } from '../session/manager.ts'
import type { Session } from '../session/session.ts'

export interface VisitOptions<User, Name extends string = string> extends GatepassOptions<User, Name>, HttpOptions {
  /**
   * Loads session and user only when `await auth.session(req)`, `await auth.user(req)` or a guard asks for them, so that a
   * page that needs neither costs no store call. Default false: both are loaded before the next handler runs. If store and
   * `users` are both `synchronous`, they are always loaded at first use.
   */
  lazy?: boolean
}

/** How a login by your own code was proved, and whether it is remembered. */
export type UserLoginOptions<User> = LoginOptions & Pick<Success<User>, 'amr' | 'at'>

/** What the middleware knows about a request, for your own handlers, guards and tests. */
export interface VisitAccess<User, Name extends string, Key, Ex extends Exchange> {
  /** The request in the form that `passport`, `sessions` and `gatepass` take. */
  exchange(request: Key): Ex
  session(request: Key): Awaitable<Session<SessionData>>
  user(request: Key): Awaitable<User | undefined>
  /** A token for a form or a script; see {@link Gatepass.csrfToken}. */
  csrfToken(request: Key): Awaitable<string>
  readonly gatepass: Gatepass<User, Name>
  readonly sessions: SessionManager<object>
  readonly passport: Passport<User, Name>
}

/** What one `gatepass()` does for all requests, on any server. */
export class Visits<User, Name extends string> {
  readonly core: Gatepass<User, Name>
  readonly settings: HttpSettings
  /** Whether session and user are loaded at first use. */
  readonly #onDemand: boolean
  readonly #warned = new Set<ErrorCode>()

  /** @param further additional options, which the adapter itself reads */
  constructor(options: VisitOptions<User, Name>, further: OptionKinds<Record<string, unknown>> = {}) {
    const kinds = { ...gatepassOptions, ...httpOptions, lazy: 'boolean', ...further } as const
    checkOptions('gatepass()', options, kinds, 'ERR_PASSPORT_OPTIONS')
    if (options.users !== undefined) checkUsers(options.users)
    this.settings = httpSettings(options)
    this.core = new Gatepass(options, this.settings.origins)
    this.#onDemand = options.lazy === true || (this.core.sessions.synchronous && options.users.synchronous === true)
  }

  /** @param of returns the visit of a request, and throws if there is none */
  access<Key, Ex extends PromisingExchange>(
    of: (request: Key) => Visit<User, Name, Ex>,
  ): VisitAccess<User, Name, Key, Ex> {
    const { core } = this
    return {
      exchange: (request) => of(request).exchange,
      session: (request) => of(request).reading((visit) => visit.open()),
      user: (request) => of(request).reading(({ exchange }) => core.passport.user(exchange)),
      csrfToken: (request) => of(request).reading(({ exchange }) => core.csrfToken(exchange)),
      gatepass: core,
      sessions: core.sessions,
      passport: core.passport,
    }
  }

  /** Runs before all handlers. Refuses requests from other sites, and loads what handlers read without `await`. */
  admit(visit: Visit<User, Name>): Awaitable<unknown> {
    const { exchange } = visit
    const admitted = this.core.admit(exchange)
    if (this.#onDemand || exchange.header('cookie') === undefined) return admitted
    return andThen(admitted, () => this.core.passport.user(exchange))
  }

  /** Refuses two `gatepass()` with the same cookie, because each would overwrite the other's token. */
  mustDiffer(exchange: PromisingExchange, visits: Visits<unknown, string>): void {
    const [ours, theirs] = [this.core.sessions, visits.core.sessions]
    const { name } = ours.cookieOf(exchange)
    if (ours === theirs || theirs.cookieOf(exchange).name !== name) return
    throw new UsageError('ERR_SESSION_OPTIONS', `Two gatepass() of one application use the cookie ${name}`, {
      hint: 'Give one of them its own `cookie` in `sessions`, or both the same SessionManager.',
    })
  }

  /** Warns if an unknown proxy terminates HTTPS: cookies are then set without Secure, and nothing else shows it. */
  warnOfProxy(exchange: PromisingExchange): void {
    if (this.settings.trust !== undefined || exchange.originConfigured || exchange.secure) return
    const byHttps =
      /^[ \t]*https\b/i.test(exchange.header('x-forwarded-proto') ?? '') ||
      /\bproto="?https\b/i.test(exchange.header('forwarded') ?? '')
    if (!byHttps) return
    this.warnOnce(
      'ERR_HTTP_PROXY',
      'A request came over HTTPS to a proxy that is not trusted: cookies are set without Secure',
      'Set `origin` of gatepass() to the address that browsers see, and `trustProxy` to the number of proxies in front.',
    )
  }

  warned(code: ErrorCode): boolean {
    return this.#warned.has(code)
  }

  warnOnce(code: ErrorCode, message: string, detail: string): void {
    if (this.#warned.has(code)) return
    this.#warned.add(code)
    process.emitWarning(message, { type: 'GatepassWarning', code, detail })
  }
}

/** One request as one `gatepass()` sees it, on any server. */
export class Visit<User, Name extends string, Ex extends PromisingExchange = PromisingExchange> {
  readonly visits: Visits<User, Name>
  readonly exchange: Ex
  readonly #answerer: Answerer

  /** @param answerer answers with an error, or reports it if the answer has begun */
  constructor(visits: Visits<User, Name>, exchange: Ex, answerer: Answerer) {
    this.visits = visits
    this.exchange = exchange
    this.#answerer = answerer
    exchange.answerer = answerer
  }

  /** Reads something for the application, which may forget to await it. */
  reading<T>(read: (visit: this) => Awaitable<T>): Awaitable<T> {
    const value = read(this)
    return value instanceof Promise ? this.exchange.reading(value) : value
  }

  open(): Awaitable<Session<SessionData>> {
    return this.visits.core.sessions.open(this.exchange) as Awaitable<Session<SessionData>>
  }

  loginUser(user: User, { amr, at, ...options }: UserLoginOptions<User> = {}): Promise<void> {
    const success = { type: 'success', user, ...(amr && { amr }), ...(at !== undefined && { at }) } as const
    return this.login(success, options)
  }

  login(success: Success<User> & { strategy?: string }, options?: LoginOptions): Promise<void> {
    return this.#change(() => this.visits.core.passport.login(this.exchange, success, options))
  }

  logout(options?: { everywhere?: boolean }): Promise<void> {
    return this.#change(() => this.visits.core.passport.logout(this.exchange, options))
  }

  get session(): Session<SessionData> {
    const session = this.open()
    if (!(session instanceof Promise)) return session
    session.catch(() => {})
    throw new UsageError('ERR_SESSION_NOT_OPEN', 'The session has not been loaded yet', {
      hint: 'With `lazy: true`, use `await auth.session(req)`, or put auth.requireLogin() before this handler.',
    })
  }

  get user(): User | undefined {
    const user = this.visits.core.passport.user(this.exchange)
    if (!(user instanceof Promise)) return user
    user.catch(() => {})
    throw new UsageError('ERR_PASSPORT_USER_PENDING', 'The user has not been looked up yet', {
      hint: 'Leave out `users.synchronous` if `users.find` may return a promise, or use `await auth.user(req)`. With `lazy: true`, put auth.requireLogin() before this handler.',
    })
  }

  /**
   * Waits for unawaited work, saves the session and writes its cookie. If that fails, the response fails. An answer with
   * status 400 or more does not claim success, so it is sent anyway and the failure is reported.
   */
  finish(head: AnswerHead): Awaitable<void> {
    const { exchange } = this
    const { promises } = exchange
    const { sessions } = this.visits.core
    const saysFailed = head.status >= 400
    if (promises === undefined && !saysFailed) {
      return andThen(sessions.commit(exchange), () => this.#writeHeaders(head))
    }
    const reported = (step: () => Awaitable<void>): Awaitable<void> =>
      saysFailed ? orElse(step, (error) => this.#answerer.report(error)) : step()
    const kept = promises === undefined ? undefined : reported(() => promises.settle())
    const saved = andThen(kept, () => reported(() => sessions.commit(exchange)))
    return andThen(saved, () => this.#writeHeaders(head))
  }

  #change(change: () => Promise<void>): Promise<void> {
    const work = async (): Promise<void> => {
      this.#mustPrecedeResponse()
      return change()
    }
    return this.exchange.promised(work())
  }

  #mustPrecedeResponse(): void {
    if (!this.#answerer.answered) return
    throw new UsageError('ERR_RESPONSE_STARTED', 'The response has begun, so its cookie cannot change', {
      hint: 'Await login() and logout() before you send the response.',
    })
  }

  /** Writes cookies. Forbids caching of pages for one user (RFC 9111 §3.5), unless the application has set Cache-Control. */
  #writeHeaders(head: AnswerHead): void {
    const { cookies } = this.exchange
    if (cookies.changed) {
      this.visits.warnOfProxy(this.exchange)
      writeCookies(head, cookies)
    }
    const { sessions, passport } = this.visits.core
    // Also if the session moved or ended meanwhile, because the handler made the answer from its data.
    const session = sessions.opened(this.exchange)
    const ofSession = session !== undefined && (session.id !== undefined || session.absence === undefined)
    if (ofSession || passport.credentials(this.exchange)?.type === 'success') keepFromCaches(head)
  }
}

/** @param how the middleware is mounted, for the hint */
export function notMounted(how: string): UsageError {
  return new UsageError('ERR_SESSION_NOT_OPEN', 'This request did not pass through the gatepass middleware', {
    hint: `Mount it before this handler: ${how}.`,
  })
}
