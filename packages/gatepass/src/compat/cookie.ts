import { isDate } from 'node:util/types'
import { trimmed } from '../cookie/cookies.ts'
import { unquoted } from '../cookie/encoding.ts'
import { type ErrorCode, UsageError } from '../error.ts'

/** Cookies by name. If a name was sent twice, the first value counts. */
export type Cookies = Record<string, string | undefined>

export interface ParseOptions {
  /** Default: percent-decoding, which leaves invalid text as it is. A decoder that returns `undefined` leaves the cookie out. */
  decode?: (text: string) => string | undefined
}

export interface StringifyOptions {
  encode?: (text: string) => string
}

/** A Set-Cookie field. */
export interface SetCookie {
  name: string
  value: string | undefined
  /** Seconds. */
  maxAge?: number
  expires?: Date
  domain?: string
  path?: string
  httpOnly?: boolean
  secure?: boolean
  partitioned?: boolean
  priority?: 'low' | 'medium' | 'high'
  /** `true` is `strict`. */
  sameSite?: boolean | 'lax' | 'strict' | 'none'
}

/** The options of {@link serialize}. */
export type SerializeOptions = StringifyOptions & Omit<SetCookie, 'name' | 'value'>
/** The name of {@link ParseOptions} in `@types/cookie`. */
export type CookieParseOptions = ParseOptions
/** The name of {@link SerializeOptions} in `@types/cookie`. */
export type CookieSerializeOptions = SerializeOptions

/**
 * Reads a Cookie header as `cookie` 0.7 does: into a plain object, without the double quotes around a value. A `decode` that
 * throws leaves the value as it is. A cookie named `__proto__` is left out.
 *
 * @throws {UsageError} `ERR_COOKIE_VALUE` if the header is not a string
 */
export function parse(header: string, { decode = percentDecode }: ParseOptions = {}): Cookies {
  if (typeof header !== 'string') throw fault('ERR_COOKIE_VALUE', 'argument str must be a string')
  const cookies: Cookies = {}
  for (const [name, value] of pairsOf(header)) {
    // Without this, a value that `decode` makes an object would become the prototype.
    if (name === '__proto__' || Object.hasOwn(cookies, name)) continue
    const text = unquoted(value)
    try {
      cookies[name] = decode(text)
    } catch {
      cookies[name] = text
    }
  }
  return cookies
}

/** Reads a Cookie header as `cookie` 1 and 2 do: into an object without prototype; double quotes are part of the value. */
export function parseCookie(header: string, { decode = percentDecode }: ParseOptions = {}): Cookies {
  const cookies: Cookies = Object.create(null)
  for (const [name, value] of pairsOf(header)) {
    if (cookies[name] === undefined) cookies[name] = decode(value)
  }
  return cookies
}

/**
 * Writes a Cookie header.
 *
 * @throws {UsageError} `ERR_COOKIE_NAME`, `ERR_COOKIE_VALUE`
 */
export function stringifyCookie(cookies: Cookies, { encode = encodeIfNeeded }: StringifyOptions = {}): string {
  const pairs: string[] = []
  for (const [name, value] of Object.entries(cookies)) {
    if (value === undefined) continue
    if (!nameOctets.test(name)) throw fault('ERR_COOKIE_NAME', `cookie name is invalid: ${JSON.stringify(name)}`)
    const text = encode(value)
    if (!valueOctets.test(text)) throw fault('ERR_COOKIE_VALUE', `cookie val is invalid, of cookie ${name}`)
    pairs.push(`${name}=${text}`)
  }
  return pairs.join('; ')
}

/**
 * Writes a Set-Cookie field. An object is written as by `cookie` 2. Name, value and options are written as by 0.7 and 1: the
 * value passes through `encodeURIComponent`, and `maxAge` is rounded down.
 *
 * @throws {UsageError} `ERR_COOKIE_NAME`, `ERR_COOKIE_VALUE`, `ERR_COOKIE_MAX_AGE`, `ERR_COOKIE_DOMAIN`,
 * `ERR_COOKIE_PATH`, `ERR_COOKIE_EXPIRES`, `ERR_COOKIE_ATTRIBUTE`
 */
