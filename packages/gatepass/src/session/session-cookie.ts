import { type Cookie, plainCookie } from '../cookie/cookie.ts'
import type { CookieAttributes } from '../cookie/grammar.ts'
import { UsageError } from '../error.ts'
import { type Exchange, pathOf } from '../http/exchange.ts'

const attributes = {
  httpOnly: true,
  sameSite: 'lax',
  path: '/',
  encoding: 'none',
  description: 'Finds your session again; deleted at logout. Kept for longer only if you ask to be remembered.',
} as const

// Browsers that do not know __Host-Http- still enforce __Host-, because the name begins with it (RFC 6265bis §4.1.3).
const overHttps = plainCookie('__Host-Http-gp', { ...attributes, secure: true })
const onThisMachine = plainCookie('gp', { ...attributes, secure: false })

/** Chooses the cookie that carries the token: the application's own, or a default for the connection. */
export class SessionCookie {
  readonly #own: Cookie | undefined

  constructor(own: Cookie | undefined) {
    this.#own = own
  }

  of(exchange: Exchange): Cookie {
    return this.#own ?? (exchange.secure ? overHttps : onThisMachine)
  }

  /**
   * The cookie, for an exchange that will set it. Called before anything is stored.
   *
   * @throws {UsageError} `ERR_SESSION_INSECURE_ORIGIN`
   */
  toSet(exchange: Exchange): Cookie {
    if (this.#own === undefined && !exchange.secure && !isLoopback(exchange.origin)) throw insecure(exchange.origin)
    return this.of(exchange)
  }

  /**
   * At a login, deletes cookies with the same name but another `domain` or `path`, which an earlier configuration may have
   * set. The browser would send such a cookie together with the new one, and two session cookies open no session.
   */
  clearElsewhere(exchange: Exchange): void {
    const cookie = this.of(exchange)
    const sent = exchange.cookies.count(cookie.name)
    // The default cookies have always had one scope, and browsers allow only one scope for `__Host-`.
    if (sent === 0 || (sent === 1 && this.#own === undefined) || /^__host-/i.test(cookie.name)) return
    exchange.cookies.deleteElsewhere(cookie, scopesOf(exchange))
  }
}

/** How many combinations of domain and path are deleted at most. */
const MOST_SCOPES = 24

/** The scopes of cookies that a browser would send with this request: its host and parent domains, with each path prefix. */
function scopesOf(exchange: Exchange): CookieAttributes[] {
  const host = URL.canParse(exchange.origin) ? new URL(exchange.origin).hostname : ''
  const labels = /^[\d.]+$|^\[/.test(host) ? [] : host.split('.')
  const domains = labels.slice(0, -1).map((_, n) => labels.slice(n).join('.'))
  const steps = pathOf(exchange).split('/').slice(1)
  const prefixes = steps.filter((step) => step !== '').map((_, n, all) => `/${all.slice(0, n + 1).join('/')}`)
  // A browser keeps `/app` and `/app/` apart.
  const paths = ['/', ...prefixes.flatMap((prefix) => [prefix, `${prefix}/`])]
  const scopes = paths.flatMap((path) => [{ path }, ...domains.map((domain) => ({ path, domain }))])
  return scopes.slice(0, MOST_SCOPES)
}

/** Whether an origin is on the browser's own machine, so that no network carries the request (Secure Contexts §3.1). */
export function isLoopback(origin: string): boolean {
  const host = URL.canParse(origin) ? new URL(origin).hostname : ''
  return host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

function insecure(origin: string): UsageError {
  return new UsageError('ERR_SESSION_INSECURE_ORIGIN', `A session cookie would travel unencrypted to ${origin}`, {
    hint:
      'Serve the application over https. If a proxy in front of it does that, set `trustProxy` and let the proxy send ' +
      'X-Forwarded-Proto or Forwarded. For http in a closed network, pass your own `cookie`.',
  })
}
