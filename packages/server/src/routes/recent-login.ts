import type { Account } from '../accounts/accounts.ts'
import { seeOther } from '../answer.ts'
import { loginRequired, loginTooOld } from '../problem.ts'
import { refuse } from '../refusal.ts'
import type { Site } from '../site.ts'
import type { Visit } from '../visit.ts'
import { toLogin } from './return-target.ts'

/** How old a login may be that changes who gets into an account, in milliseconds. */
const RECENT = 600_000

/**
 * Who is logged in, if they proved who they are a moment ago; else the way to do that.
 *
 * @param back where to come back to after the login, a path here
 */
export async function recentLogin(
  site: Site,
  visit: Visit,
  back: string,
): Promise<{ account: Account } | { answer: Response }> {
  const account = await site.auth.user(visit.request)
  if (account === undefined) {
    return { answer: visit.wantsPage ? toLogin(visit, back) : await refuse(site, visit, loginRequired) }
  }
  const { login } = await site.auth.session(visit.request)
  if (login !== undefined && site.clock() - login.at <= RECENT) return { account }
  const again = seeOther(`/login?again=1&next=${encodeURIComponent(back)}`)
  return { answer: visit.wantsPage ? again : await refuse(site, visit, loginTooOld) }
}
