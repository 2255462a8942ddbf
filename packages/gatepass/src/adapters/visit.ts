import type { Awaitable } from '../awaitable.ts'
import { checkOptions, type ErrorCode, UsageError } from '../error.ts'
import { type AnswerHead, keepFromCaches, writeCookies } from '../http/answer.ts'
import type { Answerer, PromisingExchange } from '../http/promises.ts'
import { type HttpOptions, type HttpSettings, httpOptions, httpSettings } from '../http/settings.ts'
import { Gatepass, type GatepassOptions, gatepassOptions } from '../passport/gatepass.ts'
import type { Success } from '../passport/outcome.ts'
import type { LoginOptions, Passport } from '../passport/passport.ts'
import { checkUsers } from '../passport/users.ts'
import type { SessionData } from '../register.ts'
import { report as tellListener } from '../report.ts'
import type { SessionManager } from '../session/manager.ts'
import type { Session } from '../session/session.ts'

export interface VisitOptions<User, Name extends string, Req> extends GatepassOptions<User, Name>, HttpOptions {
  /**
   * Loads session and user only when `await auth.session(req)`, `await auth.user(req)` or a guard asks for them, so that a
   * page that needs neither costs no store call. Default false: both are loaded before the next handler runs. If store and
   * `users` are both `synchronous`, they are always loaded at first use.
   */
  lazy?: boolean
  /**
   * Receives errors that `handler` or `errors()` answers with 5xx, and errors that no answer shows, such as a session that
   * could not be saved while an error was answered, or a login after the answer. If it fails itself, a warning says so.
   * Default: `console.error`.
   */
  onError?: (error: unknown, request: Req) => void
}

/** How a login by your own code was proved, and whether it is remembered. */
export type UserLoginOptions<User> = LoginOptions & Pick<Success<User>, 'amr' | 'at'>

/** What the middleware knows about a request, for your own handlers, guards and tests. */
export interface VisitAccess<User, Name extends string, Key, Ex> {
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

export const kVisit: unique symbol = Symbol('gatepass.visit')

/**
 * The object that leads to a visit: the request or the framework's context. It holds the latest visit, which `req.session` and
 * `req.user` show. `exchange.memory` holds the visits of all `gatepass()`.
 */
export type Visited<Ex extends PromisingExchange> = object & { [kVisit]?: Visit<unknown, string, Ex> }

/** What an adapter says about itself. */
interface Adapter<Ex> {
  /** How the middleware is mounted, for the hint of an error. */
  readonly mounted: string
  readonly report: (error: unknown, exchange: Ex) => void
}

/** What one `gatepass()` does for all requests, on any server. */
export class Visits<User, Name extends string, Ex extends PromisingExchange> {
  readonly core: Gatepass<User, Name>
  readonly settings: HttpSettings
  /** Logs an error that the answer does not show. Never throws. */
  readonly report: (error: unknown, exchange: Ex) => void
  readonly inDevelopment: boolean = process.env.NODE_ENV !== 'production'
  readonly #mounted: string
  /** Whether session and user are loaded at first use. */
  readonly #onDemand: boolean
  readonly #warned = new Set<ErrorCode>()

  constructor(options: VisitOptions<User, Name, never>, { mounted, report }: Adapter<Ex>) {
    const kinds = { ...gatepassOptions, ...httpOptions, lazy: 'boolean', onError: 'function' } as const
    checkOptions('gatepass()', options, kinds, 'ERR_PASSPORT_OPTIONS')
    if (options.users !== undefined) checkUsers(options.users)
    this.settings = httpSettings(options)
    this.core = new Gatepass(options, this.settings.origins)
    this.report = (error, exchange) => tellListener('gatepass()', () => report(error, exchange), 'onError')
    this.#mounted = mounted
    this.#onDemand = options.lazy === true || (this.core.sessions.synchronous && options.users.synchronous === true)
  }

  /** Whether the visit of a request has begun. */
  has(key: Visited<Ex>): boolean {
    return key[kVisit]?.exchange.memory.has(this) === true
  }

  of(key: Visited<Ex>): Visit<User, Name, Ex> {
    const visit = key[kVisit]?.exchange.memory.get(this) as Visit<User, Name, Ex> | undefined
    if (visit !== undefined) return visit
    throw new UsageError('ERR_SESSION_NOT_OPEN', 'This request did not pass through the gatepass middleware', {
      hint: `Mount it before this handler: ${this.#mounted}.`,
    })
  }

  access<Key extends Visited<Ex>>(): VisitAccess<User, Name, Key, Ex> {
    const { core } = this
    const reading = <T>(key: Key, read: (exchange: Ex) => Awaitable<T>): Awaitable<T> => {
      const { exchange } = this.of(key)
      const value = read(exchange)
      return value instanceof Promise ? exchange.reading(value) : value
    }
    return {
      exchange: (key) => this.of(key).exchange,
      session: (key) => reading(key, (exchange) => core.sessions.open(exchange) as Awaitable<Session<SessionData>>),
      user: (key) => reading(key, (exchange) => core.passport.user(exchange)),
      csrfToken: (key) => reading(key, (exchange) => core.csrfToken(exchange)),
      gatepass: core,
      sessions: core.sessions,
      passport: core.passport,
    }
  }

