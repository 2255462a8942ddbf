import { page, seeOther } from '../answer.ts'
import { frameOf } from '../frame.ts'
import { accountPage } from '../pages/account.ts'
import { homePage } from '../pages/home.ts'
import { takeNotice } from '../pages/notices.ts'
import type { Route } from '../router.ts'
import type { Site } from '../site.ts'
import type { Visit } from '../visit.ts'
import { toLogin } from './return-target.ts'

export function accountRoutes(site: Site): Route[] {
  return [
    { method: 'GET', path: '/', answer: (visit) => showHome(site, visit) },
    { method: 'GET', path: '/account', answer: (visit) => showAccount(site, visit) },
  ]
}

async function showHome(site: Site, visit: Visit): Promise<Response> {
  const frame = await frameOf(site, visit)
  return frame.account === undefined ? page(200, homePage(frame)) : seeOther('/account')
}

async function showAccount(site: Site, visit: Visit): Promise<Response> {
  const frame = await frameOf(site, visit)
  if (frame.account === undefined) return toLogin(visit)
  const session = await site.auth.session(visit.request)
  const { account } = frame
  const sessions = await site.auth.sessions.list(account.id)
  return page(
    200,
    accountPage(frame, {
      account,
      identities: await site.identities.list(account),
      devices: sessions.length,
      loggedInBy: session.login?.by,
      loggedInAt: session.login?.at,
      expiresAt: session.expiresAt,
      now: site.clock(),
      notice: takeNotice(visit.exchange),
    }),
  )
}
