import { type OptionKinds, UsageError } from '../error.ts'

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
const words = {
  sameSite: { strict: 'Strict', lax: 'Lax', none: 'None' },
  priority: { low: 'Low', medium: 'Medium', high: 'High' },
} as const

/**
 * Writes a Cookie header, as a browser would send it.
 *
 * @throws {UsageError} `ERR_COOKIE_NAME`, `ERR_COOKIE_VALUE`, `ERR_COOKIE_TOO_LARGE`
 */
export function serializeCookie(cookies: Readonly<Record<string, string | undefined>>): string {
  const pairs: string[] = []
  for (const [name, value] of Object.entries(cookies)) {
    if (value !== undefined) pairs.push(serializeSetCookie(name, value))
  }
  return pairs.join('; ')
}

/**
 * Writes the value of a Set-Cookie field (RFC 6265bis §4.1). It adds no attributes and encodes nothing.
 *
 * @throws {UsageError} `ERR_COOKIE_…` for input that the grammar forbids or a browser would drop
 */
export function serializeSetCookie(name: string, value: string, attributes: Readonly<CookieAttributes> = {}): string {
  if (typeof name !== 'string' || !token.test(name)) {
    throw new UsageError('ERR_COOKIE_NAME', `A cookie cannot be named ${quote(name)}`, {
      hint: "Use at least one character of: letters, digits and !#$%&'*+-.^_`|~",
    })
  }
  if (typeof value !== 'string' || !octets.test(value)) {
    throw new UsageError('ERR_COOKIE_VALUE', `The value for cookie ${name} ${valueFault(value)}`, {
      hint: 'Use plainCookie or jsonCookie. They encode the characters that the grammar forbids.',
    })
  }
  // Both are ASCII, so the number of characters is the number of bytes.
  const size = name.length + value.length
  if (size > maxPairSize) {
    throw new UsageError('ERR_COOKIE_TOO_LARGE', `Cookie ${name} takes ${size} bytes, name and value together`, {
      hint: `Browsers drop cookies above ${maxPairSize} bytes. Keep the data in a session and the cookie small.`,
    })
  }
  checkAttributes(name, attributes)
  const { domain, path, maxAge, expires, secure, httpOnly, sameSite, partitioned, priority } = attributes
  let text = `${name}=${value}`
  if (domain !== undefined) text += `; Domain=${domain.startsWith('.') ? domain.slice(1) : domain}`
  if (path !== undefined) text += `; Path=${path}`
  if (maxAge !== undefined) text += `; Max-Age=${maxAge}`
  if (expires !== undefined) text += `; Expires=${expires.toUTCString()}`
  if (secure) text += '; Secure'
  if (httpOnly) text += '; HttpOnly'
  if (sameSite !== undefined) text += `; SameSite=${words.sameSite[sameSite]}`
  if (partitioned) text += '; Partitioned'
  if (priority !== undefined) text += `; Priority=${words.priority[priority]}`
  return text
}

/** The attributes as options. Where the kind is `any`, {@link serializeSetCookie} says more about a wrong value. */
export const attributeKinds: OptionKinds<CookieAttributes> = {
  domain: 'any',
  path: 'any',
  maxAge: 'any',
  expires: 'any',
  secure: 'boolean',
  httpOnly: 'boolean',
  sameSite: 'any',
  partitioned: 'boolean',
  priority: 'any',
}

