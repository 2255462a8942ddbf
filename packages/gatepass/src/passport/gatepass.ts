import { type Awaitable, andThen } from '../awaitable.ts'
import type { AnyCookie } from '../cookie/cookies.ts'
import type { Keys } from '../crypto/keyring.ts'
import { checkOptions, GatepassError, type OptionKind, type OptionKinds, subjectText, UsageError } from '../error.ts'
import { authorizationOf } from '../http/authorization.ts'
import { CsrfTokens } from '../http/csrf-token.ts'
import type { Exchange, Reply } from '../http/exchange.ts'
import { safeLocation } from '../http/location.ts'
import { configuredOrigins } from '../http/origin.ts'
import { csrfTokenField, type OriginRule, requireSameOrigin } from '../http/same-origin.ts'
import { SessionManager, type SessionOptions } from '../session/manager.ts'
import { flowCookieOf } from './flow.ts'
import { LOGIN, type LoginIntent } from './intent.ts'
import { ageOf, CLOCKS_APART } from './outcome.ts'
import { Passport, type PassportOptions, passportOptions, type Rejection, type Verdict } from './passport.ts'
import {
  cookieRequiredReply,
  insufficientScopeReply,
  loginRequiredReply,
  loginTooOldReply,
  reasonOf,
  refusalReply,
  seeOther,
  withQuery,
} from './reply.ts'
import type { EndedLogin } from './strategy.ts'

/**
 * Turns the check of cross-site requests off: any site may then make a visitor's browser log in, log out, and send your
 * forms. For applications that check by other means, or serve no browser.
 */
export const allowCrossOrigin: unique symbol = Symbol('gatepass.allowCrossOrigin')

/** The form field that holds a token of {@link Gatepass.csrfToken}. */
export const csrfFormField = 'csrf'

/** How old, in seconds, the login may be of who adds a way to log in. */
const LINK_LOGIN_AGE = 600

/** An application's sessions, users and strategies: what every adapter's `gatepass()` takes. */
export interface GatepassOptions<User, Name extends string = string>
  extends Omit<PassportOptions<User, Name>, 'sessions' | 'strategies'> {
  sessions: SessionOptions | SessionManager<object>
  /** Default none: sessions alone. */
  strategies?: PassportOptions<User, Name>['strategies']
  /** Origins besides our own whose pages may send unsafe requests with our cookies. Default none. */
  trustedOrigins?: readonly string[]
  /**
   * Keys for the tokens of {@link Gatepass.csrfToken}, at least 32 characters each: the first signs, all are accepted.
   * Default none: a browser too old to say where a request comes from is then refused.
   */
  csrfKeys?: Keys
  /**
   * Strategies for `Authorization: Bearer`, asked on every request that carries it: `req.user`, `req.session` and the guards
   * then go by the token and not by the cookie, which is not looked at. Default none.
   */
  bearer?: NoInfer<Name> | readonly NoInfer<Name>[]
  /** See {@link allowCrossOrigin}. */
  [allowCrossOrigin]?: true
}

/** What a login route answers. */
export interface LoginRouteOptions {
  /** Where to go after a login, a path here. Left out, the request goes on to the next handler. */
  success?: string
  /** The login page, a path here; `?failure=` says why: `missing`, `invalid`, `expired`, `locked`, `denied`, `unavailable`. Left out, the answer is 401 with the reason. */
  failure?: string
  /**
   * Field or query parameter that says where to go instead of `success`; only targets on this origin are followed. A login
   * that leads to another site and back remembers it on the way, and so it does `remember`.
   */
  next?: string
  /** Field or query parameter that asks for remember-me, or `true` for always. Default never. */
  remember?: string | true
  /** Options for the strategies. */
  strategy?: Readonly<Record<string, unknown>>
}

/** What a route answers that adds a way to log in to the account of who is logged in. */
export interface LinkRouteOptions {
  /** Where to go when it is added, a path here. */
  success: string
  /** Where to go when it is not, a path here; `?failure=` says why. Default `success`. */
  failure?: string
  /** How old the login may be, in seconds. Default 600. */
  maxAge?: number
  /** Options for the strategy. */
  strategy?: Readonly<Record<string, unknown>>
}

