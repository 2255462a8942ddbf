import { Keyring, type Keys } from '../crypto/keyring.ts'
import { Sealer, type Unsealed } from '../crypto/seal.ts'
import { checkOptions, type OptionKinds, UsageError } from '../error.ts'
import { jsonDecode, jsonEncode, percentDecode, percentEncode } from './encoding.ts'
import { type CookieExpiry, checkLifetime, expiryOf, readExpiry, writeExpiry } from './expiry.ts'
import { type CookieAttributes, checkAttributes, checkName } from './grammar.ts'
import { type StandardSchema, validate } from './standard-schema.ts'

/** What a cookie is for, as the visitor is asked; all but `necessary` need agreement. */
export type CookiePurpose = 'necessary' | 'preferences' | 'statistics' | 'marketing'

/** A cookie the application owns: its name, its attributes, and how its value is written, protected and read. */
export interface Cookie<Value = string> {
  readonly name: string
  readonly attributes: Readonly<CookieAttributes>
  readonly purpose: CookiePurpose
  /** What it does, for the cookie notice. */
  readonly description?: string
  /** Whether the name sent twice means absent rather than the first: somebody else may have planted one of the two. */
  readonly single?: boolean
  /**
   * @param expiry when this one copy ends, where its attributes differ from the cookie's; for kinds that hold their expiry
   * @throws {UsageError} `ERR_COOKIE_VALUE`, `ERR_COOKIE_TOO_LARGE`
   */
  encode(value: Value, expiry?: CookieExpiry): string
  /** `undefined` for anything `encode` cannot have written: forged, cut short, expired or malformed. Never throws. */
  decode(raw: string): Value | undefined
  /** Whether `raw`, which decodes, was written under a retired key and should be written again. */
  outdated?(raw: string): boolean
  /** When `raw`, which decodes, ends. */
  expiry?(raw: string): CookieExpiry
}

/**
 * What every kind of cookie takes. Unless told otherwise a cookie has `Path=/`, `Secure`, `HttpOnly` and `SameSite=Lax`,
 * and ends when the browser is closed.
 */
export interface CookieOptions extends CookieAttributes {
  /** What it is for, as the visitor is asked; default `necessary`. */
  purpose?: CookiePurpose
  /** What it does, for the cookie notice. */
  description?: string
}

export interface PlainCookieOptions extends CookieOptions {
  /**
   * `percent` (default): any text, percent-encoded where the grammar needs it. `none`: the value as it is, for tokens;
   * there is then one spelling of it, and text that needs encoding is refused.
   */
  encoding?: 'percent' | 'none'
}

export interface JsonCookieOptions<Value> extends CookieOptions {
  /** Decides on reading what is a value; synchronous. zod, valibot, arktype, or whatever implements Standard Schema. */
  schema: StandardSchema<Value>
}

export interface SignedCookieOptions extends CookieOptions {
  /** Secrets of at least 32 random characters: the first writes, all read. To rotate, put a new one in front. */
  keys: Keys
  /**
   * What the value is used for, where the name does not say: what was written for one usage is not read for another.
   * Part of the cryptography, and nothing the visitor is asked about; for that see `purpose`.
   */
  usage?: string
  /** Seconds after which a value is refused, whatever the browser does; default `maxAge`. */
  lifetime?: number
  /** Epoch milliseconds; default `Date.now`. */
  clock?: () => number
}

export interface SealedCookieOptions<Value> extends SignedCookieOptions {
  /** Seconds after which a value is refused, whatever the browser does; default `maxAge`, or else 24 hours. */
  lifetime?: number
  /** Decides on reading whether a value still has the shape this version of the program expects; synchronous. */
  schema?: StandardSchema<Value>
}

/**
 * Declares a cookie that holds text which anybody can read and change: a preference, or a token that is looked up.
 *
 * @throws {UsageError} `ERR_COOKIE_…` if the name or an attribute cannot be written
 */
export function plainCookie(name: string, options: PlainCookieOptions = {}): Cookie {
  const { encoding = 'percent', ...rest } = options
  const declared = declareCookie(name, rest)
  if (encoding === 'none') return { ...declared, encode: (text) => text, decode: (raw) => raw }
  return { ...declared, encode: (text) => percentEncode(name, text), decode: percentDecode }
}

/**
 * Declares a cookie that holds JSON which anybody can read and change; what does not satisfy the schema is absent.
 *
 * @throws {UsageError} `ERR_COOKIE_…` if the name or an attribute cannot be written; on reading, `ERR_COOKIE_SCHEMA` if
 * the schema is asynchronous
 */
export function jsonCookie<Value>(name: string, options: JsonCookieOptions<Value>): Cookie<Value> {
  const { schema, ...rest } = options
  return {
    ...declareCookie(name, rest),
    encode: (value) => percentEncode(name, jsonEncode(name, value)),
    decode(raw) {
      const text = percentDecode(raw)
      const json = text === undefined ? undefined : jsonDecode(text)
      return json === undefined ? undefined : validate(name, schema, json)
    },
  }
}

/**
 * Declares a cookie that holds text which anybody can read and nobody else can write: HMAC-SHA-256 over name, value and
 * expiry. Sent twice, it is absent.
 *
 * @throws {UsageError} `ERR_COOKIE_…` if the name, an attribute or a key cannot be used
 */
