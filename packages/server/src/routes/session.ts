import { json } from '../answer.ts'
import { loginRequired } from '../problem.ts'
import { refuse } from '../refusal.ts'
import type { Route } from '../router.ts'
import type { Site } from '../site.ts'
import type { Visit } from '../visit.ts'
import { publicUser } from './login.ts'

export function sessionRoutes(site: Site): Route[] {
  return [{ method: 'GET', path: '/auth/session', answer: (visit) => whoAmI(site, visit) }]
}

async function whoAmI(site: Site, visit: Visit): Promise<Response> {
  const account = await site.auth.user(visit.request)
  if (account === undefined) return refuse(site, visit, loginRequired)
  const { handle, createdAt, expiresAt, login } = await site.auth.session(visit.request)
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

/** Epoch milliseconds as RFC 3339 in UTC. */
export function isoTime(timestamp: number | undefined): string | undefined {
  return timestamp === undefined ? undefined : new Date(timestamp).toISOString()
}
