import { randomToken } from '../../crypto/random.ts'
import { UsageError } from '../../error.ts'
import { signingKey } from '../signed-value.ts'
import { Cookie, type CookieOptions } from './cookie.ts'
import { SignedIds } from './received.ts'
import type { Anything } from './store.ts'

/** A secret: text, bytes, or a KeyObject of `node:crypto`. */
export type Secret = string | Uint8Array | { export(): Uint8Array }

/** The options of express-session 1.19. */
export interface SessionOptions {
  /** The first signs, all verify. A cookie that another one signed is signed anew. Default: `req.secret` of cookie-parser. */
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
  /** Whether a session is written by every request. Default true, as in express-session; there is no need for it. */
  resave?: boolean | undefined
  /** Whether a session begins with the first request. Default true, as in express-session. */
  saveUninitialized?: boolean | undefined
  /** Whether every response sets the cookie. Default false. */
  rolling?: boolean | undefined
  /** What becomes of a session when `req.session` is set to `null`. Default `keep`. */
  unset?: 'destroy' | 'keep' | undefined
}

/** Options once checked, with every default in place. */
export interface Settings {
  readonly name: string
  /** What is said of secrets in the options; `undefined`: cookie-parser's count. */
  readonly ids: SignedIds | undefined
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
  const genid = options.genid || newId
  if (typeof genid !== 'function') throw wrong('genid option must be a function')
  if (unset && unset !== 'destroy' && unset !== 'keep') throw wrong('unset option must be "destroy" or "keep"')
  if (typeof cookie !== 'function') checkWritable(name, cookie)
  return {
    name,
    ids: secret ? signedIds(name, secret) : undefined,
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
  // Of `auto` the request decides.
  if (cookie.sameSite === 'auto') cookie.sameSite = 'lax'
  cookie.serialize(name, '')
}

/** @throws {UsageError} `ERR_SESSION_OPTIONS` */
export function signedIds(name: string, secret: Secret | readonly Secret[]): SignedIds {
  const secrets = Array.isArray(secret) ? (secret as readonly Secret[]) : [secret as Secret]
  const [first, ...rest] = secrets.map((one) => signingKey(isKeyObject(one) ? one.export() : one))
  if (first === undefined) throw wrong('secret option array must contain one or more strings')
  return new SignedIds(name, [first, ...rest])
}

function isKeyObject(secret: Secret): secret is { export(): Uint8Array } {
  return typeof secret === 'object' && 'export' in secret
}

function newId(): string {
  return randomToken().slice(0, 32)
}

export function wrong(message: string): UsageError {
  return new UsageError('ERR_SESSION_OPTIONS', message, {
    hint: 'See docs/migrate/express-session.md for the options.',
  })
}
