import { type Awaitable, andThen } from '../awaitable.ts'
import type { AnyCookie } from '../cookie/cookies.ts'
import type { Keys } from '../crypto/keyring.ts'
import { GatepassError, UsageError } from '../error.ts'
import { CsrfTokens } from '../http/csrf-token.ts'
import type { Exchange, Reply } from '../http/exchange.ts'
import { safeLocation } from '../http/location.ts'
import { configuredOrigins } from '../http/origin.ts'
import { csrfTokenField, type OriginRule, requireSameOrigin } from '../http/same-origin.ts'
import { SessionManager, type SessionOptions } from '../session/manager.ts'
import { type LoginOptions, Passport, type PassportOptions, type Verdict } from './passport.ts'
import { loginRequiredReply, loginTooOldReply, reasonOf, refusalReply, seeOther, withQuery } from './reply.ts'

/**
 * Turns the check of cross-site requests off: any site may then make a visitor's browser log in, log out, and send your
 * forms. For applications that check by other means, or serve no browser.
 */
export const allowCrossOrigin: unique symbol = Symbol('gatepass.allowCrossOrigin')

/** The form field that holds a token of {@link Gatepass.csrfToken}. */
export const csrfFormField = 'csrf'

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
  /** See {@link allowCrossOrigin}. */
  [allowCrossOrigin]?: true
}

/** What a login route answers. */
export interface LoginRouteOptions {
  /** Where to go after a login, a path here. Left out, the request goes on to the next handler. */
  success?: string
  /** The login page, a path here; `?failure=` says why: `missing`, `invalid`, `expired`, `locked`, `denied`. Left out, the answer is 401 with the reason. */
  failure?: string
  /** Field or query parameter that says where to go instead of `success`; only targets on this origin are followed. */
  next?: string
  /** Field that asks for remember-me, or `true` for always. Default never. */
  remember?: string | true
  /** Options for the strategies. */
  strategy?: Readonly<Record<string, unknown>>
}

export interface LogoutRouteOptions {
  /** Where to go afterwards, a path here. Left out, the answer is 204. */
  success?: string
  /** Ends the sessions on all devices. Default false. */
  everywhere?: boolean
}

export interface RequireLoginOptions {
  /** The login page, a path here: browsers that ask for a page are sent there, with `?next=`. Everyone else gets 401. */
  login?: string
  /** Seconds; an older login does not do. Default any age within the session's timeouts. */
  maxAge?: number
}

