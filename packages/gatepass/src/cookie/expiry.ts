import { UsageError } from '../error.ts'
import { type CookieAttributes, maxLifetime } from './grammar.ts'

/** When a protected value ends. */
export interface CookieExpiry {
  /** Epoch milliseconds; `undefined`: never by itself. */
  readonly at: number | undefined
  /** Whether the browser was told to keep it until then, rather than until it is closed. */
  readonly persistent: boolean
}

/** How long the values of one cookie last. */
export interface LifetimeRule {
  /** Seconds a value lasts whatever the browser does. */
  readonly lifetime: number | undefined
  readonly attributes: Readonly<CookieAttributes>
  readonly clock: () => number
}

/** @throws {UsageError} `ERR_COOKIE_MAX_AGE` */
export function checkLifetime(name: string, lifetime: number | undefined): number | undefined {
  if (lifetime === undefined) return undefined
  if (Number.isInteger(lifetime) && lifetime > 0 && lifetime <= maxLifetime) return lifetime
  throw new UsageError('ERR_COOKIE_MAX_AGE', `Cookie ${name} cannot have a lifetime of ${lifetime} seconds`, {
    hint: `Give whole seconds from 1 to ${maxLifetime} (400 days, the most that browsers keep a cookie).`,
  })
}

/**
 * When a value written now ends: by its own lifetime or with the browser's copy, whichever comes first.
 *
 * @param override what this one copy was given instead of the cookie's attributes
 */
export function expiryOf(rule: LifetimeRule, override: CookieExpiry | undefined): CookieExpiry {
  const now = rule.clock()
  const kept = override ?? keptUntil(rule.attributes, now)
  const own = rule.lifetime === undefined ? Number.POSITIVE_INFINITY : now + rule.lifetime * 1000
  const at = Math.min(own, kept.at ?? Number.POSITIVE_INFINITY)
  return { at: Number.isFinite(at) ? at : undefined, persistent: kept.persistent }
}

/** How long a browser keeps a cookie with these attributes; Max-Age wins over Expires (RFC 6265bis §5.7). */
export function keptUntil(attributes: Readonly<CookieAttributes>, now: number): CookieExpiry {
  const at = attributes.maxAge === undefined ? attributes.expires?.getTime() : now + attributes.maxAge * 1000
  return { at, persistent: at !== undefined }
}

/** One letter for how the browser keeps it, then epoch seconds: `p1767225600`, `s1767225600`, or `s` alone. */
export function writeExpiry({ at, persistent }: CookieExpiry): string {
  return (persistent ? 'p' : 's') + (at === undefined ? '' : Math.ceil(at / 1000))
}

/** Reads what `writeExpiry` wrote; only for text whose origin has been verified. */
export function readExpiry(text: string): CookieExpiry {
  return { at: text.length > 1 ? Number(text.slice(1)) * 1000 : undefined, persistent: text.startsWith('p') }
}
