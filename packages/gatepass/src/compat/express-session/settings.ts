import { readCookie } from '../../cookie/cookies.ts'
import { percentDecode, unquoted } from '../../cookie/encoding.ts'
import { randomToken } from '../../crypto/random.ts'
import { Recent } from '../../crypto/recent.ts'
import { UsageError } from '../../error.ts'
import { isSigned, type SigningKey, signingKey, signValue, unsignValue } from '../signed-value.ts'
import { Cookie, type CookieOptions } from './cookie.ts'
import type { Anything } from './store.ts'

/** A secret: text, bytes, or a KeyObject of `node:crypto`. */
export type Secret = string | Uint8Array | { export(): Uint8Array }

/** The options of express-session 1.19. */
export interface SessionOptions {
  /** The first one signs, all verify. A cookie that another one signed is set again. Default: `req.secret` of cookie-parser. */
  secret?: Secret | readonly Secret[] | undefined
  /** Default `connect.sid`. */
  name?: string | undefined
  /** The same as `name`. */
  key?: string | undefined
  /** A store for express-session, or one of ours. Default: a MemoryStore. */
  store?: Anything
  cookie?: CookieOptions | ((req: Anything) => CookieOptions) | undefined
  /** Default: 192 random bits. */
  genid?: ((req: Anything) => string) | undefined
  /** Whether `X-Forwarded-Proto` says that the connection is encrypted. Default: as Express's `trust proxy`. */
  proxy?: boolean | undefined
  /** Whether every request writes its session. Default true, as in express-session; this drop-in does not need it. */
  resave?: boolean | undefined
  /** Whether the first request begins a session, also without data. Default true, as in express-session. */
  saveUninitialized?: boolean | undefined
  /** Whether every response sets the cookie. Default false. */
  rolling?: boolean | undefined
  /** Whether setting `req.session` to `null` destroys the session. Default `keep`. */
  unset?: 'destroy' | 'keep' | undefined
}

/** The checked options, with every default in place. */
export interface Settings {
  readonly name: string
  /** `undefined` if neither the options nor cookie-parser have a secret. */
  readonly idsFor: (req: { readonly secret?: Secret | Secret[] }) => SignedIds | undefined
  readonly cookieOf: (req: unknown) => CookieOptions
  readonly genid: (req: unknown) => string
  readonly proxy: boolean | undefined
  readonly resave: boolean
  readonly saveUninitialized: boolean
  readonly rolling: boolean
  readonly destroyUnset: boolean
}

/** @throws {UsageError} `ERR_SESSION_OPTIONS`, and `ERR_COOKIE_…` for a cookie that could never be written */
export function settingsOf(options: SessionOptions): Settings {
  const { secret, unset, resave = true, saveUninitialized = true } = options
  const name = options.name || options.key || 'connect.sid'
  const cookie = options.cookie || {}
  const genid = options.genid || (() => randomToken().slice(0, 32))
  if (typeof genid !== 'function') throw optionError('genid option must be a function')
  if (unset && unset !== 'destroy' && unset !== 'keep') throw optionError('unset option must be "destroy" or "keep"')
  if (typeof cookie !== 'function') checkWritable(name, cookie)
  return {
    name,
    idsFor: idsBy(name, secret),
    cookieOf: typeof cookie === 'function' ? cookie : () => cookie,
    genid,
    proxy: options.proxy,
    resave: Boolean(resave),
    saveUninitialized: Boolean(saveUninitialized),
    rolling: Boolean(options.rolling),
    destroyUnset: unset === 'destroy',
  }
}

function checkWritable(name: string, options: CookieOptions): void {
  const cookie = new Cookie(options)
  // The request decides what `auto` means.
  if (cookie.sameSite === 'auto') cookie.sameSite = 'lax'
  cookie.serialize(name, '')
}

/** By the secrets of the options, else by those of cookie-parser, which are the same in every request. */
function idsBy(name: string, secret: SessionOptions['secret']): Settings['idsFor'] {
  const ids = secret ? signedIds(name, secret) : undefined
  if (ids !== undefined) return () => ids
  let known: { readonly secret: Secret | Secret[]; readonly ids: SignedIds } | undefined
  return ({ secret: parsers }) => {
    if (!parsers) return undefined
    if (known?.secret !== parsers) known = { secret: parsers, ids: signedIds(name, parsers) }
    return known.ids
  }
}

/** @throws {UsageError} `ERR_SESSION_OPTIONS` */
export function signedIds(name: string, secret: Secret | readonly Secret[]): SignedIds {
  const secrets = Array.isArray(secret) ? (secret as readonly Secret[]) : [secret as Secret]
  const [first, ...rest] = secrets.map((one) =>
    signingKey(typeof one === 'object' && 'export' in one ? one.export() : one),
  )
  if (first === undefined) throw optionError('secret option array must contain one or more strings')
  return new SignedIds(name, [first, ...rest])
}

export function optionError(message: string): UsageError {
  return new UsageError('ERR_SESSION_OPTIONS', message, {
    hint: 'See docs/migrate/express-session.md for the options.',
  })
}

/** A session id that the browser sent. It is `outdated` if another secret than the first one signed it. */
export interface ReceivedId {
  readonly value: string
  readonly outdated: boolean
}

interface CookieRequest {
  readonly headers?: { readonly cookie?: string | undefined }
  /** Set by cookie-parser, as is `cookies`. */
  readonly signedCookies?: Readonly<Record<string, unknown>>
  readonly cookies?: Readonly<Record<string, unknown>>
}

/** How many verified cookies are remembered, at least. */
const MOST_VERIFIED = 4096

/** The session ids in one cookie. The first key signs them, any key verifies them. */
export class SignedIds {
  readonly #name: string
  readonly #keys: readonly [SigningKey, ...SigningKey[]]
  /** Cookies that were verified before. Without it, the row “on the drop-ins, memory” of `npm run bench` rises by 0.2. */
  readonly #verified = new Recent<ReceivedId>(MOST_VERIFIED)

  constructor(name: string, keys: readonly [SigningKey, ...SigningKey[]]) {
    this.#name = name
    this.#keys = keys
  }

  /** Reads the session id from a request's cookie, or from what cookie-parser has read; `undefined` without a good signature. */
  from(req: CookieRequest): ReceivedId | undefined {
    const sent = readCookie(req.headers?.cookie, this.#name)
    const found = sent === undefined ? undefined : (this.#verified.get(sent) ?? this.#verify(sent))
    if (found !== undefined) return found
    const verified = req.signedCookies?.[this.#name]
    if (typeof verified === 'string' && verified !== '') return { value: verified, outdated: false }
    return this.#unsign(req.cookies?.[this.#name])
  }

  sign(id: string): string {
    return signValue(id, this.#keys[0])
  }

  #verify(sent: string): ReceivedId | undefined {
    // A copy, because a part of a header keeps the whole header in memory.
    const own = Buffer.from(sent, 'latin1').toString('latin1')
    const found = this.#unsign(percentDecode(unquoted(own)))
    if (found !== undefined) this.#verified.keep(own, found)
    return found
  }

  #unsign(text: unknown): ReceivedId | undefined {
    const found = typeof text === 'string' && isSigned(text) ? unsignValue(text, this.#keys) : undefined
    return found?.value === '' ? undefined : found
  }
}
