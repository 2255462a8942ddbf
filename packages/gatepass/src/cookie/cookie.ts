import { Keyring, type Keys } from '../crypto/keyring.ts'
import { Sealer } from '../crypto/seal.ts'
import { checkOptions, type OptionKinds, UsageError } from '../error.ts'
import { jsonDecode, jsonEncode, percentDecode, percentEncode } from './encoding.ts'
import { type CookieExpiry, checkLifetime, expiryOf, readExpiry, writeExpiry } from './expiry.ts'
import { attributeKinds, type CookieAttributes, serializeSetCookie } from './serialize.ts'

/** What a cookie is for. All purposes except `necessary` need the visitor's consent. */
export type CookiePurpose = 'necessary' | 'preferences' | 'statistics' | 'marketing'

/** A cookie of the application: its name, its attributes, and how its value is written, protected and read. */
export interface Cookie<Value = string> {
  readonly name: string
  readonly attributes: Readonly<CookieAttributes>
  readonly purpose: CookiePurpose
  /** What the cookie does, for the cookie notice. */
  readonly description?: string
  /** Whether two cookies with this name count as none, because an attacker may have planted one. Default: the first counts. */
  readonly single?: boolean
  /**
   * @param expiry when this one copy expires, if its attributes differ from the cookie's; for kinds that contain their expiry
   * @throws {UsageError} `ERR_COOKIE_VALUE`, `ERR_COOKIE_TOO_LARGE`
   */
  encode(value: Value, expiry?: CookieExpiry): string
  /** `undefined` for everything that `encode` cannot have written, and for expired values. Never throws. */
  decode(raw: string): Value | undefined
  /** Whether a retired key wrote `raw`, so that it should be written again. `raw` must be decodable. */
  outdated?(raw: string): boolean
  /** When `raw` expires. `raw` must be decodable. */
  expiry?(raw: string): CookieExpiry
}

/**
 * The options of every kind of cookie. By default a cookie has `Path=/`, `Secure`, `HttpOnly` and `SameSite=Lax`, and the
 * browser deletes it when it is closed.
 */
export interface CookieOptions extends CookieAttributes {
  /** What the cookie is for. Default `necessary`, which needs no consent. */
  purpose?: CookiePurpose
  /** What the cookie does, for the cookie notice. */
  description?: string
}

export interface PlainCookieOptions extends CookieOptions {
  /**
   * `percent` (default): any text, percent-encoded where the grammar needs it. `none`: the value unchanged, for tokens. Then
   * each value has one spelling, and text that needs encoding is refused.
   */
  encoding?: 'percent' | 'none'
}

export interface JsonCookieOptions<Value> extends CookieOptions {
  /** Validates the value when it is read; must be synchronous. Use zod, valibot, arktype or another Standard Schema. */
  schema: StandardSchema<Value>
}

export interface SignedCookieOptions extends CookieOptions {
  /** Secrets of at least 32 random characters. The first key writes, all keys read. To rotate, add a new key at the front. */
  keys: Keys
  /**
   * What the value is used for, if the name does not make it unique. A value written for one usage cannot be read for
   * another. This is part of the cryptography; what the visitor consents to is `purpose`.
   */
  usage?: string
  /** Seconds after which a value is refused, even if the browser still sends it. Default `maxAge`. */
  lifetime?: number
  /** Epoch milliseconds. Default `Date.now`. */
  clock?: () => number
}

export interface SealedCookieOptions<Value> extends SignedCookieOptions {
  /** Seconds after which a value is refused, even if the browser still sends it. Default `maxAge`, or 24 hours without it. */
  lifetime?: number
  /** Checks when it is read that a value still has the shape that this version of the program expects; must be synchronous. */
  schema?: StandardSchema<Value>
}

/**
 * Declares a cookie with text that the browser's user can read and change: a preference, or a token that is looked up.
 *
 * @throws {UsageError} `ERR_COOKIE_…` if the name or an attribute cannot be written
 */
export function plainCookie(name: string, options: PlainCookieOptions = {}): Cookie {
  const { encoding = 'percent', ...rest } = options
  const declared = declareCookie(name, rest)
  if (encoding === 'none') return { ...declared, encode: String, decode: String }
  return { ...declared, encode: (text) => percentEncode(name, text), decode: percentDecode }
}

/**
 * Declares a cookie with JSON that the browser's user can read and change. If the schema refuses a value, it counts as absent.
 *
 * @throws {UsageError} `ERR_COOKIE_…` if the name or an attribute cannot be written; when it is read, `ERR_COOKIE_SCHEMA` if
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
 * Declares a cookie with text that the browser's user can read but not change: HMAC-SHA-256 over name, value and expiry. If
 * it is sent twice, it counts as absent.
 *
 * @throws {UsageError} `ERR_COOKIE_…` if the name, an attribute or a key cannot be used
 */
export function signedCookie(name: string, options: SignedCookieOptions): Cookie {
  const { keys, usage = '', lifetime, clock = Date.now, ...rest } = options
  const declared = declareCookie(name, rest)
  const rule = { lifetime: checkLifetime(name, lifetime), attributes: declared.attributes, clock }
  const keyring = new Keyring(keys, `cookie/${usage}`)
  const signer = ({ body, signature }: SignedParts) => keyring.verify(`${name}=${body}`, signature)
  return {
    ...declared,
    single: true,
    encode(text, expiry) {
      const body = `${percentEncode(name, text)}.${writeExpiry(expiryOf(rule, expiry))}`
      return `${body}.${keyring.sign(`${name}=${body}`)}`
    },
    decode(raw) {
      const parts = signedParts(raw)
      if (signer(parts) === undefined) return undefined
      return expired(readExpiry(parts.expiry), clock) ? undefined : percentDecode(parts.text)
    },
    outdated: (raw) => keys.length > 1 && signer(signedParts(raw)) === 'retired',
    expiry: (raw) => readExpiry(signedParts(raw).expiry),
  }
}