/** Checks each attribute against the grammar and the limits, and then all together with the name. */
function checkAttributes(name: string, attributes: Readonly<CookieAttributes>): void {
  for (const key in attributes) {
    if (!Object.hasOwn(attributeKinds, key)) throw unknownAttribute(name, key)
    const value: unknown = attributes[key as keyof CookieAttributes]
    if (value === undefined) continue
    switch (key as keyof CookieAttributes) {
      case 'domain':
        if (typeof value === 'string' && isHostName(value)) break
        throw new UsageError('ERR_COOKIE_DOMAIN', `Cookie ${name} cannot have the Domain ${quote(value)}`, {
          hint: domainRemedy(value),
        })
      case 'path':
        if (typeof value !== 'string' || !value.startsWith('/') || !pathOctets.test(value)) {
          throw new UsageError('ERR_COOKIE_PATH', `Cookie ${name} cannot have the Path ${quote(value)}`, {
            hint: 'Start it with / and percent-encode semicolons and all characters that are not ASCII.',
          })
        }
        if (value.length <= maxAttributeSize) break
        throw new UsageError('ERR_COOKIE_PATH', `The Path of cookie ${name} takes ${value.length} bytes`, {
          hint: `Browsers ignore attributes above ${maxAttributeSize} bytes. Use a shorter path.`,
        })
      case 'maxAge':
        if (Number.isInteger(value) && Number(value) >= 0 && Number(value) <= maxLifetime) break
        throw new UsageError('ERR_COOKIE_MAX_AGE', `Cookie ${name} cannot have a Max-Age of ${quote(value)}`, {
          hint: `Give whole seconds from 0 to ${maxLifetime} (400 days, the most that browsers grant).`,
        })
      case 'expires': {
        const year = value instanceof Date ? value.getUTCFullYear() : Number.NaN
        if (year >= 1601 && year <= 9999) break
        throw new UsageError('ERR_COOKIE_EXPIRES', `Cookie ${name} has an Expires that cannot be written`, {
          hint: 'Give a valid Date in the years 1601 to 9999.',
        })
      }
      case 'sameSite':
      case 'priority': {
        const allowed = Object.keys(words[key as 'sameSite' | 'priority'])
        if (allowed.includes(value as string)) break
        throw new UsageError('ERR_COOKIE_ATTRIBUTE', `\`${key}\` of cookie ${name} cannot be ${quote(value)}`, {
          hint: `Use one of ${allowed.map((word) => `'${word}'`).join(', ')}.`,
        })
      }
      case 'secure':
      case 'httpOnly':
      case 'partitioned':
        if (typeof value === 'boolean') break
        throw new UsageError('ERR_COOKIE_ATTRIBUTE', `\`${key}\` of cookie ${name} is neither true nor false`, {
          hint: 'Give a boolean, or leave it out.',
        })
    }
  }
  if (!attributes.secure && (attributes.sameSite === 'none' || attributes.partitioned)) {
    const reason = attributes.sameSite === 'none' ? 'SameSite=None' : 'Partitioned'
    throw new UsageError('ERR_COOKIE_SECURE_REQUIRED', `Cookie ${name} is ${reason} without Secure; browsers drop it`, {
      hint: 'Add `secure: true`.',
    })
  }
  if (name.startsWith('__')) checkPrefix(name, attributes)
}

/** What browsers demand of a cookie whose name has a prefix, in any spelling (RFC 6265bis §4.1.3). */
function checkPrefix(name: string, { secure, httpOnly, domain, path }: Readonly<CookieAttributes>): void {
  const [prefix] = /^__(?:host-http-|host-|http-|secure-)/.exec(name.toLowerCase()) ?? []
  if (prefix === undefined) return
  const demand = (met: boolean | undefined, fault: string, remedy: string) => {
    if (met) return
    throw new UsageError('ERR_COOKIE_PREFIX', `Cookie ${name} ${fault}`, {
      hint: `${remedy}, or rename the cookie. Otherwise browsers drop it.`,
    })
  }
  demand(secure, 'has no Secure', 'Add `secure: true`')
  if (prefix.endsWith('http-')) demand(httpOnly, 'has no HttpOnly', 'Add `httpOnly: true`')
  if (!prefix.startsWith('__host-')) return
  demand(domain === undefined, 'has a Domain', 'Remove `domain`')
  demand(path === '/', 'has a Path other than /', "Set `path: '/'`")
}

function unknownAttribute(name: string, key: string): UsageError {
  const known = Object.keys(attributeKinds)
  const meant = known.find((word) => word.toLowerCase() === key.toLowerCase().replaceAll('-', ''))
  return new UsageError('ERR_COOKIE_ATTRIBUTE', `Cookie ${name} has an attribute ${quote(key)} that does not exist`, {
    hint: meant ? `Write it \`${meant}\`, once.` : `There are ${known.join(', ')}.`,
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
