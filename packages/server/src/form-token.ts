import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import { type Cookie, type Exchange, plainCookie } from 'gatepass'
import type { Keys } from './secrets.ts'

/** The hidden field of every form of ours. */
export const FORM_TOKEN_FIELD = 'csrf'

/**
 * Proves that a form was made by us for this browser, where the browser itself does not say which page sent it: bound to
 * the session once there is one, and before that to a cookie that only pages of ours make a browser send.
 */
export class FormTokens {
  readonly #keys: readonly Buffer[]
  readonly #cookie: Cookie

  constructor(keys: Keys, { https }: { https: boolean }) {
    this.#keys = keys.map((key) => Buffer.from(hkdfSync('sha256', key, '', 'gatepass-server form token', 32)))
    this.#cookie = plainCookie(https ? '__Host-gp-csrf' : 'gp-csrf', {
      secure: https,
      sameSite: 'strict',
      encoding: 'none',
      description: 'Shows that a form was sent from this site.',
    })
  }

  /** @param session public handle of the session, if somebody is logged in */
  issue(exchange: Exchange, session: string | undefined): string {
    const nonce = randomBytes(12).toString('base64url')
    const [current] = this.#keys
    return `${nonce}.${mac(current as Buffer, nonce, session ?? this.#browser(exchange))}`
  }

  accepts(exchange: Exchange, session: string | undefined, presented: unknown): boolean {
    const binding = session ?? exchange.cookies.get(this.#cookie)
    const [nonce, tag, ...rest] = typeof presented === 'string' ? presented.split('.') : []
    if (binding === undefined || nonce === undefined || tag === undefined || rest.length > 0) return false
    return this.#keys.some((key) => equal(tag, mac(key, nonce, binding)))
  }

  #browser(exchange: Exchange): string {
    const known = exchange.cookies.get(this.#cookie)
    if (known !== undefined && /^[\w-]{22}$/.test(known)) return known
    const fresh = randomBytes(16).toString('base64url')
    exchange.cookies.set(this.#cookie, fresh)
    return fresh
  }
}

function mac(key: Buffer, nonce: string, binding: string): string {
  return createHmac('sha256', key).update(`${nonce}.${binding}`).digest('base64url')
}

function equal(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