  /** Runs before all handlers. Refuses requests from other sites, and loads what handlers read without `await`. */
  admit(exchange: Ex): Awaitable<unknown> {
    const { passport } = this.core
    const admitted = this.core.admit(exchange)
    if (this.#onDemand || exchange.header('cookie') === undefined) return admitted
    return admitted instanceof Promise ? admitted.then(() => passport.user(exchange)) : passport.user(exchange)
  }

  /** Refuses two `gatepass()` with the same cookie, because each would overwrite the other's token. */
  mustDiffer(exchange: Ex, visits: Visits<unknown, string, Ex>): void {
    const [ours, theirs] = [this.core.sessions, visits.core.sessions]
    const { name } = ours.cookieOf(exchange)
    if (ours === theirs || theirs.cookieOf(exchange).name !== name) return
    throw new UsageError('ERR_SESSION_OPTIONS', `Two gatepass() of one application use the cookie ${name}`, {
      hint: 'Give one of them its own `cookie` in `sessions`, or both the same SessionManager.',
    })
  }

  /** Warns if an unknown proxy terminates HTTPS: cookies are then set without Secure, and nothing else shows it. */
  warnOfProxy(exchange: Ex): void {
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
export class Visit<User, Name extends string, Ex extends PromisingExchange> implements Answerer {
  readonly visits: Visits<User, Name, Ex>
  readonly exchange: Ex
  readonly next: (error: unknown) => void

  /**
   * @param next answers with an error
   * @throws {UsageError} `ERR_SESSION_OPTIONS` if another `gatepass()` of this request has the same cookie
   */
  constructor(visits: Visits<User, Name, Ex>, exchange: Ex, key: Visited<Ex>, next: (error: unknown) => void) {
    this.visits = visits
    this.exchange = exchange
    this.next = next
    const earlier = key[kVisit]
    if (earlier !== undefined) visits.mustDiffer(exchange, earlier.visits)
    key[kVisit] = this as Visit<unknown, string, Ex>
    exchange.memory.set(visits, this)
    exchange.answerer = this
  }

  get answered(): boolean {
    return this.exchange.answered
  }

  report(error: unknown): void {
    this.visits.report(error, this.exchange)
  }

  get session(): Session<SessionData> {
    const session = this.visits.core.sessions.open(this.exchange)
    if (!(session instanceof Promise)) return session as Session<SessionData>
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

  loginUser(user: User, { amr, at, ...options }: UserLoginOptions<User> = {}): Promise<void> {
    const success = { type: 'success', user, ...(amr && { amr }), ...(at !== undefined && { at }) } as const
    return this.#change(async () => {
      await this.visits.core.passport.login(this.exchange, success, options)
    })
  }

  login(success: Success<User> & { strategy?: string }, options?: LoginOptions): Promise<boolean> {
    return this.#change(() => this.visits.core.passport.login(this.exchange, success, options))
  }

  logout(options?: { everywhere?: boolean }): Promise<void> {
    return this.#change(() => this.visits.core.passport.logout(this.exchange, options))
  }

  #change<T>(change: () => Promise<T>): Promise<T> {
    const work = async (): Promise<T> => {
      if (!this.answered) return change()
      throw new UsageError('ERR_RESPONSE_STARTED', 'The response has begun, so its cookie cannot change', {
        hint: 'Await login() and logout() before you send the response.',
      })
    }
    return this.exchange.promised(work())
  }

  /**
   * Waits for unawaited work and saves the session. If that fails, the response fails. An answer with status 400 or more does
   * not claim success, so it is sent anyway and the failure is reported.
   */
  save(status: number): Awaitable<void> {
    const { exchange } = this
    if (exchange.promises === undefined && status < 400) return this.visits.core.sessions.commit(exchange)
    return this.#saveAfterPromises(status)
  }

  async #saveAfterPromises(status: number): Promise<void> {
    const { exchange, visits } = this
    for (const step of [() => exchange.promises?.settle(), () => visits.core.sessions.commit(exchange)]) {
      try {
        await step()
      } catch (error) {
        if (status < 400) throw error
        this.report(error)
      }
    }
  }

  /** Writes cookies. Forbids caching of pages for one user (RFC 9111 §3.5), unless the application has set Cache-Control. */
  writeHead(head: AnswerHead): void {
    const { exchange, visits } = this
    const { sessions, passport } = visits.core
    if (exchange.cookies.changed) {
      visits.warnOfProxy(exchange)
      writeCookies(head, exchange.cookies)
    }
    // Also if the session moved or ended meanwhile, because the handler made the answer from its data.
    const session = sessions.opened(exchange)
    const ofSession = session !== undefined && (session.id !== undefined || session.absence === undefined)
    if (ofSession || passport.credentials(exchange)?.type === 'success') keepFromCaches(head)
  }
}
