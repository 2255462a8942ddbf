import type { Auth } from '../auth.ts'
import { noContent, seeOther } from '../web/answer.ts'
import { leaveNotice } from '../web/notices.ts'
import type { ServerRequest } from '../web/request.ts'
import type { Route } from '../web/router.ts'

/** Logging out twice is not a mistake: the second time there is nothing left to do. */
export function logoutRoutes({ auth }: { readonly auth: Auth }): Route[] {
  const logOut = async (request: ServerRequest): Promise<Response> => {
    await auth.passport.logout(request.exchange)
    return request.wantsPage ? loggedOut(request) : noContent(forgetPages)
  }
  return [{ method: 'POST', path: '/auth/logout', page: '/account', answer: logOut }]
}

/** Pages and their data leave the browser. Its cookies stay: one of them keeps strangers' guesses from locking the owner out. */
export const forgetPages: Readonly<Record<string, string>> = { 'Clear-Site-Data': '"cache", "storage"' }

export function loggedOut(request: ServerRequest): Response {
  leaveNotice(request.exchange, 'logged-out')
  return seeOther('/login', forgetPages)
}
