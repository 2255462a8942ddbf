import { type Awaitable, andThen } from '../awaitable.ts'
import type { AnyCookie } from '../cookie/cookies.ts'
import { checkOptions, type OptionKind, type OptionKinds, UsageError } from '../error.ts'
import { authorizationOf } from '../http/authorization.ts'
import type { Exchange, Reply } from '../http/exchange.ts'
import { safeMethods, saysWhereFrom } from '../http/origin.ts'
import { SessionManager, type SessionOptions } from '../session/manager.ts'
import { flowCookieOf } from './flow.ts'
import { Guard, type RequireLoginOptions } from './guard.ts'
import { type LinkRouteOptions, LoginRoute, type LoginRouteOptions } from './login-route.ts'
import { type BackChannelLogoutOptions, LogoutRoute, type LogoutRouteOptions } from './logout-route.ts'
import { OwnPages, type OwnPagesOptions, tokenInForm } from './own-pages.ts'
import { Passport, type PassportOptions, passportOptions } from './passport.ts'

/** An application's sessions, users and strategies: what every adapter's `gatepass()` takes. */
export interface GatepassOptions<User, Name extends string = string>
  extends Omit<PassportOptions<User, Name>, 'sessions' | 'strategies'>,
    OwnPagesOptions {
  sessions: SessionOptions | SessionManager<object>
  /** Default none: sessions alone. */
  strategies?: PassportOptions<User, Name>['strategies']
  /**
   * Strategies for `Authorization: Bearer`, asked on every request that carries it: `req.user`, `req.session` and the guards
   * then go by the token and not by the cookie, which is not looked at. Default none.
   */
  bearer?: NoInfer<Name> | readonly NoInfer<Name>[]
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
  readonly #bearer: Name | readonly Name[] | undefined
  readonly #ownPages: OwnPages
  readonly #guard: Guard<User, Name>
  readonly #loginRoute: LoginRoute<User, Name>
  readonly #logoutRoute: LogoutRoute<User, Name>

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
    const { sessions } = this
    const { users, strategies = [], carry, clock = Date.now, bearer } = options
    const passport = new Passport({ users, strategies, sessions, clock, ...(carry !== undefined && { carry }) })
    if (bearer !== undefined) passport.strategies(bearer)
    this.passport = passport
    this.#bearer = bearer
    const ownPages = new OwnPages(options, origins, sessions)
    this.#ownPages = ownPages
    const guard = new Guard(passport, sessions, { bearer, clock })
    this.#guard = guard
    this.#loginRoute = new LoginRoute({ passport, sessions, ownPages, guard })
    this.#logoutRoute = new LogoutRoute(passport, sessions, ownPages)
  }

  /** The cookies that are set for the application on a connection like this one: for its cookie notice, beside its own. */
  cookiesOf(exchange: Exchange): readonly AnyCookie[] {
    return [
      this.sessions.cookieOf(exchange),
      ...(this.passport.leavesTheSite ? [flowCookieOf(exchange)] : []),
      ...this.#ownPages.cookiesOf(exchange),
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
    const identified =
      bearer !== undefined && authorizationOf(exchange)?.scheme === 'bearer'
        ? this.passport.identify(exchange, bearer)
        : undefined
    if (safeMethods.has(exchange.method)) return identified
    return andThen(identified, () => {
      if (exchange.header('cookie') === undefined) {
        // Browsers remember a password for Basic and send it by themselves. Only a browser says where a request is from.
        const byBrowser = authorizationOf(exchange)?.scheme === 'basic' && saysWhereFrom(exchange)
        return byBrowser ? this.requireSameOrigin(exchange) : undefined
      }
      const foreign = this.passport.takesForeignPost(exchange)
      return andThen(foreign ? undefined : this.requireOwnForm(exchange), () =>
        // A request that may change something looks its session up when it arrives: a later look-up may find it ended.
        andThen(this.sessions.open(exchange), () => undefined),
      )
    })
  }

  /**
   * Refuses a request that does not come from our own pages, or a trusted origin's, with or without cookies.
   *
   * @param presented a token out of the request's fields; the header field `x-csrf-token` is looked at anyway
   * @throws {ProtocolError} `ERR_CROSS_ORIGIN` (403)
   */
  requireSameOrigin(exchange: Exchange, presented?: unknown): Awaitable<void> {
    return this.#ownPages.requireSameOrigin(exchange, () => presented)
  }

  /**
   * The same for a request that may have its token in the form field `csrf`. The body is read only where that decides:
   * with `csrfKeys`, from a browser that says nothing, without the header field.
   *
   * @throws {ProtocolError} `ERR_CROSS_ORIGIN` (403), and what `exchange.fields` throws at a body that cannot be read
   */
  requireOwnForm(exchange: Exchange): Awaitable<undefined> {
    return this.#ownPages.requireSameOrigin(exchange, tokenInForm)
  }

  /**
   * A token for a form field `csrf` or the header field `x-csrf-token`, for browsers that say neither `Sec-Fetch-Site` nor
   * `Origin`. Bound to the session, or to a cookie before there is one.
   *
   * @throws {UsageError} `ERR_PASSPORT_OPTIONS` without `csrfKeys`
   */
  csrfToken(exchange: Exchange): Awaitable<string> {
    return this.#ownPages.token(exchange)
  }

  /**
   * Checks how a route is defined, when it is defined: a misspelt option or strategy is not left for a visitor to find.
   *
   * @throws {UsageError} `ERR_PASSPORT_OPTIONS`, `ERR_PASSPORT_UNKNOWN_STRATEGY`
   */
  checkRoute(route: RouteMaker, options: object, names?: Name | readonly Name[]): void {
    checkOptions(`auth.${route}()`, options, routeOptions[route], 'ERR_PASSPORT_OPTIONS')
    const takesNames = route !== 'logout' && route !== 'requireLogin'
    const strategies = takesNames ? this.passport.strategies(names) : []
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
  login(
    exchange: Exchange,
    names: Name | readonly Name[],
    options: LoginRouteOptions = {},
  ): Promise<Reply | undefined> {
    return this.#loginRoute.login(exchange, names, options)
  }

  /**
   * Begins to add a way to log in to the account of who is logged in, or does it where the strategy concludes at once.
   *
   * @throws {UsageError} `ERR_PASSPORT_OPTIONS` for GET: a link on another page would then do it
   */
  link(exchange: Exchange, name: Name, options: LinkRouteOptions): Promise<Reply | undefined> {
    return this.#loginRoute.link(exchange, name, options)
  }

  /** Lets a request in that proves who it is by itself, and keeps nothing; `undefined`: let in. */
  authenticate(
    exchange: Exchange,
    names: Name | readonly Name[],
    options?: Readonly<Record<string, unknown>>,
  ): Promise<Reply | undefined> {
    return this.#loginRoute.authenticate(exchange, names, options)
  }

  /**
   * Ends the session that the cookie or a token names, and says so with a redirect or 204.
   *
   * @throws {ProtocolError} `ERR_CROSS_ORIGIN` (403), and what {@link Passport.logout} throws
   * @throws {UsageError} `ERR_PASSPORT_OPTIONS` for GET
   */
  logout(exchange: Exchange, options: LogoutRouteOptions = {}): Promise<Reply> {
    return this.#logoutRoute.logout(exchange, options)
  }

  /**
   * Ends the sessions whose login has ended at a provider, on the provider's word (OpenID Connect Back-Channel Logout 1.0).
   *
   * @throws {ProtocolError} what the strategy refuses the message with (400)
   * @throws {UsageError} `ERR_STORE_NO_INDEX`; `ERR_PASSPORT_OPTIONS` if the strategy knows no such message
   */
  backChannelLogout(exchange: Exchange, name: Name, options: BackChannelLogoutOptions): Promise<Reply> {
    return this.#logoutRoute.backChannelLogout(exchange, name, options)
  }

  /** `undefined` lets the request pass: a user is logged in, as recently as asked and with the scope that was asked for. */
  requireLogin(exchange: Exchange, options: RequireLoginOptions = {}): Awaitable<Reply | undefined> {
    return this.#guard.requireLogin(exchange, options)
  }
}
