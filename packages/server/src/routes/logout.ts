import { noContent, seeOther } from '../answer.ts'
import { leaveNotice } from '../pages/notices.ts'
import type { Route } from '../router.ts'
import type { Site } from '../site.ts'
import type { Visit } from '../visit.ts'

export function logoutRoutes(site: Site): Route[] {
  return [{ method: 'POST', path: '/auth/logout', page: '/account', answer: (visit) => logOut(site, visit) }]
}

/** Pages and their data leave the browser; its cookies stay, since one of them keeps strangers' guesses from locking the owner out. */
export const forgetPages: Readonly<Record<string, string>> = { 'Clear-Site-Data': '"cache", "storage"' }

/** Logging out twice is no mistake: the second time there is nothing left to do. */
async function logOut(site: Site, visit: Visit): Promise<Response> {
  await site.auth.logout(visit.request)
  return visit.wantsPage ? loggedOut(visit) : noContent(forgetPages)
}

export function loggedOut(visit: Visit): Response {
  leaveNotice(visit.exchange, 'logged-out')
  return seeOther('/login', forgetPages)
}
