import { parseCookieDate } from './cookie-date.ts'
import { type CookieAttributes, maxAttributeSize, maxLifetime, maxPairSize } from './grammar.ts'
import { trimmed } from './parse.ts'

/** A Set-Cookie field as a browser reads it. */
export interface SetCookie {
  /** Empty if the field has no name. */
  readonly name: string
  readonly value: string
  /** The attributes that a browser accepts. If one is given twice, the last counts. */
  readonly attributes: CookieAttributes
}

/**
 * Reads the value of a Set-Cookie field as a browser does (RFC 6265bis §5.6).
 *
 * @returns `undefined` if a browser ignores the whole field, because it is empty, too large or has control characters
 */
export function parseSetCookie(field: string): SetCookie | undefined {
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(field)) return undefined
  const [pair = '', ...parts] = field.split(';')
  const [name, value] = nameAndValue(pair)
  const size = Buffer.byteLength(name) + Buffer.byteLength(value)
  if (size === 0 || size > maxPairSize) return undefined
  const attributes: CookieAttributes = {}
  for (const part of parts) readAttribute(attributes, part)
  return { name, value, attributes }
}

/** Without `=`, the whole pair is the value. */
function nameAndValue(pair: string): [name: string, value: string] {
  const equals = pair.indexOf('=')
  if (equals === -1) return ['', trimmed(pair, 0, pair.length)]
  return [trimmed(pair, 0, equals), trimmed(pair, equals + 1, pair.length)]
}

function readAttribute(attributes: CookieAttributes, part: string): void {
  const equals = part.indexOf('=')
  const key = trimmed(part, 0, equals === -1 ? part.length : equals).toLowerCase()
  const value = equals === -1 ? '' : trimmed(part, equals + 1, part.length)
  if (Buffer.byteLength(value) > maxAttributeSize) return
  if (Object.hasOwn(readers, key)) readers[key]?.(attributes, value)
}

const readers: Readonly<Record<string, (attributes: CookieAttributes, value: string) => void>> = {
  expires: readExpires,
  'max-age': readMaxAge,
  domain: readDomain,
  path: readPath,
  secure: (attributes) => {
    attributes.secure = true
  },
  httponly: (attributes) => {
    attributes.httpOnly = true
  },
  partitioned: (attributes) => {
    attributes.partitioned = true
  },
  samesite: readSameSite,
  priority: readPriority,
}

function readExpires(attributes: CookieAttributes, value: string): void {
  const date = parseCookieDate(value)
  if (date) attributes.expires = date
}

function readMaxAge(attributes: CookieAttributes, value: string): void {
  if (!/^-?\d+$/.test(value)) return
  attributes.maxAge = Math.min(Math.max(Number(value), 0), maxLifetime)
}

/** An empty Domain removes an earlier one: the cookie is then for the exact host. */
function readDomain(attributes: CookieAttributes, value: string): void {
  const host = (value.startsWith('.') ? value.slice(1) : value).toLowerCase()
  if (host) attributes.domain = host
  else delete attributes.domain
}

/** A Path that is not absolute removes an earlier one: the cookie then has the default path of the request. */
function readPath(attributes: CookieAttributes, value: string): void {
  if (value.startsWith('/')) attributes.path = value
  else delete attributes.path
}

function readSameSite(attributes: CookieAttributes, value: string): void {
  const word = value.toLowerCase()
  if (word === 'strict' || word === 'lax' || word === 'none') attributes.sameSite = word
  else delete attributes.sameSite
}

function readPriority(attributes: CookieAttributes, value: string): void {
  const word = value.toLowerCase()
  if (word === 'low' || word === 'medium' || word === 'high') attributes.priority = word
}
