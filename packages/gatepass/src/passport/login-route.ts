import { UsageError } from '../error.ts'
import { seeOther, withQuery } from '../http/answer.ts'
import { type Exchange, queryOf, type Reply } from '../http/exchange.ts'
import { safeLocation } from '../http/location.ts'
import { safeMethods } from '../http/origin.ts'
import type { SessionManager } from '../session/manager.ts'
import type { Guard } from './guard.ts'
import { type OwnPages, tokenInForm } from './own-pages.ts'
import { type Passport, type Rejection, rejection, type Verdict } from './passport.ts'
import { loginRequiredReply, reasonOf, refusalReply } from './reply.ts'
import { LOGIN, type LoginIntent } from './strategy.ts'

/** The options of a login route. */
export interface LoginRouteOptions {
  /** Where to go after a login, a path here. Default: the request goes on to the next handler. */
  success?: string
  /**
   * The login page, a path here; `?failure=` says why: `missing`, `invalid`, `expired`, `locked`, `denied`, `unavailable`.
   * Default: the answer is 401 with the reason.
   */
  failure?: string
  /**
   * Field or query parameter that says where to go instead of `success`. Only targets on this origin are followed. A login at a
   * provider keeps it, and `remember`, until the browser comes back.
   */
  next?: string
  /** Field or query parameter that asks for remember-me, or `true` for always. Default never. */
  remember?: string | true
  /** Options for the strategies. */
  strategy?: Readonly<Record<string, unknown>>
}

/** The options of a route that adds a way to log in to the account of the logged-in user. */
export interface LinkRouteOptions {
  /** Where to go afterwards, a path here. */
  success: string
  /** Where to go if it is refused, a path here; `?failure=` says why. Default `success`. */
  failure?: string
  /** How old the login may be, in seconds. Default 600. */
  maxAge?: number
  /** Options for the strategy. */
  strategy?: Readonly<Record<string, unknown>>
}

/** Maximum age of the login with which a user may link another way to log in, in seconds. */
const LINK_LOGIN_AGE = 600

/** Answers routes that log in, link or authenticate. */
export class LoginRoute<User, Name extends string> {
  readonly #passport: Passport<User, Name>
  readonly #sessions: SessionManager<object>
  readonly #ownPages: OwnPages
  readonly #guard: Guard<User, Name>

  constructor(parts: {
    readonly passport: Passport<User, Name>
    readonly sessions: SessionManager<object>
    readonly ownPages: OwnPages
    readonly guard: Guard<User, Name>
  }) {
    this.#passport = parts.passport
    this.#sessions = parts.sessions
    this.#ownPages = parts.ownPages
    this.#guard = parts.guard
  }