/** The sessions and the Passport of one application, and what its login, logout and guarded routes answer, on any server. */
export class Gatepass<User, Name extends string = string> {
  readonly sessions: SessionManager<object>
  readonly passport: Passport<User, Name>
  readonly #origins: readonly string[]
  readonly #trustedOrigins: readonly string[]
  readonly #checksOrigin: boolean
  readonly #csrf: CsrfTokens | undefined
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
    this.passport = new Passport({ ...options, strategies: options.strategies ?? [], sessions: this.sessions })
    this.#origins = origins
    this.#trustedOrigins = configuredOrigins('trustedOrigins', options.trustedOrigins)
    this.#checksOrigin = options[allowCrossOrigin] !== true
    this.#csrf = options.csrfKeys === undefined ? undefined : new CsrfTokens(options.csrfKeys)
    this.#clock = options.clock ?? Date.now
  }

  /** The cookies that are set for the application on a connection like this one: for its cookie notice, beside its own. */
  cookiesOf(exchange: Exchange): readonly AnyCookie[] {
    const session = this.sessions.cookieOf(exchange)
    return this.#csrf === undefined ? [session] : [session, this.#csrf.cookieOf(exchange)]
  }

  /**
   * Refuses an unsafe request that carries cookies and comes from another site; every other passes.
   *
   * @throws {ProtocolError} `ERR_CROSS_ORIGIN` (403)
   */
  admit(exchange: Exchange): Awaitable<void> {
    if (isSafe(exchange.method) || exchange.header('cookie') === undefined) return undefined
    return this.requireOwnForm(exchange)
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

  /** Logs in with the first of the named strategies that concludes; `undefined`: logged in, and the route goes on. */
  async login(
    exchange: Exchange,
    names: Name | readonly Name[],
    options: LoginRouteOptions = {},
  ): Promise<Reply | undefined> {
    if (!isSafe(exchange.method)) await this.requireOwnForm(exchange)
    const verdict = await this.passport.authenticate(exchange, names, options.strategy)
    if (verdict.type === 'success') {
      await this.passport.login(exchange, verdict, await rememberWish(exchange, options.remember))
    }
    return this.#loginReply(exchange, verdict, options)
  }

  /** Lets a request in that proves who it is by itself, and keeps nothing; `undefined`: let in. */
  async authenticate(
    exchange: Exchange,
    names: Name | readonly Name[],
    options?: Readonly<Record<string, unknown>>,
  ): Promise<Reply | undefined> {
    const verdict = await this.passport.authenticate(exchange, names, options)
    if (verdict.type === 'success') await this.passport.login(exchange, { ...verdict, persist: false })
    return this.#loginReply(exchange, verdict, {})
  }

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
    await this.passport.logout(exchange, options)
    const headers = { 'clear-site-data': '"cache", "storage"', 'cache-control': 'no-store' }
    if (options.success === undefined) return { status: 204, headers }
    const reply = seeOther(options.success)
    return { ...reply, headers: { ...headers, ...reply.headers } }
  }

  /** `undefined`: somebody is logged in, as recently as asked. */
  requireLogin(exchange: Exchange, options: RequireLoginOptions = {}): Awaitable<Reply | undefined> {
    return andThen(this.passport.user(exchange), (user) => {
      if (user === undefined) {
        return this.#toLoginPage(exchange, options) ?? loginRequiredReply(exchange, this.passport.anonymity(exchange))
      }
      if (options.maxAge === undefined || this.#loginAge(exchange) <= options.maxAge) return undefined
      return this.#toLoginPage(exchange, options) ?? loginTooOldReply(exchange)
    })
  }

  #loginReply(exchange: Exchange, verdict: Verdict<User>, options: LoginRouteOptions): Awaitable<Reply | undefined> {
    switch (verdict.type) {
      case 'success':
        return options.success === undefined
          ? undefined
          : andThen(this.#target(exchange, options.next, options.success), seeOther)
      case 'redirect':
        return { ...seeOther(verdict.location), status: verdict.status ?? (isSafe(exchange.method) ? 302 : 303) }
      case 'respond':
        return verdict.reply
      case 'rejection':
        return options.failure === undefined
          ? refusalReply(exchange, verdict)
          : this.#backToForm(exchange, reasonOf(verdict), options.failure, options.next)
    }
  }

  async #backToForm(exchange: Exchange, failure: string, page: string, next: string | undefined): Promise<Reply> {
    const wish = await this.#target(exchange, next, '')
    return seeOther(withQuery(page, { failure, ...(next !== undefined && wish !== '' && { [next]: wish }) }))
  }

  /** Where the request wishes to go, if that is on this origin; else `fallback`. */
  async #target(exchange: Exchange, name: string | undefined, fallback: string): Promise<string> {
    if (name === undefined) return fallback
    const wish = (await exchange.fields())[name] ?? queryParameter(exchange.target, name)
    return wish === undefined ? fallback : safeLocation(wish, { origin: exchange.origin, fallback })
  }

  #toLoginPage(exchange: Exchange, options: RequireLoginOptions): Reply | undefined {
    const asksForPage = isSafe(exchange.method) && exchange.header('accept')?.includes('text/html') === true
    return options.login === undefined || !asksForPage
      ? undefined
      : seeOther(withQuery(options.login, { next: exchange.target }))
  }

  /** Seconds since the login of this session was proved; credentials that come with the request are proved now. */
  #loginAge(exchange: Exchange): number {
    const login = this.sessions.opened(exchange)?.login
    return login === undefined ? 0 : (this.#clock() - login.at) / 1000
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

async function rememberWish(exchange: Exchange, remember: string | true | undefined): Promise<LoginOptions> {
  if (typeof remember !== 'string') return { remember: remember === true }
  const wish = (await exchange.fields())[remember]
  return { remember: wish === true || wish === 'on' || wish === 'true' || wish === '1' }
}