export interface LogoutRouteOptions {
  /** Where to go afterwards, a path here. Left out, the answer is 204. */
  success?: string
  /** Ends the sessions on all devices. Default false. */
  everywhere?: boolean
  /**
   * Sends the browser to the provider that the login came from, to log out there, too; from there it comes to `success`,
   * which must be registered at the provider. Default false.
   */
  atProvider?: boolean
}

/** Whose sessions end when a provider says that a login has ended. */
export interface BackChannelLogoutOptions {
  /** Who that is here, by issuer and subject; `undefined` if nobody. */
  subject(ended: EndedLogin): Awaitable<string | undefined>
}

export interface RequireLoginOptions {
  /** The login page, a path here: browsers that ask for a page are sent there, with `?next=`. Everyone else gets 401. */
  login?: string
  /**
   * Seconds; an older login does not do. Session and user are then looked up again, so that a request whose body took its time
   * is not let in by a login that has ended meanwhile; `cookie` does the same. Default any age within the session's timeouts.
   */
  maxAge?: number
  /** What a token or an API key must be good for; a login in a session is good for everything. Default nothing. */
  scope?: string
  /**
   * Only a login in the cookie's session does, and a token or an API key does not: for routes that issue some, since with one
   * that was stolen the next could be had each time it expires. Default false.
   */
  cookie?: boolean
}

export const gatepassOptions: OptionKinds<GatepassOptions<unknown>> = {
  ...passportOptions,
  trustedOrigins: 'any',
  csrfKeys: 'any',
  bearer: 'any',
}

/** What makes routes. */
export type RouteMaker = 'login' | 'link' | 'logout' | 'backChannelLogout' | 'authenticate' | 'requireLogin'

const routeOptions: Readonly<Record<RouteMaker, Readonly<Record<string, OptionKind>>>> = {
  login: {
    success: 'string',
    failure: 'string',
    next: 'string',
    remember: 'any',
    strategy: 'object',
  } satisfies OptionKinds<LoginRouteOptions>,
  link: {
    success: 'string',
    failure: 'string',
    maxAge: 'number',
    strategy: 'object',
  } satisfies OptionKinds<LinkRouteOptions>,
  logout: {
    success: 'string',
    everywhere: 'boolean',
    atProvider: 'boolean',
  } satisfies OptionKinds<LogoutRouteOptions>,
  backChannelLogout: { subject: 'needed' } satisfies OptionKinds<BackChannelLogoutOptions>,
  authenticate: {},
  requireLogin: {
    login: 'string',
    maxAge: 'number',
    scope: 'string',
    cookie: 'boolean',
  } satisfies OptionKinds<RequireLoginOptions>,
}

/** The sessions and the Passport of one application, and what its login, logout and guarded routes answer, on any server. */
export class Gatepass<User, Name extends string = string> {
  readonly sessions: SessionManager<object>
  readonly passport: Passport<User, Name>
  readonly #origins: readonly string[]
  readonly #trustedOrigins: readonly string[]
  readonly #checksOrigin: boolean
  readonly #csrf: CsrfTokens | undefined
  readonly #bearer: Name | readonly Name[] | undefined
  readonly #clock: () => number

