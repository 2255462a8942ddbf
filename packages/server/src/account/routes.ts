import { type Account, publicUser } from '../accounts/accounts.ts'
import type { Services } from '../services.ts'
import { json, page, seeOther } from '../web/answer.ts'
import type { Route } from '../web/handler.ts'
import { loginGuards } from '../web/login-required.ts'
import { takeNotice } from '../web/notices.ts'
import type { ServerRequest } from '../web/request.ts'
import { isoTime } from '../web/time.ts'
import { accountPage, homePage } from './page.ts'

type AccountServices = Pick<Services, 'auth' | 'pages' | 'stores' | 'clock'>

export function accountRoutes({ auth, pages, stores, clock }: AccountServices): Route[] {
  const { forPerson, forProgram } = loginGuards({ auth, pages })
  return [
    { method: 'GET', path: '/', answer: showHome },
    { method: 'GET', path: '/account', answer: forPerson(showAccount) },
    { method: 'GET', path: '/auth/session', answer: forProgram(tellSession) },
  ]

  async function showHome(request: ServerRequest): Promise<Response> {
    const context = await pages.context(request)
    return context.account === undefined ? page(200, homePage(context)) : seeOther('/account')
  }

  async function showAccount(request: ServerRequest, account: Account): Promise<Response> {
    const session = await auth.sessions.open(request.exchange)
    const sessions = await auth.sessions.list(account.id)
    const view = {
      account,
      identities: await stores.identities.list(account),
      devices: sessions.length,
      loggedInBy: session.login?.by,
      loggedInAt: session.login?.at,
      expiresAt: session.expiresAt,
      now: clock(),
      notice: takeNotice(request.exchange),
    }
    return page(200, accountPage(await pages.context(request), view))
  }

  async function tellSession(request: ServerRequest, account: Account): Promise<Response> {
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
