import { type CookieAttributes, checkAttributes, checkName, checkPairSize, checkValue } from './grammar.ts'

/**
 * Writes a Cookie header, as a browser would send it.
 *
 * @throws {UsageError} `ERR_COOKIE_NAME`, `ERR_COOKIE_VALUE`, `ERR_COOKIE_TOO_LARGE`
 */
export function serializeCookie(cookies: Readonly<Record<string, string | undefined>>): string {
  const pairs: string[] = []
  for (const [name, value] of Object.entries(cookies)) if (value !== undefined) pairs.push(pair(name, value))
  return pairs.join('; ')
}

/**
 * Writes the value of a Set-Cookie field (RFC 6265bis §4.1). It adds no attributes and encodes nothing.
 *
 * @throws {UsageError} `ERR_COOKIE_…` for input that the grammar forbids or a browser would drop
 */
export function serializeSetCookie(name: string, value: string, attributes: Readonly<CookieAttributes> = {}): string {
  return pair(name, value) + attributeText(name, attributes)
}

function pair(name: string, value: string): string {
  checkName(name)
  checkValue(name, value)
  checkPairSize(name, value)
  return `${name}=${value}`
}

const words = { strict: 'Strict', lax: 'Lax', none: 'None', low: 'Low', medium: 'Medium', high: 'High' } as const

// The attributes of a declared cookie never change, so they are checked and written only once.
const written = new WeakMap<Readonly<CookieAttributes>, { readonly name: string; readonly text: string }>()

function attributeText(name: string, attributes: Readonly<CookieAttributes>): string {
  const before = written.get(attributes)
  if (before?.name === name) return before.text
  checkAttributes(name, attributes)
  const text = writeAttributes(attributes)
  // A Date in a frozen object can still be changed.
  if (Object.isFrozen(attributes) && attributes.expires === undefined) written.set(attributes, { name, text })
  return text
}

function writeAttributes(attributes: Readonly<CookieAttributes>): string {
  const { domain, path, maxAge, expires, secure, httpOnly, sameSite, partitioned, priority } = attributes
  let text = ''
  if (domain !== undefined) text += `; Domain=${domain.startsWith('.') ? domain.slice(1) : domain}`
  if (path !== undefined) text += `; Path=${path}`
  if (maxAge !== undefined) text += `; Max-Age=${maxAge}`
  if (expires !== undefined) text += `; Expires=${expires.toUTCString()}`
  if (secure) text += '; Secure'
  if (httpOnly) text += '; HttpOnly'
  if (sameSite !== undefined) text += `; SameSite=${words[sameSite]}`
  if (partitioned) text += '; Partitioned'
  if (priority !== undefined) text += `; Priority=${words[priority]}`
  return text
}
