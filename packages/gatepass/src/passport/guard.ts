import { type Awaitable, andThen } from '../awaitable.ts'
import { seeOther, withQuery } from '../http/answer.ts'
import type { Exchange, Reply } from '../http/exchange.ts'
import { safeMethods } from '../http/origin.ts'
import type { SessionManager } from '../session/manager.ts'
import { AHEAD, ageOf } from './outcome.ts'
import type { Passport } from './passport.ts'
import {
  cookieRequiredReply,
  insufficientScopeReply,
  loginRequiredReply,
  loginTooOldReply,
  refusalReply,
} from './reply.ts'

export interface RequireLoginOptions {
  /** The login page, a path here. Browsers that ask for a page are sent there, with `?next=`. Other requests get 401. */
  login?: string
  /**
   * Seconds; an older login is refused. Session and user are then looked up again, because the login may have ended while a slow
   * body arrived; `cookie` does the same. Default: any age within the session's timeouts.
   */
  maxAge?: number
  /** The scope that a token or an API key needs. A login in a session has every scope. Default: none is needed. */
  scope?: string
  /**
   * Accepts only a login in the cookie's session, and no token or API key. For routes that issue tokens: with a stolen token, an
   * attacker could get the next one each time it expires. Default false.
   */
  cookie?: boolean
}

/** Checks that a request has the login that a route requires. */
export class Guard<User, Name extends string> {
  readonly #passport: Passport<User, Name>
  readonly #sessions: SessionManager<object>
  readonly #bearer: Name | readonly Name[] | undefined
  readonly #clock: () => number

  constructor(parts: {
    readonly passport: Passport<User, Name>
    readonly sessions: SessionManager<object>
    /** The strategies for `Authorization: Bearer`. */
    readonly bearer: Name | readonly Name[] | undefined
    readonly clock: () => number
  }) {
    this.#passport = parts.passport
    this.#sessions = parts.sessions
    this.#bearer = parts.bearer
    this.#clock = parts.clock
  }

  /** `undefined` lets the request pass: a user is logged in, recently enough and with this scope. */
  requireLogin(exchange: Exchange, options: RequireLoginOptions): Awaitable<Reply | undefined> {
    const { maxAge, scope, cookie } = options
    return andThen(this.#passport.user(exchange), (user) => {
      if (user === undefined) return this.#refuse(exchange, options)
      const credentials = this.#passport.credentials(exchange)
      // `undefined` if the user comes from the session.
      const token = credentials?.type === 'success' ? credentials : undefined
      if (token !== undefined) {
        if (cookie === true) return cookieRequiredReply(exchange)
        // `includes` on a string would accept any part of a scope's name, so only a list counts.
        const inScope = scope === undefined || (Array.isArray(token.scope) && token.scope.includes(scope))
        if (!inScope) return insufficientScopeReply(exchange, scope)
      }
      if (maxAge === undefined && cookie !== true) return undefined
      const now = this.#clock()
      const age =
        token === undefined ? ageOf(this.#sessions.opened(exchange)?.login?.at, now, AHEAD.ours) : ageOf(token.at, now)
      if (maxAge === undefined || age / 1000 <= maxAge) {
        return andThen(this.#passport.stillStands(exchange), (stands) =>
          stands ? undefined : this.#refuse(exchange, options),
        )
      }
      if (token !== undefined) return loginTooOldReply(exchange, { tokenWithin: maxAge })
      return toLoginPage(exchange, options) ?? loginTooOldReply(exchange)
    })
  }

  /** The answer if no user is logged in. */
  #refuse(exchange: Exchange, options: RequireLoginOptions): Awaitable<Reply> {
    const credentials = this.#passport.credentials(exchange)
    if (credentials?.type === 'rejection') return refusalReply(exchange, credentials)
    const page = toLoginPage(exchange, options)
    if (page !== undefined) return page
    const anonymity = this.#passport.anonymity(exchange)
    if (this.#bearer === undefined) return loginRequiredReply(exchange, anonymity)
    // The strategies say how a request may carry its own credentials (RFC 9110 §15.5.2).
    return this.#passport
      .authenticate(exchange, this.#bearer)
      .then((verdict) =>
        loginRequiredReply(exchange, anonymity, verdict.type === 'rejection' ? verdict.challenges : []),
      )
  }
}

function toLoginPage(exchange: Exchange, { login }: RequireLoginOptions): Reply | undefined {
  const asksForPage = safeMethods.has(exchange.method) && exchange.header('accept')?.includes('text/html') === true
  return login === undefined || !asksForPage ? undefined : seeOther(withQuery(login, { next: exchange.target }))
}
