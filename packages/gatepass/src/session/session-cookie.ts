import { type Cookie, plainCookie } from '../cookie/cookie.ts'
import type { CookieAttributes } from '../cookie/grammar.ts'
import { UsageError } from '../error.ts'
import type { Exchange } from '../http/exchange.ts'

const attributes = {
  httpOnly: true,
  sameSite: 'lax',
  path: '/',
  encoding: 'none',
  description: 'Finds your session again; gone after logout. Kept for longer only where you ask to be remembered.',
} as const

// Browsers that know nothing of __Host-Http- still enforce __Host-, with which the name begins (RFC 6265bis §4.1.3).
const overHttps = plainCookie('__Host-Http-gp', { ...attributes, secure: true })
const onThisMachine = plainCookie('gp', { ...attributes, secure: false })

/** Which cookie carries the token: the application's own, or one that suits the connection. */
export class SessionCookie {
  readonly #own: Cookie | undefined

  constructor(own: Cookie | undefined) {
    this.#own = own
  }

  of(exchange: Exchange): Cookie {
    return this.#own ?? (exchange.secure ? overHttps : onThisMachine)
  }

  /**
   * The cookie, for an exchange that will set it; asked before anything is stored.
   *
   * @throws {UsageError} `ERR_SESSION_INSECURE_ORIGIN`
   */
  toSet(exchange: Exchange): Cookie {
    if (this.#own === undefined && !exchange.secure && !isLoopback(exchange.origin)) throw insecure(exchange.origin)
    return this.of(exchange)
  }

  /**
   * At a login, takes from the browser what it may hold under the same name in another scope, from an earlier `domain` or
   * `path` of the application's own cookie: it would come beside the new one, and of two neither counts.
   */
  clearElsewhere(exchange: Exchange): void {
    const cookie = this.of(exchange)
    const sent = exchange.cookies.count(cookie.name)
    // Our own cookies have had one scope ever, and with `__Host-` browsers know no other.
    if (sent === 0 || (sent === 1 && this.#own === undefined) || /^__host-/i.test(cookie.name)) return
    exchange.cookies.deleteElsewhere(cookie, scopesOf(exchange))
  }
}

/** Browsers keep one cookie per name, domain and path: more scopes than these are not asked about. */
const MOST_SCOPES = 16

/** Where a browser may hold a cookie that it would send with this request: the host, its parent domains, the path's prefixes. */
function scopesOf(exchange: Exchange): CookieAttributes[] {
  const host = URL.canParse(exchange.origin) ? new URL(exchange.origin).hostname : ''
  const labels = /^[\d.]+$|^\[/.test(host) ? [] : host.split('.')
  const domains = labels.slice(0, -1).map((_, n) => labels.slice(n).join('.'))
  const steps = (exchange.target.split('?', 1)[0] ?? '').split('/').slice(1)
  const paths = ['/', ...steps.map((_, n) => `/${steps.slice(0, n + 1).join('/')}`)]
  const scopes = paths.flatMap((path) => [{ path }, ...domains.map((domain) => ({ path, domain }))])
  return scopes.slice(0, MOST_SCOPES)
}

/** Whether an origin is on the machine of the browser itself, where nobody listens in (Secure Contexts §3.1). */
export function isLoopback(origin: string): boolean {
  const host = URL.canParse(origin) ? new URL(origin).hostname : ''
  return host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

function insecure(origin: string): UsageError {
  return new UsageError('ERR_SESSION_INSECURE_ORIGIN', `A session cookie would travel unencrypted to ${origin}`, {
    hint:
      'Serve the application over https. If a proxy in front of it does, say so with `trustProxy`, and let the proxy send ' +
      'X-Forwarded-Proto or Forwarded. For http in a closed network, pass a `cookie` of your own.',
  })
}
