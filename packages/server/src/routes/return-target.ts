import { seeOther } from '../answer.ts'
import type { Visit } from '../visit.ts'

const LONGEST = 1000

/** Where to go after a login: a path on this site, whatever was asked for. */
export function returnTarget(wish: string | undefined, origin: string): string {
  return (wish === undefined ? undefined : pathHere(wish, origin)) ?? '/account'
}

/** Sends somebody who is not logged in to the login, and back here afterwards. @param back default: the page asked for */
export function toLogin(visit: Visit, back: string = visit.url.pathname + visit.url.search): Response {
  return seeOther(back === '/account' ? '/login' : `/login?next=${encodeURIComponent(back)}`)
}

/**
 * The WHATWG URL parser decides, as it does in the browser; what it wrote is read once more, since a path that begins
 * with two slashes would be another host.
 */
function pathHere(wish: string, origin: string): string | undefined {
  if (wish.length > LONGEST || !wish.startsWith('/') || /[\\\x00-\x20\x7f-\x9f\u2028\u2029]/.test(wish))
    return undefined
  const url = URL.parse(wish, origin)
  if (url === null || url.origin !== origin || /^\/(?:\/|%2f|%5c)/i.test(url.pathname)) return undefined
  // To a form's own address: it answers POST alone.
  if (url.pathname.startsWith('/auth/')) return undefined
  return url.pathname + url.search + url.hash
}