  async login(
    exchange: Exchange,
    names: Name | readonly Name[],
    options: LoginRouteOptions,
  ): Promise<Reply | undefined> {
    if (!safeMethods.has(exchange.method) && !this.#passport.takesForeignPost(exchange, names))
      await this.#ownPages.requireSameOrigin(exchange, tokenInForm)
    const { next, remember } = options
    const target =
      next === undefined
        ? ''
        : safeLocation(await fieldOrParameter(exchange, next), { origin: exchange.origin, fallback: '' })
    const remembered =
      remember === true || (remember !== undefined && isTicked(await fieldOrParameter(exchange, remember)))
    const intent: LoginIntent = {
      purpose: 'login',
      ...(target !== '' && { next: target }),
      ...(remembered && { remember: true }),
    }
    return this.#logInOrLink(exchange, names, options, intent)
  }

  async link(exchange: Exchange, name: Name, options: LinkRouteOptions): Promise<Reply | undefined> {
    if (safeMethods.has(exchange.method)) {
      throw new UsageError('ERR_PASSPORT_OPTIONS', 'A route that links an account must not answer GET', {
        hint: 'Register it with POST, and start it by a form with a button.',
      })
    }
    await this.#ownPages.requireSameOrigin(exchange, tokenInForm)
    const { success, failure = success, maxAge = LINK_LOGIN_AGE, strategy } = options
    const refusal = await this.#guard.requireLogin(exchange, { maxAge, cookie: true })
    if (refusal !== undefined) return refusal
    const { subject } = await this.#sessions.open(exchange)
    if (subject === undefined) return loginRequiredReply(exchange, 'not-logged-in')
    const route = { success, failure, ...(strategy !== undefined && { strategy }) }
    return this.#logInOrLink(exchange, name, route, { purpose: 'link', subject, next: success, failure })
  }

  /** Lets this request pass. Nothing is kept in the session. */
  async authenticate(
    exchange: Exchange,
    names: Name | readonly Name[],
    options?: Readonly<Record<string, unknown>>,
  ): Promise<Reply | undefined> {
    const verdict = await this.#passport.authenticate(exchange, names, options)
    if (verdict.type === 'success') await this.#passport.login(exchange, { ...verdict, persist: false })
    return this.#reply(exchange, verdict, LOGIN, {})
  }

  /** @param requested the purpose of a login that begins with this request; one that comes back from a provider keeps its own */
  async #logInOrLink(
    exchange: Exchange,
    names: Name | readonly Name[],
    options: LoginRouteOptions,
    requested: LoginIntent,
  ): Promise<Reply | undefined> {
    const verdict = await this.#passport.authenticate(exchange, names, options.strategy, requested)
    const intent = 'intent' in verdict && verdict.intent !== undefined ? verdict.intent : requested
    if (verdict.type === 'success' && intent.purpose === 'login') {
      const remember = intent.remember === true || requested.remember === true
      const kept = await this.#passport.login(exchange, verdict, { remember })
      if (!kept) return this.#reply(exchange, endedAtProvider(verdict.strategy), intent, options)
    }
    return this.#reply(exchange, verdict, intent, options)
  }

  async #reply(
    exchange: Exchange,
    verdict: Verdict<User>,
    intent: LoginIntent,
    options: LoginRouteOptions,
  ): Promise<Reply | undefined> {
    const { success } = options
    switch (verdict.type) {
      case 'success': {
        const goesOn = intent.purpose === 'login' && success === undefined
        const target = goesOn ? undefined : (intent.next ?? success)
        return target === undefined ? undefined : seeOther(target)
      }
      case 'redirect':
        return {
          ...seeOther(verdict.location),
          status: verdict.status ?? (safeMethods.has(exchange.method) ? 302 : 303),
        }
      case 'respond':
        return verdict.reply
      case 'rejection': {
        // A callback that was opened twice, or belongs to another tab, changes nothing for a user who is logged in meanwhile. All
        // others are refused, so that the callback of another browser is never a login.
        const over = success !== undefined && verdict.failures[0]?.over === true
        if (over && (await this.#passport.user(exchange)) !== undefined) return seeOther(success)
        const page = intent.failure ?? options.failure
        if (page === undefined) return refusalReply(exchange, verdict)
        const next = intent.purpose === 'login' &&
          intent.next !== undefined && { [options.next ?? 'next']: intent.next }
        return seeOther(withQuery(page, { failure: reasonOf(verdict), ...next }))
      }
    }
  }
}

/** The refusal of a login that the provider ended before the browser came back. */
function endedAtProvider(strategy: string): Rejection {
  const message = 'The provider has ended this login in the meantime. Log in again.'
  return rejection([{ type: 'failure', strategy, reason: 'expired', message }])
}

/** The value of this name in the form, or in the query. */
async function fieldOrParameter(exchange: Exchange, name: string): Promise<unknown> {
  const field = (await exchange.fields())[name]
  if (field !== undefined && field !== null) return field
  return new URLSearchParams(queryOf(exchange)).get(name) ?? undefined
}

function isTicked(value: unknown): boolean {
  return value === true || value === 'on' || value === 'true' || value === '1'
}
