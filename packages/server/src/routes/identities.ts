import { noContent, seeOther } from '../answer.ts'
import { leaveNotice } from '../pages/notices.ts'
import { identityNotFound, lastWayIn } from '../problem.ts'
import { refuse } from '../refusal.ts'
import type { Parameters, Route } from '../router.ts'
import type { Site } from '../site.ts'
import type { Visit } from '../visit.ts'
import { recentLogin } from './recent-login.ts'

export function identityRoutes(site: Site): Route[] {
  return [
    {
      method: 'POST',
      path: '/account/identities/:handle/unlink',
      page: '/account',
      answer: (visit, of) => unlink(site, visit, of),
    },
  ]
}

/** Takes a way in away. Somebody else's is answered like one that nobody has. */
async function unlink(site: Site, visit: Visit, { handle = '' }: Parameters): Promise<Response> {
  const who = await recentLogin(site, visit, '/account')
  if ('answer' in who) return who.answer
  const { account } = who
  const { id: session } = await site.auth.session(visit.request)
  const configured = site.providers.map(({ name }) => name)
  const provider = await site.identities.remove(account, { handle, configured, session })
  if (provider !== undefined) {
    site.audit.record('link_removed', visit, { userId: account.id, provider })
    if (!visit.wantsPage) return noContent()
    leaveNotice(visit.exchange, 'unlinked')
    return seeOther('/account')
  }
  const left = await site.identities.list(account)
  if (left.some((identity) => identity.handle === handle)) return refuse(site, visit, lastWayIn)
  site.audit.record('malicious_direct_reference', visit, { userId: account.id, reason: 'identity_handle' })
  return refuse(site, visit, identityNotFound)
}