export function stringifySetCookie(cookie: SetCookie, options?: StringifyOptions): string
export function stringifySetCookie(name: string, value: string, options?: SerializeOptions): string
export function stringifySetCookie(
  first: SetCookie | string,
  second?: StringifyOptions | string,
  third?: SerializeOptions,
): string {
  if (typeof first === 'object') {
    const { encode = encodeIfNeeded } = (second ?? {}) as StringifyOptions
    return writeSetCookie(first, encode)
  }
  const { maxAge, encode = encodeURIComponent, ...attributes } = third ?? {}
  const rounded = maxAge === undefined || maxAge === null ? {} : { maxAge: Math.floor(maxAge) }
  return writeSetCookie({ ...attributes, ...rounded, name: first, value: String(second) }, encode)
}

/** The name of {@link stringifySetCookie} in `cookie` 0.7 and 1. */
export const serialize: typeof stringifySetCookie = stringifySetCookie

/** Reads a Set-Cookie field as `cookie` 1 and 2 do. `parseSetCookie` of `gatepass/cookie` reads it as browsers do. */
export function parseSetCookie(field: string, { decode = percentDecode }: ParseOptions = {}): SetCookie {
  const [pair = '', ...parts] = field.split(';')
  const [name, value] = halves(pair)
  const cookie: SetCookie = value === undefined ? { name: '', value: decode(name) } : { name, value: decode(value) }
  for (const part of parts) readAttribute(cookie, ...halves(part))
  return cookie
}

/** All functions in one object, as `import cookie from 'cookie'` gives them in 0.7. */
const cookie: {
  parse: typeof parse
  serialize: typeof stringifySetCookie
  parseCookie: typeof parseCookie
  stringifyCookie: typeof stringifyCookie
  parseSetCookie: typeof parseSetCookie
  stringifySetCookie: typeof stringifySetCookie
} = { parse, serialize, parseCookie, stringifyCookie, parseSetCookie, stringifySetCookie }

declare namespace cookie {
  export type {
    CookieParseOptions,
    CookieSerializeOptions,
    Cookies,
    ParseOptions,
    SerializeOptions,
    SetCookie,
    StringifyOptions,
  }
}

// biome-ignore lint/style/noDefaultExport: `import cookie from 'cookie'` works with 0.7
export default cookie
export { cookie as 'module.exports' }

// ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function pairsOf(header: string): [name: string, value: string][] {
  if (header.length < 2) return []
  return header.split(';').map(halves).filter(isPair)
}

function isPair(halves: [name: string, value: string | undefined]): halves is [name: string, value: string] {
  return halves[1] !== undefined
}

function halves(pair: string): [name: string, value: string | undefined] {
  const equals = pair.indexOf('=')
  if (equals === -1) return [trimmed(pair, 0, pair.length), undefined]
  return [trimmed(pair, 0, equals), trimmed(pair, equals + 1, pair.length)]
}

