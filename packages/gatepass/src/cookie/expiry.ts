import { UsageError } from '../error.ts'
import { type CookieAttributes, maxLifetime } from './serialize.ts'

/** When a signed or sealed value expires. */
export interface CookieExpiry {
  /** Epoch milliseconds; `undefined`: the value has no expiry of its own. */
  readonly at: number | undefined
  /** Whether the browser keeps the cookie until then (true) or until it is closed (false). */
  readonly persistent: boolean
}

/** How long the values of one cookie last. */
export interface LifetimeRule {
  /** Seconds after which a value is refused, even if the browser keeps it longer. */
  readonly lifetime: number | undefined
  readonly attributes: Readonly<CookieAttributes>
  readonly clock: () => number
}

/** @throws {UsageError} `ERR_COOKIE_MAX_AGE` */
export function checkLifetime(name: string, lifetime: number | undefined): number | undefined {
  if (lifetime === undefined) return undefined
  if (Number.isInteger(lifetime) && lifetime > 0 && lifetime <= maxLifetime) return lifetime
  throw new UsageError('ERR_COOKIE_MAX_AGE', `Cookie ${name} cannot have a lifetime of ${lifetime} seconds`, {
    hint: `Give whole seconds from 1 to ${maxLifetime} (400 days, the longest that browsers keep a cookie).`,
  })
}

/**
 * When a value that is written now expires: at the end of its lifetime or of the browser's copy, whichever is first.
 *
 * @param override the expiry of this one copy, if its attributes differ from the cookie's
 */
export function expiryOf(rule: LifetimeRule, override: CookieExpiry | undefined): CookieExpiry {
  const now = rule.clock()
  const kept = override ?? keptUntil(rule.attributes, now)
  const own = rule.lifetime === undefined ? Number.POSITIVE_INFINITY : now + rule.lifetime * 1000
  const at = Math.min(own, kept.at ?? Number.POSITIVE_INFINITY)
  return { at: Number.isFinite(at) ? at : undefined, persistent: kept.persistent }
}

/** How long a browser keeps a cookie with these attributes. Max-Age overrides Expires (RFC 6265bis §5.7). */
export function keptUntil(attributes: Readonly<CookieAttributes>, now: number): CookieExpiry {
  const at = attributes.maxAge === undefined ? attributes.expires?.getTime() : now + attributes.maxAge * 1000
  return { at, persistent: at !== undefined }
}

/** Writes one letter for how the browser keeps the value, then epoch seconds: `p1767225600`, `s1767225600`, or only `s`. */
export function writeExpiry({ at, persistent }: CookieExpiry): string {
  return (persistent ? 'p' : 's') + (at === undefined ? '' : Math.ceil(at / 1000))
}

/** Reads what `writeExpiry` wrote. Verify first that the text comes from `writeExpiry`. */
export function readExpiry(text: string): CookieExpiry {
  return { at: text.length > 1 ? Number(text.slice(1)) * 1000 : undefined, persistent: text.startsWith('p') }
}
