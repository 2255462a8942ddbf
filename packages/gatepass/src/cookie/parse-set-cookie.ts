import { trimmed } from './cookies.ts'
import { type CookieAttributes, maxAttributeSize, maxLifetime, maxPairSize } from './serialize.ts'

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
  // Without `=`, the whole pair is the value.
  const equals = pair.indexOf('=')
  const name = trimmed(pair, 0, Math.max(equals, 0))
  const value = trimmed(pair, equals + 1, pair.length)
  const size = Buffer.byteLength(name) + Buffer.byteLength(value)
  if (size === 0 || size > maxPairSize) return undefined
  const attributes: CookieAttributes = {}
  for (const part of parts) readAttribute(attributes, part)
  return { name, value, attributes }
}

function readAttribute(attributes: CookieAttributes, part: string): void {
  const equals = part.indexOf('=')
  const key = trimmed(part, 0, equals === -1 ? part.length : equals).toLowerCase()
  const value = equals === -1 ? '' : trimmed(part, equals + 1, part.length)
  if (Buffer.byteLength(value) > maxAttributeSize) return
  const word = value.toLowerCase()
  switch (key) {
    case 'expires': {
      const date = parseCookieDate(value)
      if (date) attributes.expires = date
      return
    }
    case 'max-age':
      if (/^-?\d+$/.test(value)) attributes.maxAge = Math.min(Math.max(Number(value), 0), maxLifetime)
      return
    case 'domain': {
      // An empty Domain removes an earlier one: the cookie is then for the exact host.
      const host = word.startsWith('.') ? word.slice(1) : word
      if (host) attributes.domain = host
      else delete attributes.domain
      return
    }
    case 'path':
      // A Path that is not absolute removes an earlier one: the cookie then has the default path of the request.
      if (value.startsWith('/')) attributes.path = value
      else delete attributes.path
      return
    case 'secure':
      attributes.secure = true
      return
    case 'httponly':
      attributes.httpOnly = true
      return
    case 'partitioned':
      attributes.partitioned = true
      return
    case 'samesite':
      if (word === 'strict' || word === 'lax' || word === 'none') attributes.sameSite = word
      else delete attributes.sameSite
      return
    case 'priority':
      if (word === 'low' || word === 'medium' || word === 'high') attributes.priority = word
  }
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
// %x09 / %x20-2F / %x3B-40 / %x5B-60 / %x7B-7E (RFC 6265bis §5.1.1)
const delimiters = /[\t -/;-@[-`{-~]+/

/** Parses a date as browsers do (RFC 6265bis §5.1.1); `undefined` if they find no date in it. */
export function parseCookieDate(text: string): Date | undefined {
  let time: number[] | undefined
  let day: number | undefined
  let month: number | undefined
  let year: number | undefined
  // Each word is the first part that it fits and that is still missing.
  for (const word of text.split(delimiters)) {
    const monthNumber = months.indexOf(word.slice(0, 3).toLowerCase())
    if (time === undefined && /^\d{1,2}:\d{1,2}:\d{1,2}(?:\D|$)/.test(word)) time = word.split(/\D/).map(Number)
    else if (day === undefined && /^\d{1,2}(?:\D|$)/.test(word)) day = Number.parseInt(word, 10)
    else if (month === undefined && monthNumber !== -1) month = monthNumber
    else if (year === undefined && /^\d{2,4}(?:\D|$)/.test(word)) year = Number.parseInt(word, 10)
  }
  if (time === undefined || day === undefined || month === undefined || year === undefined) return undefined
  if (year <= 99) year += year <= 69 ? 2000 : 1900
  const [hour = 0, minute = 0, second = 0] = time
  if (year < 1601 || hour > 23 || minute > 59 || second > 59) return undefined
  const date = new Date(Date.UTC(year, month, day, hour, minute, second))
  // If the month does not have this day, Date.UTC has moved to the next month.
  return date.getUTCDate() === day ? date : undefined
}