  /** @param origins as browsers see this application; empty: each request's own, from its Host field */
  constructor(options: GatepassOptions<User, Name>, origins: readonly string[]) {
    if (options.sessions === undefined || options.users === undefined) {
      throw new UsageError(
        'ERR_PASSPORT_OPTIONS',
        `gatepass() needs \`${options.sessions === undefined ? 'sessions' : 'users'}\``,
        {
          hint: 'gatepass({ sessions: { store }, users: { find, subject }, strategies: [] })',
        },
      )
    }
    this.sessions =
      options.sessions instanceof SessionManager
        ? options.sessions
        : new SessionManager<object>({ ...(options.clock && { clock: options.clock }), ...options.sessions })
    const { users, strategies = [], carry, clock } = options
    this.passport = new Passport({
      ...{ users, strategies, sessions: this.sessions },
      ...(carry !== undefined && { carry }),
      ...(clock !== undefined && { clock }),
    })
    if (options.bearer !== undefined) this.passport.strategies(options.bearer)
    this.#origins = origins
    this.#trustedOrigins = configuredOrigins('trustedOrigins', options.trustedOrigins)
    this.#checksOrigin = options[allowCrossOrigin] !== true
    this.#csrf = options.csrfKeys === undefined ? undefined : new CsrfTokens(options.csrfKeys)
    this.#bearer = options.bearer
    this.#clock = options.clock ?? Date.now
  }