export function signedCookie(name: string, options: SignedCookieOptions): Cookie {
  const { keys, usage = '', lifetime, clock = Date.now, ...rest } = options
  const declared = declareCookie(name, rest)
  const rule = { lifetime: checkLifetime(name, lifetime), attributes: declared.attributes, clock }
  const keyring = new Keyring(keys, `cookie/${usage}`)
  const signer = (raw: string) => keyring.verify(`${name}=${raw.slice(0, -macSize)}`, raw.slice(1 - macSize))
  return {
    ...declared,
    single: true,
    encode(text, expiry) {
      const body = `${percentEncode(name, text)}.${writeExpiry(expiryOf(rule, expiry))}`
      return `${body}.${keyring.sign(`${name}=${body}`)}`
    },
    decode(raw) {
      if (raw.length <= macSize || raw[raw.length - macSize] !== '.' || signer(raw) === undefined) return undefined
      return isOver(signedExpiry(raw), clock) ? undefined : percentDecode(raw.slice(0, signedTextEnd(raw)))
    },
    outdated: (raw) => keys.length > 1 && signer(raw) === 'retired',
    expiry: signedExpiry,
  }
}

// A signed value is `<text>.<expiry>.<signature>`, the signature 43 characters long.
const macSize = 44

function signedTextEnd(raw: string): number {
  return raw.lastIndexOf('.', raw.length - macSize - 1)
}

function signedExpiry(raw: string): CookieExpiry {
  return readExpiry(raw.slice(signedTextEnd(raw) + 1, -macSize))
}

/** Bytes of a sealed value: leaves room for name and attributes in what proxies and browsers take. */
const maxSealedSize = 3800
const sealedLifetime = 24 * 60 * 60

/**
 * Declares a cookie that holds JSON which nobody else can read or write: AES-256-GCM, bound to the name, with the expiry
 * inside. Sent twice, it is absent. It cannot be taken back before it expires: do not keep a login in it alone.
 *
 * @throws {UsageError} `ERR_COOKIE_…` if the name, an attribute or a key cannot be used; on writing, `ERR_COOKIE_TOO_LARGE`
 * if the sealed value takes more than 3,800 bytes
 */
export function sealedCookie<Value>(name: string, options: SealedCookieOptions<Value>): Cookie<Value> {
  const { keys, usage = '', lifetime, clock = Date.now, schema, ...rest } = options
  const declared = declareCookie(name, rest)
  const rule = { lifetime: checkLifetime(name, lifetime), attributes: declared.attributes, clock }
  const sealer = new Sealer(keys, `cookie/${usage}`)
  const open = (raw: string) => sealedParts(sealer.unseal(raw, name))
  return {
    ...declared,
    single: true,
    encode(value, expiry) {
      const { at = clock() + sealedLifetime * 1000, persistent } = expiryOf(rule, expiry)
      const text = `${writeExpiry({ at, persistent })}.${jsonEncode(name, value)}`
      return checkSealedSize(name, sealer.seal(text, name))
    },
    decode(raw) {
      const parts = open(raw)
      if (parts === undefined || isOver(parts.expiry, clock)) return undefined
      const value = jsonDecode(parts.json)
      return schema ? validate(name, schema, value) : (value as Value)
    },
    outdated: (raw) => keys.length > 1 && open(raw)?.retired === true,
    expiry: (raw) => open(raw)?.expiry ?? { at: undefined, persistent: false },
  }
}

interface SealedParts {
  readonly expiry: CookieExpiry
  readonly json: string
  readonly retired: boolean
}

function sealedParts(unsealed: Unsealed | undefined): SealedParts | undefined {
  if (unsealed === undefined) return undefined
  const { text, retired } = unsealed
  const dot = text.indexOf('.')
  return { expiry: readExpiry(text.slice(0, dot)), json: text.slice(dot + 1), retired }
}

function checkSealedSize(name: string, sealed: string): string {
  if (sealed.length <= maxSealedSize) return sealed
  throw new UsageError(
    'ERR_COOKIE_TOO_LARGE',
    `The value for cookie ${name} takes ${sealed.length} bytes when sealed`,
    {
      hint: `Keep it below ${maxSealedSize} bytes: keep the data in a session, on the server.`,
    },
  )
}

function isOver({ at }: CookieExpiry, clock: () => number): boolean {
  return at !== undefined && !(at > clock())
}

const cookieOptions: OptionKinds<CookieOptions> = {
  domain: 'any',
  path: 'any',
  maxAge: 'any',
  expires: 'any',
  secure: 'boolean',
  httpOnly: 'boolean',
  sameSite: 'any',
  partitioned: 'boolean',
  priority: 'any',
  purpose: 'string',
  description: 'string',
}

/** The part of a cookie that does not depend on its kind; checked here, so that a mistake shows when the program starts. */
export function declareCookie(name: string, options: CookieOptions): Omit<Cookie, 'encode' | 'decode'> {
  checkOptions(`the cookie ${name}`, options, cookieOptions, 'ERR_COOKIE_ATTRIBUTE')
  const { purpose = 'necessary', description, ...given } = options
  const attributes: CookieAttributes = { path: '/', secure: true, httpOnly: true, sameSite: 'lax', ...given }
  checkName(name)
  checkAttributes(name, attributes)
  return { name, attributes: Object.freeze(attributes), purpose, ...(description !== undefined && { description }) }
}
