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

/** The sessions, users and strategies of an application. Every adapter's `gatepass()` takes them. */
export interface GatepassOptions<User, Name extends string = string>
  extends Omit<PassportOptions<User, Name>, 'sessions' | 'strategies'>,
    OwnPagesOptions {
  sessions: SessionOptions | SessionManager<object>
  /** Default none: only sessions. */
  strategies?: PassportOptions<User, Name>['strategies']
  /**
   * Strategies for requests with `Authorization: Bearer`. For such a request `req.user`, `req.session` and the guards go by the
   * token, and the session cookie is ignored. Default none.
   */
  bearer?: NoInfer<Name> | readonly NoInfer<Name>[]
}

export const gatepassOptions: OptionKinds<GatepassOptions<unknown>> = {
  ...passportOptions,
  trustedOrigins: 'any',
  csrfKeys: 'any',
  bearer: 'any',
}

/** The methods of `auth` that make routes. */
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

/** The sessions and the Passport of one application, and the answers of its login, logout and guarded routes, on any server. */
export class Gatepass<User, Name extends string = string> {
  readonly sessions: SessionManager<object>
  readonly passport: Passport<User, Name>
  readonly #bearer: Name | readonly Name[] | undefined
  readonly #ownPages: OwnPages
  readonly #guard: Guard<User, Name>
  readonly #loginRoute: LoginRoute<User, Name>
  readonly #logoutRoute: LogoutRoute<User, Name>

  /** @param origins the origins at which browsers see this application; if empty, the origin of each request comes from its Host field */
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
    const guard = new Guard({ passport, sessions, bearer, clock })
    this.#guard = guard
    this.#loginRoute = new LoginRoute({ passport, sessions, ownPages, guard })
    this.#logoutRoute = new LogoutRoute({ passport, sessions, ownPages })
  }

  /** The cookies that Gatepass sets on a connection like this one, for the application's cookie notice. */
  cookiesOf(exchange: Exchange): readonly AnyCookie[] {
    return [
      this.sessions.cookieOf(exchange),
      ...(this.passport.leavesTheSite ? [flowCookieOf(exchange)] : []),
      ...this.#ownPages.cookiesOf(exchange),
    ]
  }

  /**
   * Refuses an unsafe request that a page of another site may have made the browser send with the user's credentials. All
   * others pass. With `bearer`, the credentials in `Authorization` are checked here.
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
    return identified === undefined ? this.#admitUnsafe(exchange) : identified.then(() => this.#admitUnsafe(exchange))
  }

  #admitUnsafe(exchange: Exchange): Awaitable<void> {
    if (exchange.header('cookie') === undefined) {
      if (exchange.header('authorization') === undefined) return undefined
      // Browsers remember a password for Basic and send it by themselves. Only a browser says where a request is from.
      const byBrowser = authorizationOf(exchange)?.scheme === 'basic' && saysWhereFrom(exchange)
      return byBrowser ? this.requireSameOrigin(exchange) : undefined
    }
    const own = this.passport.takesForeignPost(exchange) ? undefined : this.requireOwnForm(exchange)
    // A request that may change something opens its session when it arrives: a session opened later may have ended since.
    return andThen(own, () => andThen(this.sessions.open(exchange), () => undefined))
  }

  /**
   * Refuses a request that does not come from our own pages or from those of a trusted origin, with or without cookies.
   *
   * @param presented the token from a form field, if you have read one; `x-csrf-token` is read in any case
   * @throws {ProtocolError} `ERR_CROSS_ORIGIN` (403)
   */
  requireSameOrigin(exchange: Exchange, presented?: unknown): Awaitable<void> {
    return this.#ownPages.requireSameOrigin(exchange, () => presented)
  }

  /**
   * Like {@link requireSameOrigin}, but also finds the token in the form field `csrf`. The body is read only if the token decides: with
   * `csrfKeys`, if the browser says neither `Sec-Fetch-Site` nor `Origin`, and without the header field `x-csrf-token`.
   *
   * @throws {ProtocolError} `ERR_CROSS_ORIGIN` (403), and what `exchange.fields` throws at a body that cannot be read
   */
  requireOwnForm(exchange: Exchange): Awaitable<undefined> {
    return this.#ownPages.requireSameOrigin(exchange, tokenInForm)
  }

  /**
   * A token for the form field `csrf` or the header field `x-csrf-token`, for browsers that say neither `Sec-Fetch-Site` nor
   * `Origin`. It is bound to the session, or to a cookie if there is no session yet.
   *
   * @throws {UsageError} `ERR_PASSPORT_OPTIONS` without `csrfKeys`
   */
  csrfToken(exchange: Exchange): Awaitable<string> {
    return this.#ownPages.token(exchange)
  }

  /**
   * Checks the options and strategies of a route when the route is defined, so that the first visitor does not meet the error.
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
    // After a login with a provider, `success` of the callback's route counts.
    if (next === undefined || success !== undefined || strategies.some(({ callback }) => callback !== undefined)) return
    throw new UsageError('ERR_PASSPORT_OPTIONS', `auth.${route}(): \`next\` has no effect without \`success\``, {
      hint: "Say where to go when the request does not: { success: '/', next: 'next' }.",
    })
  }

  /** Logs in with the first of the named strategies that concludes. `undefined`: logged in, and the route goes on. */
  login(
    exchange: Exchange,
    names: Name | readonly Name[],
    options: LoginRouteOptions = {},
  ): Promise<Reply | undefined> {
    return this.#loginRoute.login(exchange, names, options)
  }

  /**
   * Adds a way to log in to the account of the logged-in user. With a provider, it begins to: the callback completes it.
   *
   * @throws {UsageError} `ERR_PASSPORT_OPTIONS` for GET, because a link on another page would then do it
   */
  link(exchange: Exchange, name: Name, options: LinkRouteOptions): Promise<Reply | undefined> {
    return this.#loginRoute.link(exchange, name, options)
  }

  /** Lets a request pass whose own credentials prove its user, and keeps no login. `undefined`: it passes. */
  authenticate(
    exchange: Exchange,
    names: Name | readonly Name[],
    options?: Readonly<Record<string, unknown>>,
  ): Promise<Reply | undefined> {
    return this.#loginRoute.authenticate(exchange, names, options)
  }

  /**
   * Ends the session that the cookie or a token names, and answers with a redirect or 204.
   *
   * @throws {ProtocolError} `ERR_CROSS_ORIGIN` (403), and what {@link Passport.logout} throws
   * @throws {UsageError} `ERR_PASSPORT_OPTIONS` for GET
   */
  logout(exchange: Exchange, options: LogoutRouteOptions = {}): Promise<Reply> {
    return this.#logoutRoute.logout(exchange, options)
  }

  /**
   * Ends the sessions whose login has ended at a provider, when the provider says so (OpenID Connect Back-Channel Logout 1.0).
   *
   * @throws {ProtocolError} the strategy's refusal of the message (400)
   * @throws {UsageError} `ERR_STORE_NO_INDEX`; `ERR_PASSPORT_OPTIONS` if the strategy does not support such messages
   */
  backChannelLogout(exchange: Exchange, name: Name, options: BackChannelLogoutOptions): Promise<Reply> {
    return this.#logoutRoute.backChannelLogout(exchange, name, options)
  }

  /** `undefined` lets the request pass: a user is logged in, recently enough for `maxAge` and with the required `scope`. */
  requireLogin(exchange: Exchange, options: RequireLoginOptions = {}): Awaitable<Reply | undefined> {
    return this.#guard.requireLogin(exchange, options)
  }
}
