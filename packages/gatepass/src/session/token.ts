import { type Cookie, plainCookie } from '../cookie/cookie.ts'
import type { CookieAttributes } from '../cookie/serialize.ts'
import { equal } from '../crypto/equal.ts'
import { checkKeys, Keyring, type Keys } from '../crypto/keyring.ts'
import { sha256Hex } from '../crypto/random.ts'
import { UsageError } from '../error.ts'
import { type Exchange, pathOf } from '../http/exchange.ts'
import type { SessionId } from './store.ts'

/** 32 bytes in base64url, then an optional tag. The last character is canonical, so that one session has one token. */
const SHAPE = /^[\w-]{42}[AEIMQUYcgkosw048](?:\.[\w-]{16})?$/
const SECRET_LENGTH = 43
const TAG_LENGTH = 16

/**
 * The verdict on a token. `genuine`: its form is right, and its tag if there are keys. `untagged`: its form is right but it has
 * no tag, so it may be from a time without keys. `malformed`, `forged`: Gatepass did not make it.
 */
export type TokenReading = 'genuine' | 'untagged' | 'malformed' | 'forged'

/**
 * Writes and reads the tokens of session cookies: a secret of 256 random bits and, with keys, a 96-bit tag over it. The
 * secret alone names the session. The tag reveals a forgery without a store call. New keys change the tag and not the
 * session.
 */
export class SessionTokens {
  readonly #rings: readonly Keyring[]

  /** @throws {UsageError} `ERR_COOKIE_KEYS` */
  constructor(keys: Keys | undefined) {
    if (keys !== undefined) checkKeys(keys)
    this.#rings = (keys ?? []).map((key) => new Keyring([key], 'session-token'))
  }

  read(token: string): TokenReading {
    if (!SHAPE.test(token)) return 'malformed'
    if (this.#rings.length === 0) return 'genuine'
    const secret = token.slice(0, SECRET_LENGTH)
    const sent = token.slice(SECRET_LENGTH + 1)
    if (sent === '') return 'untagged'
    return this.#rings.some((ring) => equal(tag(ring, secret), sent)) ? 'genuine' : 'forged'
  }

  /** The token that the cookie carries for this secret: a `randomToken()`. */
  write(secret: string): string {
    const current = this.#rings[0]
    return current === undefined ? secret : `${secret}.${tag(current, secret)}`
  }
}

/** The session id of a token that {@link SessionTokens.read} accepted, or of its secret. The id does not open the session. */
export function idOf(token: string): SessionId {
  return sha256Hex(token.slice(0, SECRET_LENGTH)) as SessionId
}

/** Whether text from outside has the form of a session id. */
export function isSessionId(text: string): text is SessionId {
  return /^[0-9a-f]{64}$/.test(text)
}

function tag(ring: Keyring, secret: string): string {
  return ring.sign(secret).slice(0, TAG_LENGTH)
}

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
  readonly #configured: Cookie | undefined

  constructor(configured: Cookie | undefined) {
    this.#configured = configured
  }

  of(exchange: Exchange): Cookie {
    return this.#configured ?? (exchange.secure ? overHttps : onThisMachine)
  }

  /**
   * Refuses to set the cookie over an unencrypted connection. Called before anything is stored.
   *
   * @throws {UsageError} `ERR_SESSION_INSECURE_ORIGIN`
   */
  assertMaySet(exchange: Exchange): void {
    if (this.#configured === undefined && !exchange.secure && !isLoopback(exchange.origin))
      throw insecure(exchange.origin)
  }

  /**
   * At a login, deletes cookies with the same name but another `domain` or `path`, which an earlier configuration may have
   * set. The browser would send such a cookie together with the new one, and two session cookies open no session.
   */
  clearElsewhere(exchange: Exchange): void {
    const cookie = this.of(exchange)
    const sent = exchange.cookies.rawAll(cookie.name).length
    // The default cookies have always had one scope, and browsers allow only one scope for `__Host-`.
    if (sent === 0 || (sent === 1 && this.#configured === undefined) || /^__host-/i.test(cookie.name)) return
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