  /** The cookies that are set for the application on a connection like this one: for its cookie notice, beside its own. */
  cookiesOf(exchange: Exchange): readonly AnyCookie[] {
    return [
      this.sessions.cookieOf(exchange),
      ...(this.passport.leavesTheSite ? [flowCookieOf(exchange)] : []),
      ...(this.#csrf === undefined ? [] : [this.#csrf.cookieOf(exchange)]),
    ]
  }

  /**
   * Refuses an unsafe request that a browser may have sent with its user's credentials at the wish of another site; every
   * other passes. Where `bearer` is configured, what the request says in `Authorization` is looked at here.
   *
   * @throws {ProtocolError} `ERR_CROSS_ORIGIN` (403)
   * @throws {StoreError} if a token cannot be checked
   */
  admit(exchange: Exchange): Awaitable<void> {
    const bearer = this.#bearer
    if (bearer === undefined || authorizationOf(exchange)?.scheme !== 'bearer') return this.#admitOwn(exchange)
    return this.passport.identify(exchange, bearer).then(() => this.#admitOwn(exchange))
  }

  /** A request that may change something looks its session up when it arrives: a later look-up may find it ended. */
  #admitOwn(exchange: Exchange): Awaitable<void> {
    if (isSafe(exchange.method)) return undefined
    return andThen(this.#admitFrom(exchange), () =>
      exchange.header('cookie') === undefined ? undefined : andThen(this.sessions.open(exchange), nothing),
    )
  }

  /**
   * Refuses a request that does not come from our own pages, or a trusted origin's, with or without cookies.
   *
   * @param presented a token out of the request's fields; the header field `x-csrf-token` is looked at anyway
   * @throws {ProtocolError} `ERR_CROSS_ORIGIN` (403)
   */
  requireSameOrigin(exchange: Exchange, presented?: unknown): Awaitable<void> {
    if (!this.#checksOrigin || isSafe(exchange.method)) return undefined
    const csrf = this.#csrf
    if (csrf === undefined || saysWhereFrom(exchange)) return requireSameOrigin(exchange, this.#rule(exchange))
    return andThen(this.sessions.open(exchange), ({ handle }) => {
      const rule = { ...this.#rule(exchange), token: (token: string) => csrf.accepts(exchange, handle, token) }
      requireSameOrigin(exchange, rule, typeof presented === 'string' ? presented : undefined)
    })
  }

  /**
   * The same for a request that may have its token in the form field `csrf`. The body is read only where that decides:
   * with `csrfKeys`, from a browser that says nothing, without the header field.
   *
   * @throws {ProtocolError} `ERR_CROSS_ORIGIN` (403), and what `exchange.fields` throws at a body that cannot be read
   */
  requireOwnForm(exchange: Exchange): Awaitable<undefined> {
    return andThen(this.#formToken(exchange), (token) => andThen(this.requireSameOrigin(exchange, token), nothing))
  }

  /**
   * A token for a form field `csrf` or the header field `x-csrf-token`, for browsers that say neither `Sec-Fetch-Site` nor
   * `Origin`. Bound to the session, or to a cookie before there is one.
   *
   * @throws {UsageError} `ERR_PASSPORT_OPTIONS` without `csrfKeys`
   */
  csrfToken(exchange: Exchange): Awaitable<string> {
    const csrf = this.#csrf
    if (csrf !== undefined) return andThen(this.sessions.open(exchange), ({ handle }) => csrf.issue(exchange, handle))
    throw new UsageError('ERR_PASSPORT_OPTIONS', 'Tokens for forms need keys', {
      hint: 'Give gatepass() `csrfKeys`: one key of at least 32 characters, then the retired ones.',
    })
  }

  /**
   * Checks how a route is defined, when it is defined: a misspelt option or strategy is not left for a visitor to find.
   *
   * @throws {UsageError} `ERR_PASSPORT_OPTIONS`, `ERR_PASSPORT_UNKNOWN_STRATEGY`
   */
  checkRoute(route: RouteMaker, options: object, names?: Name | readonly Name[]): void {
    checkOptions(`auth.${route}()`, options, routeOptions[route], 'ERR_PASSPORT_OPTIONS')
    const strategies = takesNames(route) ? this.passport.strategies(names) : []
    const { next, success } = options as LoginRouteOptions
    if (route === 'link' && success === undefined) {
      throw new UsageError('ERR_PASSPORT_OPTIONS', 'auth.link() needs `success`', { hint: "{ success: '/account' }" })
    }
    // Where the way leads to a provider and back, `success` of the callback's route counts.
    if (next === undefined || success !== undefined || strategies.some(({ callback }) => callback !== undefined)) return
    throw new UsageError('ERR_PASSPORT_OPTIONS', `auth.${route}(): \`next\` counts for nothing without \`success\``, {
      hint: "Say where to go when the request does not: { success: '/', next: 'next' }.",
    })
  }

  /** Logs in with the first of the named strategies that concludes; `undefined`: logged in, and the route goes on. */
  async login(
    exchange: Exchange,
    names: Name | readonly Name[],
    options: LoginRouteOptions = {},
  ): Promise<Reply | undefined> {
    if (!isSafe(exchange.method) && !this.passport.takesForeignPost(exchange, names))
      await this.requireOwnForm(exchange)
    return this.#proceed(exchange, names, options, await this.#loginIntent(exchange, options))
  }

  /**
   * Begins to add a way to log in to the account of who is logged in, or does it where the strategy concludes at once.
   *
   * @throws {UsageError} `ERR_PASSPORT_OPTIONS` for GET: a link on another page would then do it
   */
  async link(exchange: Exchange, name: Name, options: LinkRouteOptions): Promise<Reply | undefined> {
    if (isSafe(exchange.method)) {
      throw new UsageError('ERR_PASSPORT_OPTIONS', 'A route that links an account must not answer GET', {
        hint: 'Register it with POST, and start by a form with a button.',
      })
    }
    await this.requireOwnForm(exchange)
    const { success, failure = success, maxAge = LINK_LOGIN_AGE, strategy } = options
    const refusal = await this.requireLogin(exchange, { maxAge, cookie: true })
    if (refusal !== undefined) return refusal
    const { subject } = await this.sessions.open(exchange)
    if (subject === undefined) return loginRequiredReply(exchange, 'not-logged-in')
    const route = { success, failure, ...(strategy !== undefined && { strategy }) }
    return this.#proceed(exchange, name, route, { purpose: 'link', subject, next: success, failure })
  }

  /** Lets a request in that proves who it is by itself, and keeps nothing; `undefined`: let in. */
  async authenticate(
    exchange: Exchange,
    names: Name | readonly Name[],
    options?: Readonly<Record<string, unknown>>,
  ): Promise<Reply | undefined> {
    const verdict = await this.passport.authenticate(exchange, names, options)
    if (verdict.type === 'success') await this.passport.login(exchange, { ...verdict, persist: false })
    return this.#loginReply(exchange, verdict, LOGIN, {})
  }

  /**
   * Ends the session that the cookie or a token names, and says so with a redirect or 204.
   *
   * @throws {ProtocolError} `ERR_CROSS_ORIGIN` (403), and what {@link Passport.logout} throws
   * @throws {UsageError} `ERR_PASSPORT_OPTIONS` for GET
   */
  async logout(exchange: Exchange, options: LogoutRouteOptions = {}): Promise<Reply> {
    if (isSafe(exchange.method)) {
      throw new UsageError(
        'ERR_PASSPORT_OPTIONS',
        'A logout route must not answer GET: any page could log your visitors out',
        {
          hint: 'Register it with POST, and log out by a form or fetch(…, { method: "POST" }).',
        },
      )
    }
    await this.requireOwnForm(exchange)
    const elsewhere = options.atProvider === true ? await this.#logoutLocation(exchange, options.success) : undefined
    await this.passport.logout(exchange, options)
    const headers = { 'clear-site-data': '"cache", "storage"', 'cache-control': 'no-store' }
    const target = elsewhere ?? options.success
    if (target === undefined) return { status: 204, headers }
    const reply = seeOther(target)
    return { ...reply, headers: { ...headers, ...reply.headers } }
  }

  /**
   * Ends the sessions whose login has ended at a provider, on the provider's word (OpenID Connect Back-Channel Logout 1.0).
   *
   * @throws {ProtocolError} what the strategy refuses the message with (400)
   * @throws {UsageError} `ERR_STORE_NO_INDEX`; `ERR_PASSPORT_OPTIONS` if the strategy knows no such message
   */
  async backChannelLogout(exchange: Exchange, name: Name, options: BackChannelLogoutOptions): Promise<Reply> {
    const headers = { 'cache-control': 'no-store' }
    if (exchange.method !== 'POST') return { status: 405, headers: { ...headers, allow: 'POST' } }
    const strategy = this.passport.strategy(name)
    if (strategy?.endedLogin === undefined) {
      throw new UsageError('ERR_PASSPORT_OPTIONS', `The strategy "${name}" knows no back-channel logout`)
    }
    await strategy.endedLogin(exchange, async (ended) => {
      await this.passport.noteEndedLogin(name, ended)
      const subject = await options.subject(ended)
      if (subject) await this.#endLogins(subjectText('`subject` of backChannelLogout()', subject), name, ended)
    })
    return { status: 200, headers }
  }

  /** `undefined`: somebody is logged in, as recently as asked. */
  requireLogin(exchange: Exchange, options: RequireLoginOptions = {}): Awaitable<Reply | undefined> {
    return andThen(this.passport.user(exchange), (user) => {
      if (user === undefined) return this.#refusal(exchange, options)
      if (options.cookie === true && this.#bringsOwn(exchange)) return cookieRequiredReply(exchange)
      if (!this.#inScope(exchange, options.scope)) return insufficientScopeReply(exchange, options.scope)
      if (options.maxAge === undefined && options.cookie !== true) return undefined
      if (options.maxAge === undefined || this.#loginAge(exchange) <= options.maxAge)
        return andThen(this.passport.stillStands(exchange), (stands) =>
          stands ? undefined : this.#refusal(exchange, options),
        )
      if (this.#bringsOwn(exchange)) return loginTooOldReply(exchange, { tokenWithin: options.maxAge })
      return this.#toLoginPage(exchange, options) ?? loginTooOldReply(exchange)
    })
  }

  /** Where to log out where the login came from. */
  async #logoutLocation(exchange: Exchange, success: string | undefined): Promise<string | undefined> {
    const { login } = await this.sessions.open(exchange)
    if (login?.by === undefined) return undefined
    const returnTo = success === undefined ? undefined : new URL(success, exchange.origin).href
    return this.passport.strategy(login.by)?.logoutLocation?.({ sid: login.sid, returnTo })
  }

  /** Ends the subject's sessions that this strategy began, before the message was written. */
  async #endLogins(subject: string, strategy: string, ended: EndedLogin): Promise<void> {
    for (const { handle, login, createdAt } of await this.sessions.list(subject)) {
      if (login?.by !== strategy || createdAt > ended.issuedAt + CLOCKS_APART) continue
      if (ended.sid === undefined || login.sid === ended.sid) await this.sessions.revokeHandle(subject, handle)
    }
  }

  async #proceed(
    exchange: Exchange,
    names: Name | readonly Name[],
    options: LoginRouteOptions,
    begun: LoginIntent,
  ): Promise<Reply | undefined> {
    const verdict = await this.passport.authenticate(exchange, names, options.strategy, begun)
    const intent = 'intent' in verdict && verdict.intent !== undefined ? verdict.intent : begun
    if (verdict.type === 'success' && intent.purpose === 'login') {
      const remember = intent.remember === true || begun.remember === true
      await this.passport.login(exchange, verdict, { remember })
    }
    return this.#loginReply(exchange, verdict, intent, options)
  }

  /** What a login that begins with this request is for. */
  async #loginIntent(exchange: Exchange, { next, remember }: LoginRouteOptions): Promise<LoginIntent> {
    const target = await this.#target(exchange, next, '')
    const remembered = remember === true || (remember !== undefined && asked(await wish(exchange, remember)))
    return { purpose: 'login', ...(target !== '' && { next: target }), ...(remembered && { remember: true }) }
  }

  #loginReply(
    exchange: Exchange,
    verdict: Verdict<User>,
    intent: LoginIntent,
    options: LoginRouteOptions,
  ): Awaitable<Reply | undefined> {
    switch (verdict.type) {
      case 'success':
        return afterwards(intent, options)
      case 'redirect':
        return { ...seeOther(verdict.location), status: verdict.status ?? (isSafe(exchange.method) ? 302 : 303) }
      case 'respond':
        return verdict.reply
      case 'rejection':
        return andThen(
          this.#sentOn(exchange, verdict, options),
          (reply) => reply ?? backToForm(verdict, intent, options) ?? refusalReply(exchange, verdict),
        )
    }
  }

  /**
   * A callback opened twice, or that of another tab, tells who is logged in by now nothing new, and does nothing. Whoever is
   * not is refused, so that a foreign callback is never a login.
   */
  #sentOn(exchange: Exchange, rejection: Rejection, { success }: LoginRouteOptions): Awaitable<Reply | undefined> {
    if (success === undefined || rejection.failures[0]?.over !== true) return undefined
    return andThen(this.passport.user(exchange), (user) => (user === undefined ? undefined : seeOther(success)))
  }

  /** Where the request wishes to go, if that is on this origin; else `fallback`. */
  async #target(exchange: Exchange, name: string | undefined, fallback: string): Promise<string> {
    if (name === undefined) return fallback
    const target = await wish(exchange, name)
    return target === undefined ? fallback : safeLocation(target, { origin: exchange.origin, fallback })
  }

  #toLoginPage(exchange: Exchange, options: RequireLoginOptions): Reply | undefined {
    const asksForPage = isSafe(exchange.method) && exchange.header('accept')?.includes('text/html') === true
    return options.login === undefined || !asksForPage
      ? undefined
      : seeOther(withQuery(options.login, { next: exchange.target }))
  }

  /** Whether the request itself carries the credentials that say whose it is. */
  #bringsOwn(exchange: Exchange): boolean {
    return this.passport.credentials(exchange)?.type === 'success'
  }

