import { safeLocation } from 'gatepass/hono'
import type { Account } from '../accounts/accounts.ts'
import type { Auth } from '../auth.ts'
import { seeOther } from './answer.ts'
import type { Pages } from './pages.ts'
import { loginRequired, loginTooOld } from './problem.ts'
import type { ServerRequest } from './request.ts'

const HOME = '/account'

/** How old a login may be that changes who gets into an account. Seconds. */
const RECENT = 600

/** Where to go after a login: a path on this site, whatever was asked for. */
export function returnTarget(wish: string | undefined, origin: string): string {
  const target = safeLocation(wish, { origin, fallback: HOME })
  // A form's own address answers POST alone.
  return target.startsWith('/auth/') ? HOME : target
}

/** Sends a person who is not logged in to the login, and back here afterwards. @param back default: the page asked for */
export function toLogin(request: ServerRequest, back: string = request.url.pathname + request.url.search): Response {
  return seeOther(back === HOME ? '/login' : `/login?next=${encodeURIComponent(back)}`)
}

/**
 * The user, if they proved who they are a moment ago; else the answer that leads to a new login.
 *
 * @param back where to come back to after the login, a path here
 */
export async function recentLogin(
  { auth, pages }: { readonly auth: Auth; readonly pages: Pages },
  request: ServerRequest,
  back: string,
): Promise<{ account: Account } | { answer: Response }> {
  const refusal = await auth.gatepass.requireLogin(request.exchange, { maxAge: RECENT })
  const account = await auth.passport.user(request.exchange)
  if (account === undefined) {
    return { answer: request.wantsPage ? toLogin(request, back) : await pages.refuse(request, loginRequired) }
  }
  if (refusal === undefined) return { account }
  const again = seeOther(`/login?again=1&next=${encodeURIComponent(back)}`)
  return { answer: request.wantsPage ? again : await pages.refuse(request, loginTooOld) }
}
