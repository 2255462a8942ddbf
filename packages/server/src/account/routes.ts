import { publicUser } from '../accounts/accounts.ts'
import type { Identities } from '../accounts/identities.ts'
import type { Auth } from '../auth.ts'
import { json, page, seeOther } from '../web/answer.ts'
import { toLogin } from '../web/login-required.ts'
import { takeNotice } from '../web/notices.ts'
import type { Pages } from '../web/pages.ts'
import { loginRequired } from '../web/problem.ts'
import type { ServerRequest } from '../web/request.ts'
import type { Route } from '../web/router.ts'
import { isoTime } from '../web/time.ts'
import { homePage } from './home-page.ts'
import { accountPage } from './page.ts'

export interface AccountDeps {
  readonly auth: Auth
  readonly pages: Pages
  readonly identities: Identities
  /** Epoch milliseconds. */
  readonly clock: () => number
}

export function accountRoutes({ auth, pages, identities, clock }: AccountDeps): Route[] {
  return [
    { method: 'GET', path: '/', answer: showHome },
    { method: 'GET', path: '/account', answer: showAccount },
    { method: 'GET', path: '/auth/session', answer: tellSession },
  ]

  async function showHome(request: ServerRequest): Promise<Response> {
    const frame = await pages.frame(request)
    return frame.account === undefined ? page(200, homePage(frame)) : seeOther('/account')
  }

  async function showAccount(request: ServerRequest): Promise<Response> {
    const frame = await pages.frame(request)
    const { account } = frame
    if (account === undefined) return toLogin(request)
    const session = await auth.sessions.open(request.exchange)
    const sessions = await auth.sessions.list(account.id)
    const view = {
      account,
      identities: await identities.list(account),
      devices: sessions.length,
      loggedInBy: session.login?.by,
      loggedInAt: session.login?.at,
      expiresAt: session.expiresAt,
      now: clock(),
      notice: takeNotice(request.exchange),
    }
    return page(200, accountPage(frame, view))
  }

  async function tellSession(request: ServerRequest): Promise<Response> {
    const account = await auth.passport.user(request.exchange)
    if (account === undefined) return pages.refuse(request, loginRequired)
    const { handle, createdAt, expiresAt, login } = await auth.sessions.open(request.exchange)
    return json(200, {
      user: publicUser(account),
      session: {
        handle,
        createdAt: isoTime(createdAt),
        expiresAt: isoTime(expiresAt),
        authenticatedAt: isoTime(login?.at),
        amr: login?.amr ?? [],
        remembered: login?.remembered === true,
      },
    })
  }
}
