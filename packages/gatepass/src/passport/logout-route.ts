import type { Awaitable } from '../awaitable.ts'
import { subjectText, UsageError } from '../error.ts'
import { seeOther } from '../http/answer.ts'
import type { Exchange, Reply } from '../http/exchange.ts'
import { safeMethods } from '../http/origin.ts'
import type { SessionManager } from '../session/manager.ts'
import { PROVIDER_BEHIND } from './outcome.ts'
import { type OwnPages, tokenInForm } from './own-pages.ts'
import type { Passport } from './passport.ts'
import type { EndedLogin } from './strategy.ts'

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
  /** The subject here of this issuer and subject; `undefined` if there is none. */
  subject(ended: EndedLogin): Awaitable<string | undefined | null | false>
}

/** Answers logout routes and back-channel logout messages. */
export class LogoutRoute<User, Name extends string> {
  readonly #passport: Passport<User, Name>
  readonly #sessions: SessionManager<object>
  readonly #ownPages: OwnPages

  constructor(parts: {
    readonly passport: Passport<User, Name>
    readonly sessions: SessionManager<object>
    readonly ownPages: OwnPages
  }) {
    this.#passport = parts.passport
    this.#sessions = parts.sessions
    this.#ownPages = parts.ownPages
  }

  async logout(exchange: Exchange, options: LogoutRouteOptions): Promise<Reply> {
    if (safeMethods.has(exchange.method)) {
      throw new UsageError(
        'ERR_PASSPORT_OPTIONS',
        'A logout route must not answer GET: any page could log your visitors out',
        {
          hint: 'Register it with POST, and log out by a form or fetch(…, { method: "POST" }).',
        },
      )
    }
    await this.#ownPages.requireSameOrigin(exchange, tokenInForm)
    const { success } = options
    let elsewhere: string | undefined
    if (options.atProvider === true) {
      const { login } = await this.#sessions.open(exchange)
      const strategy = login?.by === undefined ? undefined : this.#passport.strategy(login.by)
      const returnTo = success === undefined ? undefined : new URL(success, exchange.origin).href
      elsewhere = await strategy?.logoutLocation?.({ sid: login?.sid, returnTo })
    }
    await this.#passport.logout(exchange, options)
    const headers = { 'clear-site-data': '"cache", "storage"', 'cache-control': 'no-store' }
    const target = elsewhere ?? success
    if (target === undefined) return { status: 204, headers }
    const reply = seeOther(target)
    return { ...reply, headers: { ...headers, ...reply.headers } }
  }

  async backChannelLogout(exchange: Exchange, name: Name, options: BackChannelLogoutOptions): Promise<Reply> {
    const headers = { 'cache-control': 'no-store' }
    if (exchange.method !== 'POST') return { status: 405, headers: { ...headers, allow: 'POST' } }
    const strategy = this.#passport.strategy(name)
    if (strategy?.endedLogin === undefined) {
      throw new UsageError('ERR_PASSPORT_OPTIONS', `The strategy "${name}" does not support back-channel logout`)
    }
    await strategy.endedLogin(exchange, async (ended) => {
      await this.#passport.noteEndedLogin(name, ended)
      const given = await options.subject(ended)
      if (given === undefined || given === null || given === false) return
      const subject = subjectText('`subject` of backChannelLogout()', given)
      for (const { handle, login, createdAt } of await this.#sessions.list(subject)) {
        // Sessions of other strategies, and those that began after the message was written, go on.
        if (login?.by !== name || createdAt > ended.issuedAt + PROVIDER_BEHIND) continue
        if (ended.sid === undefined || login.sid === ended.sid) await this.#sessions.revokeHandle(subject, handle)
      }
    })
    return { status: 200, headers }
  }
}
