import { parseSetCookie, type SetCookie } from 'gatepass/cookie'

interface Kept {
  readonly cookie: SetCookie
  readonly domain: string
  readonly hostOnly: boolean
  readonly path: string
  readonly expiresAt: number
}

/** A browser's cookie jar as RFC 6265bis §5.7 and §5.8 describe it, for top-level navigation; public suffixes are single labels. */
export class CookieJar {
  #kept: Kept[] = []
  readonly #now: number

  constructor(now: number) {
    this.#now = now
  }

  /** §5.7 */
  receive(url: URL, field: string): void {
    const cookie = parseSetCookie(field)
    if (cookie === undefined) return
    const { domain, path = defaultPath(url), secure = false } = cookie.attributes
    if (domain !== undefined && (isPublicSuffix(domain) || !domainMatches(url.hostname, domain))) return
    if ((secure && url.protocol !== 'https:') || breaksPrefix(cookie)) return
    const kept = {
      cookie,
      domain: domain ?? url.hostname,
      hostOnly: domain === undefined,
      path,
      expiresAt: this.#expiry(cookie),
    }
    const place = this.#kept.findIndex((other) => sameCookie(other, kept))
    if (place === -1) this.#kept.push(kept)
    else this.#kept[place] = kept
    this.#kept = this.#kept.filter(({ expiresAt }) => expiresAt > this.#now)
  }

  /** The Cookie header for a request, §5.8.3. */
  header(url: URL): string {
    return this.#kept
      .filter((kept) => goesTo(url, kept))
      .sort((a, b) => b.path.length - a.path.length)
      .map(({ cookie }) => (cookie.name === '' ? cookie.value : `${cookie.name}=${cookie.value}`))
      .join('; ')
  }

  #expiry({ attributes: { maxAge, expires } }: SetCookie): number {
    if (maxAge !== undefined) return maxAge === 0 ? Number.NEGATIVE_INFINITY : this.#now + maxAge * 1000
    return expires?.getTime() ?? Number.POSITIVE_INFINITY
  }
}

function goesTo(url: URL, { cookie, domain, hostOnly, path }: Kept): boolean {
  const host = hostOnly ? url.hostname === domain : domainMatches(url.hostname, domain)
  return host && pathMatches(url.pathname, path) && (!cookie.attributes.secure || url.protocol === 'https:')
}

function sameCookie(a: Kept, b: Kept): boolean {
  return a.cookie.name === b.cookie.name && a.domain === b.domain && a.hostOnly === b.hostOnly && a.path === b.path
}

function breaksPrefix({ name, attributes }: SetCookie): boolean {
  const lower = name.toLowerCase()
  const { secure, domain, path } = attributes
  if (lower.startsWith('__host-')) return !secure || domain !== undefined || path !== '/'
  return lower.startsWith('__secure-') && !secure
}

function isPublicSuffix(domain: string): boolean {
  return !domain.includes('.')
}

/** §5.1.3 */
function domainMatches(host: string, domain: string): boolean {
  return host === domain || host.endsWith(`.${domain}`)
}

/** §5.1.4 */
function defaultPath({ pathname }: URL): string {
  return pathname.slice(0, pathname.lastIndexOf('/')) || '/'
}

/** §5.1.4 */
function pathMatches(requested: string, path: string): boolean {
  if (!requested.startsWith(path)) return false
  return requested.length === path.length || path.endsWith('/') || requested[path.length] === '/'
}
