import { UsageError } from '../error.ts'

/** The attributes that a server can set on a cookie (RFC 6265bis §4.1.2). */
export interface CookieAttributes {
  /** Send the cookie to subdomains of this host, too: an A-label host name without port. Absent: only to the exact host. */
  domain?: string
  path?: string
  /** Seconds, at most 400 days (RFC 6265bis §5.5). 0 deletes. Without it and `expires`: until the browser is closed. */
  maxAge?: number
  expires?: Date
  /** Send the cookie only over https. */
  secure?: boolean
  /** Hide the cookie from scripts in the page. */
  httpOnly?: boolean
  sameSite?: 'strict' | 'lax' | 'none'
  /** Keep a separate cookie for each top-level site (CHIPS). */
  partitioned?: boolean
  /** Which cookies a browser drops first when it has too many. */
  priority?: 'low' | 'medium' | 'high'
}

/** The longest lifetime that browsers allow, in seconds: 400 days (RFC 6265bis §5.5). */
export const maxLifetime: number = 400 * 24 * 60 * 60
/** How many bytes of name and value together browsers accept (RFC 6265bis §5.6). */
export const maxPairSize = 4096
/** Maximum size of an attribute's value in bytes. Browsers ignore a longer one (RFC 6265bis §5.6). */
export const maxAttributeSize = 1024

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const octets = /^(?:[!#-+\--:<-[\]-~]*|"[!#-+\--:<-[\]-~]*")$/
const label = /^[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?$/
const pathOctets = /^[ -:<-~]*$/

/** @throws {UsageError} `ERR_COOKIE_NAME` if `name` is not a token (RFC 9110 §5.6.2) */
export function checkName(name: string): void {
  if (typeof name === 'string' && token.test(name)) return
  throw new UsageError('ERR_COOKIE_NAME', `A cookie cannot be named ${quote(name)}`, {
    hint: "Use at least one character of: letters, digits and !#$%&'*+-.^_`|~",
  })
}

/** @throws {UsageError} `ERR_COOKIE_VALUE` unless `value` is cookie-octets, with or without one pair of DQUOTE around them */
export function checkValue(name: string, value: string): void {
  if (typeof value === 'string' && octets.test(value)) return
  throw new UsageError('ERR_COOKIE_VALUE', `The value for cookie ${name} ${valueFault(value)}`, {
    hint: 'Use plainCookie or jsonCookie. They encode the characters that the grammar forbids.',
  })
}

/** @throws {UsageError} `ERR_COOKIE_TOO_LARGE` */
export function checkPairSize(name: string, value: string): void {
  // Both have been checked to be ASCII, so the number of characters is the number of bytes.
  const size = name.length + value.length
  if (size <= maxPairSize) return
  throw new UsageError('ERR_COOKIE_TOO_LARGE', `Cookie ${name} takes ${size} bytes, name and value together`, {
    hint: `Browsers drop cookies above ${maxPairSize} bytes. Keep the data in a session and the cookie small.`,
  })
}

/**
 * Checks the attributes against the grammar, the limits and the name's prefix.
 *
 * @throws {UsageError} with a code that names the wrong attribute
 */
export function checkAttributes(name: string, attributes: Readonly<CookieAttributes>): void {
  for (const key in attributes) checkAttribute(name, key, attributes)
  checkNeedsSecure(name, attributes)
  checkPrefix(name, attributes)
}

function checkAttribute(name: string, key: string, attributes: Readonly<CookieAttributes>): void {
  const value: unknown = attributes[key as keyof CookieAttributes]
  if (!Object.hasOwn(checks, key)) throw unknownAttribute(name, key)
  if (value !== undefined) checks[key as keyof CookieAttributes](name, value, key)
}

const checks: Record<keyof CookieAttributes, (name: string, value: unknown, key: string) => void> = {
  domain: checkDomain,
  path: checkPath,
  maxAge: checkMaxAge,
  expires: checkExpires,
  secure: checkFlag,
  httpOnly: checkFlag,
  partitioned: checkFlag,
  sameSite: checkWord(['strict', 'lax', 'none']),
  priority: checkWord(['low', 'medium', 'high']),
}

function unknownAttribute(name: string, key: string): UsageError {
  const meant = Object.keys(checks).find((known) => known.toLowerCase() === key.toLowerCase().replaceAll('-', ''))
  return new UsageError('ERR_COOKIE_ATTRIBUTE', `Cookie ${name} has an attribute ${quote(key)} that does not exist`, {
    hint: meant ? `Write it \`${meant}\`, once.` : `There are ${Object.keys(checks).join(', ')}.`,
  })
}

function checkFlag(name: string, value: unknown, key: string): void {
  if (typeof value === 'boolean') return
  throw new UsageError('ERR_COOKIE_ATTRIBUTE', `\`${key}\` of cookie ${name} is neither true nor false`, {
    hint: 'Give a boolean, or leave it out.',
  })
}

function checkWord(words: readonly string[]): (name: string, value: unknown, key: string) => void {
  return (name, value, key) => {
    if (words.includes(value as string)) return
    throw new UsageError('ERR_COOKIE_ATTRIBUTE', `\`${key}\` of cookie ${name} cannot be ${quote(value)}`, {
      hint: `Use one of ${words.map((word) => `'${word}'`).join(', ')}.`,
    })
  }
}

function checkDomain(name: string, value: unknown): void {
  if (typeof value === 'string' && isHostName(value)) return
  throw new UsageError('ERR_COOKIE_DOMAIN', `Cookie ${name} cannot have the Domain ${quote(value)}`, {
    hint: domainRemedy(value),
  })
}

function isHostName(domain: string): boolean {
  // A leading dot has no meaning any more (RFC 6265bis §5.6.3) and is not written.
  const host = domain.startsWith('.') ? domain.slice(1) : domain
  return host.length <= 253 && host.split('.').every((part) => label.test(part))
}

function domainRemedy(value: unknown): string {
  if (typeof value !== 'string') return 'Give a host name as a string.'
  if (/[^\0-\x7f]/.test(value)) return 'Write an international name as A-labels: new URL(address).hostname gives them.'
  if (/:\d*$/.test(value)) return 'Leave the port out: cookies have no ports.'
  return 'Give only a host name: letters, digits and hyphens between dots. Or leave it out for the exact host.'
}

function checkPath(name: string, value: unknown): void {
  if (typeof value !== 'string' || !value.startsWith('/') || !pathOctets.test(value)) {
    throw new UsageError('ERR_COOKIE_PATH', `Cookie ${name} cannot have the Path ${quote(value)}`, {
      hint: 'Start it with / and percent-encode semicolons and all characters that are not ASCII.',
    })
  }
  if (value.length > maxAttributeSize) {
    throw new UsageError('ERR_COOKIE_PATH', `The Path of cookie ${name} takes ${value.length} bytes`, {
      hint: `Browsers ignore attributes above ${maxAttributeSize} bytes. Use a shorter path.`,
    })
  }
}

function checkMaxAge(name: string, value: unknown): void {
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= maxLifetime) return
  throw new UsageError('ERR_COOKIE_MAX_AGE', `Cookie ${name} cannot have a Max-Age of ${quote(value)}`, {
    hint: `Give whole seconds from 0 to ${maxLifetime} (400 days, the most that browsers grant).`,
  })
}

function checkExpires(name: string, value: unknown): void {
  const year = value instanceof Date ? value.getUTCFullYear() : Number.NaN
  if (year >= 1601 && year <= 9999) return
  throw new UsageError('ERR_COOKIE_EXPIRES', `Cookie ${name} has an Expires that cannot be written`, {
    hint: 'Give a valid Date in the years 1601 to 9999.',
  })
}

function checkNeedsSecure(name: string, attributes: Readonly<CookieAttributes>): void {
  if (attributes.secure === true) return
  const reason = attributes.sameSite === 'none' ? 'SameSite=None' : attributes.partitioned ? 'Partitioned' : undefined
  if (reason === undefined) return
  throw new UsageError('ERR_COOKIE_SECURE_REQUIRED', `Cookie ${name} is ${reason} without Secure; browsers drop it`, {
    hint: 'Add `secure: true`.',
  })
}

interface PrefixRule {
  readonly prefix: string
  readonly host: boolean
  readonly http: boolean
}

// The longest prefix first: every __Host-Http- name is also a __Host- name.
const prefixRules: readonly PrefixRule[] = [
  { prefix: '__Host-Http-', host: true, http: true },
  { prefix: '__Host-', host: true, http: false },
  { prefix: '__Http-', host: false, http: true },
  { prefix: '__Secure-', host: false, http: false },
]

function checkPrefix(name: string, attributes: Readonly<CookieAttributes>): void {
  if (!name.startsWith('__')) return
  const lower = name.toLowerCase()
  const rule = prefixRules.find(({ prefix }) => lower.startsWith(prefix.toLowerCase()))
  const fault = rule && prefixFault(rule, attributes)
  if (fault === undefined) return
  throw new UsageError('ERR_COOKIE_PREFIX', `Cookie ${name} ${fault.fault}`, {
    hint: `${fault.remedy}, or rename the cookie. Otherwise browsers drop it.`,
  })
}

function prefixFault(
  rule: PrefixRule,
  attributes: Readonly<CookieAttributes>,
): { fault: string; remedy: string } | undefined {
  if (!attributes.secure) return { fault: 'has no Secure', remedy: 'Add `secure: true`' }
  if (rule.http && !attributes.httpOnly) return { fault: 'has no HttpOnly', remedy: 'Add `httpOnly: true`' }
  if (rule.host && attributes.domain !== undefined) return { fault: 'has a Domain', remedy: 'Remove `domain`' }
  if (rule.host && attributes.path !== '/') return { fault: 'has a Path other than /', remedy: "Set `path: '/'`" }
  return undefined
}

function valueFault(value: unknown): string {
  if (typeof value !== 'string') return `is ${value === null ? 'null' : `of type ${typeof value}`} instead of text`
  const quoted = value.length > 1 && value.startsWith('"') && value.endsWith('"')
  const inner = quoted ? value.slice(1, -1) : value
  const at = Array.from(inner).find((character) => !/^[!#-+\--:<-[\]-~]$/.test(character)) ?? ''
  return `contains U+${(at.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}, which no cookie can hold`
}

/** Quotes a value for a message. JSON escapes control characters, which must not reach logs. */
function quote(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : String(value)
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}
