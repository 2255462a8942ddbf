import { type Awaitable, andThen } from '../awaitable.ts'
import { type Cookie, plainCookie } from '../cookie/cookie.ts'
import type { AnyCookie } from '../cookie/cookies.ts'
import { Keyring, type Keys } from '../crypto/keyring.ts'
import { randomHandle } from '../crypto/random.ts'
import { GatepassError, UsageError } from '../error.ts'
import type { Exchange } from '../http/exchange.ts'
import {
  configuredOrigins,
  crossOriginError,
  crossOriginReason,
  csrfTokenField,
  type OriginRule,
  safeMethods,
  saysWhereFrom,
} from '../http/origin.ts'
import type { SessionManager } from '../session/manager.ts'

/**
 * Turns off the cross-site check: any site can then make a visitor's browser log in, log out, and send your forms.
 * For applications that check in another way, or serve no browsers.
 */
export const allowCrossOrigin: unique symbol = Symbol('gatepass.allowCrossOrigin')

/** The form field with a token of {@link Gatepass.csrfToken}. */
export const csrfFormField = 'csrf'

/** Which pages may send requests that change something. */
export interface OwnPagesOptions {
  /** Origins besides our own whose pages may send unsafe requests with our cookies. Default none. */
  trustedOrigins?: readonly string[]
  /**
   * Keys for the tokens of {@link Gatepass.csrfToken}, at least 32 characters each: the first signs, all are accepted.
   * Default none: a browser that sends neither Sec-Fetch-Site nor Origin is refused.
   */
  csrfKeys?: Keys
  /** See {@link allowCrossOrigin}. */
  [allowCrossOrigin]?: true
}

/** Decides whether a request comes from our own pages, or from those of a trusted origin. */
export class OwnPages {
  readonly #origins: readonly string[]
  readonly #trustedOrigins: readonly string[]
  readonly #checked: boolean
  readonly #csrf: CsrfTokens | undefined
  readonly #sessions: SessionManager<object>

  /** @param origins the origins at which browsers see this application; if empty, the origin of each request comes from its Host field */
  constructor(options: OwnPagesOptions, origins: readonly string[], sessions: SessionManager<object>) {
    this.#origins = origins
    this.#trustedOrigins = configuredOrigins('trustedOrigins', options.trustedOrigins)
    this.#checked = options[allowCrossOrigin] !== true
    this.#csrf = options.csrfKeys === undefined ? undefined : new CsrfTokens(options.csrfKeys)
    this.#sessions = sessions
  }

  /**
   * Refuses an unsafe request (RFC 9110 §9.2.1) that does not come from our own pages or those of a trusted origin. The browser
   * says where it comes from. If it does not, a token decides, if there are `csrfKeys`.
   *
   * @param tokenOf returns the token that is not in the header field `x-csrf-token`; called only if the token decides
   * @throws {ProtocolError} `ERR_CROSS_ORIGIN` (403)
   */
  requireSameOrigin(exchange: Exchange, tokenOf: (exchange: Exchange) => Awaitable<unknown>): Awaitable<undefined> {
    if (!this.#checked || safeMethods.has(exchange.method)) return undefined
    const rule: OriginRule = {
      origins: this.#origins.length > 0 ? this.#origins : [exchange.origin],
      trustedOrigins: this.#trustedOrigins,
    }
    const csrf = this.#csrf
    if (csrf === undefined || saysWhereFrom(exchange)) {
      const reason = crossOriginReason(exchange, rule)
      if (reason === undefined) return undefined
      throw crossOriginError(exchange, reason)
    }
    return andThen(tokenOf(exchange), (token) =>
      andThen(this.#sessions.open(exchange), ({ handle }) => {
        const accepts = (presented: string) => csrf.accepts(exchange, handle, presented)
        const presented = typeof token === 'string' ? token : undefined
        const reason = crossOriginReason(exchange, { ...rule, token: accepts }, presented)
        if (reason === undefined) return undefined
        throw crossOriginError(exchange, reason)
      }),
    )
  }

  /** @throws {UsageError} `ERR_PASSPORT_OPTIONS` without `csrfKeys` */
  token(exchange: Exchange): Awaitable<string> {
    const csrf = this.#csrf
    if (csrf !== undefined) return andThen(this.#sessions.open(exchange), ({ handle }) => csrf.issue(exchange, handle))
    throw new UsageError('ERR_PASSPORT_OPTIONS', 'Tokens for forms need keys', {
      hint: 'Give gatepass() `csrfKeys`: one key of at least 32 characters, then the retired ones.',
    })
  }

  /** The cookies that tokens need on this connection. */
  cookiesOf(exchange: Exchange): readonly AnyCookie[] {
    return this.#csrf === undefined ? [] : [cookieOf(exchange)]
  }
}

/** The token in the form field `csrf`. If the header field `x-csrf-token` is there, the body is not read. */
export function tokenInForm(exchange: Exchange): Awaitable<unknown> {
  if (exchange.header(csrfTokenField) !== undefined) return undefined
  return exchange.fields().then(
    (fields) => fields[csrfFormField],
    (error: unknown) => {
      // A body that is neither a form nor JSON has no token. A body that is too large or malformed is refused.
      if (error instanceof GatepassError && error.code === 'ERR_BODY_TYPE') return undefined
      throw error
    },
  )
}

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
    const nonce = randomHandle()
    let binding = session ?? knownBrowser(exchange)
    if (binding === undefined) {
      binding = randomHandle()
      exchange.cookies.set(cookieOf(exchange), binding)
    }
    return `${nonce}.${this.#keyring.sign(`${nonce}.${binding}`)}`
  }

  /** Whether `presented` was issued to this session, or to this browser while it has no session. */
  accepts(exchange: Exchange, session: string | undefined, presented: unknown): boolean {
    if (typeof presented !== 'string' || !tokenShape.test(presented)) return false
    const binding = session ?? knownBrowser(exchange)
    if (binding === undefined) return false
    const [nonce = '', signature = ''] = presented.split('.')
    return this.#keyring.verify(`${nonce}.${binding}`, signature) !== undefined
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

/** The cookie that a token is bound to while there is no session. */
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
