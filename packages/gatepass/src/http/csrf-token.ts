import { type Cookie, plainCookie } from '../cookie/cookie.ts'
import { Keyring, type Keys } from '../crypto/keyring.ts'
import { randomHandle } from '../crypto/random.ts'
import type { Exchange } from './exchange.ts'

/**
 * Tokens that prove that a page of our own sent a request, for browsers that send neither Sec-Fetch-Site nor Origin. A token
 * is bound to the session. Before there is a session, it is bound to a SameSite=Strict cookie.
 */
export class CsrfTokens {
  readonly #keyring: Keyring

  /** @throws {UsageError} `ERR_COOKIE_KEYS` if a key is shorter than 32 characters */
  constructor(keys: Keys) {
    this.#keyring = new Keyring(keys, 'csrf-token')
  }

  /**
   * Makes a token for a form or a script. Each call makes a different token, so that a compressed page does not reveal it
   * byte by byte (BREACH). Without a session it also drafts the cookie that the token is bound to.
   *
   * @param session public handle of the session; `undefined` while nothing is stored
   */
  issue(exchange: Exchange, session: string | undefined): string {
    return this.#sign(randomHandle(), session ?? browserOf(exchange))
  }

  /** Whether `presented` was issued to this session, or to this browser while it has no session. */
  accepts(exchange: Exchange, session: string | undefined, presented: unknown): boolean {
    if (typeof presented !== 'string' || !tokenShape.test(presented)) return false
    const binding = session ?? knownBrowser(exchange)
    if (binding === undefined) return false
    const [nonce = '', signature = ''] = presented.split('.')
    return this.#keyring.verify(`${nonce}.${binding}`, signature) !== undefined
  }

  /** The cookie that a token is bound to while there is no session. */
  cookieOf(exchange: Exchange): Cookie {
    return cookieOf(exchange)
  }

  #sign(nonce: string, binding: string): string {
    return `${nonce}.${this.#keyring.sign(`${nonce}.${binding}`)}`
  }
}

const tokenShape = /^[\w-]{22}\.[\w-]{43}$/
const handleShape = /^[\w-]{22}$/

const attributes = {
  sameSite: 'strict',
  encoding: 'none',
  description: 'Shows that a form was sent from this site.',
} as const
const overHttps = plainCookie('__Host-gp-csrf', { ...attributes, secure: true })
const onThisMachine = plainCookie('gp-csrf', { ...attributes, secure: false })

function cookieOf(exchange: Exchange): Cookie {
  return exchange.secure ? overHttps : onThisMachine
}

/** The value of the cookie that the browser has for its tokens. If it sends two, an attacker may have set one: neither counts. */
function knownBrowser(exchange: Exchange): string | undefined {
  const cookie = cookieOf(exchange)
  const known = exchange.cookies.get(cookie)
  if (known === undefined || !handleShape.test(known)) return undefined
  return exchange.cookies.count(cookie.name) > 1 ? undefined : known
}

function browserOf(exchange: Exchange): string {
  const known = knownBrowser(exchange)
  if (known !== undefined) return known
  const fresh = randomHandle()
  exchange.cookies.set(cookieOf(exchange), fresh)
  return fresh
}