/** The parts of a signed value, `<text>.<expiry>.<signature>`. The signature is over the body: text, dot and expiry. */
interface SignedParts {
  readonly body: string
  readonly text: string
  readonly expiry: string
  readonly signature: string
}

function signedParts(raw: string): SignedParts {
  const end = raw.lastIndexOf('.')
  const body = raw.slice(0, Math.max(0, end))
  const dot = Math.max(0, body.lastIndexOf('.'))
  return { body, text: body.slice(0, dot), expiry: body.slice(dot + 1), signature: raw.slice(end + 1) }
}

/** Maximum size of a sealed value in bytes. Leaves room for name and attributes in what proxies and browsers accept. */
const maxSealedSize = 3800
const sealedLifetime = 24 * 60 * 60

/**
 * Declares a cookie with JSON that only the server can read and write: AES-256-GCM, bound to the name, with the expiry
 * inside. If it is sent twice, it counts as absent. It cannot be revoked before it expires, so a login in it alone cannot be
 * ended by the server.
 *
 * @throws {UsageError} `ERR_COOKIE_…` if the name, an attribute or a key cannot be used; when it is written,
 * `ERR_COOKIE_TOO_LARGE` if the sealed value takes more than 3,800 bytes
 */
export function sealedCookie<Value>(name: string, options: SealedCookieOptions<Value>): Cookie<Value> {
  const { keys, usage = '', lifetime, clock = Date.now, schema, ...rest } = options
  const declared = declareCookie(name, rest)
  const rule = { lifetime: checkLifetime(name, lifetime), attributes: declared.attributes, clock }
  const sealer = new Sealer(keys, `cookie/${usage}`)
  const open = (raw: string) => {
    const unsealed = sealer.unseal(raw, name)
    if (unsealed === undefined) return undefined
    const { text, retired } = unsealed
    const dot = text.indexOf('.')
    return { expiry: readExpiry(text.slice(0, dot)), json: text.slice(dot + 1), retired }
  }
  return {
    ...declared,
    single: true,
    encode(value, expiry) {
      const { at = clock() + sealedLifetime * 1000, persistent } = expiryOf(rule, expiry)
      const sealed = sealer.seal(`${writeExpiry({ at, persistent })}.${jsonEncode(name, value)}`, name)
      if (sealed.length <= maxSealedSize) return sealed
      throw new UsageError(
        'ERR_COOKIE_TOO_LARGE',
        `The value for cookie ${name} takes ${sealed.length} bytes when sealed`,
        { hint: `The limit is ${maxSealedSize} bytes. Keep the data in a session, on the server.` },
      )
    },
    decode(raw) {
      const opened = open(raw)
      if (opened === undefined || expired(opened.expiry, clock)) return undefined
      const value = jsonDecode(opened.json)
      return schema ? validate(name, schema, value) : (value as Value)
    },
    outdated: (raw) => keys.length > 1 && open(raw)?.retired === true,
    expiry: (raw) => open(raw)?.expiry ?? { at: undefined, persistent: false },
  }
}

function expired({ at }: CookieExpiry, clock: () => number): boolean {
  return at !== undefined && !(at > clock())
}

const cookieOptions: OptionKinds<CookieOptions> = { ...attributeKinds, purpose: 'string', description: 'string' }

/** The part of a cookie that every kind has. It is checked here, so that mistakes show when the program starts. */
export function declareCookie(name: string, options: CookieOptions): Omit<Cookie, 'encode' | 'decode'> {
  checkOptions(`the cookie ${name}`, options, cookieOptions, 'ERR_COOKIE_ATTRIBUTE')
  const { purpose = 'necessary', description, ...given } = options
  const attributes: CookieAttributes = { path: '/', secure: true, httpOnly: true, sameSite: 'lax', ...given }
  serializeSetCookie(name, '', attributes)
  return { name, attributes: Object.freeze(attributes), purpose, ...(description !== undefined && { description }) }
}

/** The part of the Standard Schema interface (zod, valibot, arktype and others) that is used here. */
export interface StandardSchema<Output> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
  }
}

/** The result of a schema: the value, or `issues` if the schema refused it. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly unknown[] }

/**
 * Returns the value that the schema outputs, or `undefined` if the schema refuses the value or throws.
 *
 * @throws {UsageError} `ERR_COOKIE_SCHEMA` if the schema returns a promise
 */
function validate<Output>(name: string, schema: StandardSchema<Output>, value: unknown): Output | undefined {
  let result: ReturnType<StandardSchema<Output>['~standard']['validate']>
  try {
    result = schema['~standard'].validate(value)
  } catch {
    // Input from a browser never throws, not even if a transformation of the schema fails on it.
    return undefined
  }
  if (result instanceof Promise) {
    // No code awaits this promise: its rejection must not end the process.
    result.catch(() => undefined)
    throw new UsageError('ERR_COOKIE_SCHEMA', `The schema of cookie ${name} validates asynchronously`, {
      hint: 'Cookies are read synchronously. Do asynchronous checks afterwards, outside the schema.',
    })
  }
  return result.issues ? undefined : result.value
}
