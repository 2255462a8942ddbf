import type { Frame } from './pages/layout.ts'
import type { Site } from './site.ts'
import type { Visit } from './visit.ts'

/** What every page needs to know: where it is shown, to whom, and the token for its forms. */
export async function frameOf(site: Site, visit: Visit): Promise<Frame> {
  const account = await site.auth.user(visit.request)
  return { ...plainFrame(site), account, formToken: await site.auth.csrfToken(visit.request) }
}

/** For pages that must not ask anybody anything: the store may be what is broken. */
export function plainFrame(site: Site): Frame {
  return {
    siteName: site.config.name,
    registration: site.config.registration,
    providers: site.providers,
    account: undefined,
    formToken: undefined,
  }
}