  /** Seconds since this session's login, or the credentials of this request, were proved; an unknown time is too long ago. */
  #loginAge(exchange: Exchange): number {
    const own = this.passport.credentials(exchange)
    const at = own?.type === 'success' ? own.at : this.sessions.opened(exchange)?.login?.at
    return ageOf(at, this.#clock()) / 1000
  }

  #admitFrom(exchange: Exchange): Awaitable<void> {
    if (isSafe(exchange.method)) return undefined
    if (exchange.header('cookie') === undefined) {
      // Browsers remember a password for Basic and send it by themselves; whatever else says nothing of where it is from.
      const ambient = authorizationOf(exchange)?.scheme === 'basic' && saysWhereFrom(exchange)
      return ambient ? this.requireSameOrigin(exchange) : undefined
    }
    return this.passport.takesForeignPost(exchange) ? undefined : this.requireOwnForm(exchange)
  }

  /** The answer where nobody is logged in. */
  #refusal(exchange: Exchange, options: RequireLoginOptions): Awaitable<Reply> {
    const own = this.passport.credentials(exchange)
    if (own?.type === 'rejection') return refusalReply(exchange, own)
    const page = this.#toLoginPage(exchange, options)
    if (page !== undefined) return page
    return andThen(this.#challenges(exchange), (challenges) =>
      loginRequiredReply(exchange, this.passport.anonymity(exchange), challenges),
    )
  }

  /** How a request may say who it is by itself (RFC 9110 §15.5.2). */
  #challenges(exchange: Exchange): Awaitable<readonly string[]> {
    if (this.#bearer === undefined) return []
    return this.passport
      .authenticate(exchange, this.#bearer)
      .then((verdict) => (verdict.type === 'rejection' ? verdict.challenges : []))
  }

  /** Whether the request may do what needs this scope. */
  #inScope(exchange: Exchange, scope: string | undefined): boolean {
    const own = this.passport.credentials(exchange)
    if (scope === undefined || own?.type !== 'success') return true
    // A text would contain each part of a scope's name.
    return Array.isArray(own.scope) && own.scope.includes(scope)
  }

  #formToken(exchange: Exchange): Awaitable<unknown> {
    const decides = this.#checksOrigin && this.#csrf !== undefined && !saysWhereFrom(exchange)
    if (!decides || exchange.header(csrfTokenField) !== undefined) return undefined
    return exchange.fields().then((fields) => fields[csrfFormField], withoutFields)
  }

  #rule(exchange: Exchange): OriginRule {
    return {
      origins: this.#origins.length > 0 ? this.#origins : [exchange.origin],
      trustedOrigins: this.#trustedOrigins,
    }
  }
}

