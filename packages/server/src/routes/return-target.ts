import { safeLocation } from 'gatepass/node'
import { seeOther } from '../answer.ts'
import type { Visit } from '../visit.ts'

const HOME = '/account'

/** Where to go after a login: a path on this site, whatever was asked for. */
export function returnTarget(wish: string | undefined, origin: string): string {
  const target = safeLocation(wish, { origin, fallback: HOME })
  // To a form's own address: it answers POST alone.
  return target.startsWith('/auth/') ? HOME : target
}

/** Sends somebody who is not logged in to the login, and back here afterwards. @param back default: the page asked for */
export function toLogin(visit: Visit, back: string = visit.url.pathname + visit.url.search): Response {
  return seeOther(back === HOME ? '/login' : `/login?next=${encodeURIComponent(back)}`)
}