function percentDecode(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function readAttribute(cookie: SetCookie, given: string, value: string | undefined): void {
  const name = given.toLowerCase()
  const word = value?.toLowerCase()
  if (name === 'httponly') cookie.httpOnly = true
  else if (name === 'secure' || name === 'partitioned') cookie[name] = true
  else if (name === 'domain' || name === 'path') Object.assign(cookie, { [name]: value })
  else if (name === 'max-age' && value !== undefined && /^-?\d+$/.test(value)) cookie.maxAge = Number(value)
  else if (name === 'expires' && value && Number.isFinite(Date.parse(value))) cookie.expires = new Date(value)
  else if (name === 'priority' && (word === 'low' || word === 'medium' || word === 'high')) cookie.priority = word
  else if (name === 'samesite' && (word === 'lax' || word === 'strict' || word === 'none')) cookie.sameSite = word
}

// ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

// Wider than the grammar of RFC 6265, as in `cookie` since 1.0: applications rely on it.
const nameOctets = /^[!-:<>-~]+$/
const valueOctets = /^[!-:<-~]*$/
const pathOctets = /^[ -:=-~]*$/
const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
const hostName = new RegExp(`^\\.?${label}(?:\\.${label})*$`, 'i')
const encodedOctets = /[^!#-$&-+\--:<-[\]-~]/
const words = { strict: 'Strict', lax: 'Lax', none: 'None', low: 'Low', medium: 'Medium', high: 'High' } as const

/** Encodes only text that a browser would not send back unchanged. */
function encodeIfNeeded(text: string): string {
  return encodedOctets.test(text) ? encodeURIComponent(text) : text
}

function writeSetCookie(cookie: SetCookie, encode: (text: string) => string): string {
  const { name, value } = cookie
  if (typeof encode !== 'function') throw fault('ERR_COOKIE_ATTRIBUTE', 'option encode is invalid')
  if (!nameOctets.test(name)) throw fault('ERR_COOKIE_NAME', `argument name is invalid: ${JSON.stringify(name)}`)
  const text = value === undefined || value === null ? '' : encode(value)
  if (!valueOctets.test(text)) throw fault('ERR_COOKIE_VALUE', `argument val is invalid, of cookie ${name}`)
  return `${name}=${text}${attributesOf(cookie)}`
}

function attributesOf(cookie: SetCookie): string {
  const { name, maxAge, domain, path, expires, priority, sameSite } = cookie
  let text = ''
  if (maxAge !== undefined) {
    if (!Number.isSafeInteger(maxAge)) throw invalid('ERR_COOKIE_MAX_AGE', 'maxAge', name)
    text += `; Max-Age=${maxAge}`
  }
  if (domain) {
    if (!hostName.test(domain)) throw invalid('ERR_COOKIE_DOMAIN', 'domain', name)
    text += `; Domain=${domain}`
  }
  if (path) {
    if (!pathOctets.test(path)) throw invalid('ERR_COOKIE_PATH', 'path', name)
    text += `; Path=${path}`
  }
  if (expires) {
    if (!isWritable(expires)) throw invalid('ERR_COOKIE_EXPIRES', 'expires', name)
    text += `; Expires=${expires.toUTCString()}`
  }
  if (cookie.httpOnly) text += '; HttpOnly'
  if (cookie.secure) text += '; Secure'
  if (cookie.partitioned) text += '; Partitioned'
  if (priority) text += `; Priority=${oneOf(['low', 'medium', 'high'], priority, 'priority', name)}`
  if (sameSite) text += `; SameSite=${oneOf(['strict', 'lax', 'none'], sameSite, 'sameSite', name)}`
  return text
}

function oneOf(known: readonly (keyof typeof words)[], value: unknown, option: string, name: string): string {
  const word = value === true && option === 'sameSite' ? 'strict' : String(value).toLowerCase()
  const found = typeof value === 'object' ? undefined : known.find((one) => one === word)
  if (found === undefined) throw invalid('ERR_COOKIE_ATTRIBUTE', option, name)
  return words[found]
}

/** Whether it is a Date, also of another realm, with a year that Expires can name. */
function isWritable(expires: Date): boolean {
  if (!isDate(expires)) return false
  const year = expires.getUTCFullYear()
  return year >= 1601 && year <= 9999
}

function invalid(code: ErrorCode, option: string, name: string): UsageError {
  return fault(code, `option ${option} is invalid, of cookie ${name}`)
}

/** An error with the message of `cookie`: applications and their tests look for it. */
function fault(code: ErrorCode, message: string): UsageError {
  return new UsageError(code, message, {
    hint: 'See docs/cookies.md for the values of this attribute, or leave it out.',
  })
}
