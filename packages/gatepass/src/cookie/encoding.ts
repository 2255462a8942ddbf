import { UsageError } from '../error.ts'

const plainOctets = /^[!#$&-+\--:<-[\]-~]*$/
const otherUnits = /[^!#$&-+\--:<-[\]-~]+/g

/**
 * Encodes well-formed text as cookie-octets.
 *
 * @throws {UsageError} `ERR_COOKIE_VALUE` for a lone surrogate, which UTF-8 cannot encode
 */
export function percentEncode(name: string, text: string): string {
  if (typeof text !== 'string') throw unwritable(name, 'is not a string', 'Give a string, or use jsonCookie.')
  if (plainOctets.test(text)) return text
  if (text.isWellFormed()) return text.replace(otherUnits, encodeURIComponent)
  throw unwritable(
    name,
    'contains half of a surrogate pair',
    'Give well-formed text: see String.prototype.toWellFormed.',
  )
}

/** `undefined` if the percent-encoding is invalid. */
export function percentDecode(raw: string): string | undefined {
  if (!raw.includes('%')) return raw
  try {
    return decodeURIComponent(raw)
  } catch {
    return undefined
  }
}

/** @throws {UsageError} `ERR_COOKIE_VALUE` for values that JSON cannot express: `undefined`, a function, a bigint, a cycle */
export function jsonEncode(name: string, value: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    throw unwritable(name, 'cannot be written as JSON', 'Leave out bigints and circular references.', cause)
  }
  if (text !== undefined) return text
  throw unwritable(name, 'cannot be written as JSON', 'To remove the cookie, call `delete`.')
}

/** `undefined` if the text is not JSON. Members named `__proto__` are left out, so that merging the value is harmless. */
export function jsonDecode(text: string): unknown {
  try {
    // An escape can spell the name, too. The reviver costs more than parsing, and honest values do not need it.
    const suspicious = text.includes('__proto__') || text.includes('\\u')
    return suspicious ? JSON.parse(text, (key, member) => (key === '__proto__' ? undefined : member)) : JSON.parse(text)
  } catch {
    return undefined
  }
}

function unwritable(name: string, fault: string, hint: string, cause?: unknown): UsageError {
  return new UsageError('ERR_COOKIE_VALUE', `The value for cookie ${name} ${fault}`, { hint, cause })
}

/** Removes quotes, as `cookie` 0.7 and similar parsers do. Elsewhere we keep them as part of the value (RFC 6265bis §4.1.1). */
export function unquoted(value: string): string {
  return value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
}