function takesNames(route: RouteMaker): boolean {
  return route !== 'logout' && route !== 'requireLogin'
}

function nothing(): undefined {}

/** A body that is neither a form nor JSON holds no token; one that is too large or malformed is refused as such. */
function withoutFields(error: unknown): undefined {
  if (error instanceof GatepassError && error.code === 'ERR_BODY_TYPE') return undefined
  throw error
}

/** Whether the browser itself says which page a request comes from. */
function saysWhereFrom(exchange: Exchange): boolean {
  return exchange.header('sec-fetch-site') !== undefined || exchange.header('origin') !== undefined
}

/** RFC 9110 §9.2.1. */
function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'TRACE'
}

function queryParameter(target: string, name: string): string | undefined {
  const start = target.indexOf('?')
  return start === -1 ? undefined : (new URLSearchParams(target.slice(start)).get(name) ?? undefined)
}

/** What the request says under this name, in a field or in its query. */
async function wish(exchange: Exchange, name: string): Promise<unknown> {
  return (await exchange.fields())[name] ?? queryParameter(exchange.target, name)
}

function asked(value: unknown): boolean {
  return value === true || value === 'on' || value === 'true' || value === '1'
}

/** Where a success leads; `undefined`: on to the next handler. */
function afterwards(intent: LoginIntent, { success }: LoginRouteOptions): Reply | undefined {
  const target = intent.purpose === 'login' && success === undefined ? undefined : (intent.next ?? success)
  return target === undefined ? undefined : seeOther(target)
}

/** Where a refusal leads, with the reason, and with where the login was to lead. */
function backToForm(rejection: Rejection, intent: LoginIntent, options: LoginRouteOptions): Reply | undefined {
  const page = intent.failure ?? options.failure
  if (page === undefined) return undefined
  const onwards = intent.purpose === 'login' && intent.next !== undefined && { [options.next ?? 'next']: intent.next }
  return seeOther(withQuery(page, { failure: reasonOf(rejection), ...onwards }))
}
