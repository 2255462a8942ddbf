import type { Account } from './accounts/accounts.ts'
import type { Frame } from './pages/layout.ts'
import type { Site } from './site.ts'
import type { Visit } from './visit.ts'

/** What every page needs to know: where it is shown, to whom, and the token for its forms. */
export async function frameOf(site: Site, visit: Visit): Promise<Frame> {
  const account = await site.auth.user(visit.request)
  return { ...plainFrame(site), account, formToken: await formToken(site, visit, account) }
}

/** For pages that must not ask anybody anything: the store may be what is broken. */
export function plainFrame(site: Site): Frame {
  return {
    siteName: site.config.name,
    registration: site.config.registration,
    account: undefined,
    formToken: undefined,
  }
}

async function formToken(site: Site, visit: Visit, account: Account | undefined): Promise<string> {
  const session = await site.auth.session(visit.request)
  return site.formTokens.issue(visit.exchange, account === undefined ? undefined : session.handle)
}
