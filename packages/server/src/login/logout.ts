import { toResponse } from 'gatepass/hono'
import type { Auth } from '../services.ts'
import type { Route } from '../web/handler.ts'
import { leaveNotice } from '../web/notices.ts'
import type { ServerRequest } from '../web/request.ts'

export function logoutRoutes({ auth }: { readonly auth: Auth }): Route[] {
  return [
    {
      method: 'POST',
      path: '/auth/logout',
      page: '/account',
      answer: (request) => logOut(auth, request, request.wantsPage ? '/login' : undefined),
    },
  ]
}

/** Logs this browser out. Logging out twice is not an error. @param page where a person goes then */
export async function logOut(auth: Auth, { exchange }: ServerRequest, page?: string): Promise<Response> {
  if (page !== undefined) leaveNotice(exchange, 'logged-out')
  return toResponse(await auth.gatepass.logout(exchange, page === undefined ? {} : { success: page }))
}
