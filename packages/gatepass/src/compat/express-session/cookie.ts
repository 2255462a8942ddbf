import { isDate } from 'node:util/types'
import { UsageError } from '../../error.ts'
import { type SerializeOptions, serialize } from '../cookie.ts'
import { dateAfter, nearestDate } from '../dates.ts'

/** Attributes of the session cookie, as express-session takes them: `maxAge` in milliseconds. */
export interface CookieOptions {
  maxAge?: number | null | undefined
  expires?: Date | null | undefined
  httpOnly?: boolean | undefined
  path?: string | undefined
  domain?: string | undefined
  /** `auto` follows the connection. Over plain http a secure cookie is not set. */
  secure?: boolean | 'auto' | undefined
  /** `auto` means `none` over https, otherwise `lax`. */
  sameSite?: boolean | 'lax' | 'strict' | 'none' | 'auto' | undefined
  partitioned?: boolean | undefined
  priority?: 'low' | 'medium' | 'high' | undefined
  /** Ignored, as in express-session: the session id is always signed. */
  signed?: boolean | undefined
  /** Ignored, as in express-session: the value passes through `encodeURIComponent`. */
  encode?: ((value: string) => string) | undefined
}

type Attributes = 'partitioned' | 'priority' | 'secure' | 'httpOnly' | 'domain' | 'path' | 'sameSite'

/** The members of a cookie that are stored. */
export interface CookieData extends Pick<CookieOptions, Attributes> {
  originalMaxAge: number | null
  expires: Date | null
}

/**
 * The cookie of one session: `req.session.cookie`. Changes to it are stored with the session. An end that Expires cannot
 * name becomes the nearest one that it can.
 */
export interface Cookie {
  path: string | undefined
  /** What `expires` reads and writes. Its own property, as in express-session, so that copies of a cookie keep it. */
  _expires: Date | null
  originalMaxAge: number | null
  httpOnly: boolean | undefined
  partitioned?: boolean | undefined
  priority?: CookieData['priority']
  secure?: boolean | 'auto' | undefined
  domain?: string | undefined
  sameSite?: CookieData['sameSite']
  get expires(): Date | null
  /** @throws {UsageError} `ERR_COOKIE_EXPIRES` */
  set expires(date: Date | string | null | undefined)
  /** Milliseconds until the cookie ends; `null` if it lasts until the browser is closed. */
  get maxAge(): number | null
  /** @throws {UsageError} `ERR_COOKIE_MAX_AGE` */
  set maxAge(age: number | Date | null | undefined)
  /** In the order of express-session, so that both store the same text. */
  readonly data: CookieData
  /** @throws {UsageError} `ERR_COOKIE_…` for an attribute that cannot be written */
  serialize(name: string, value: string): string
  toJSON(): CookieData
}

/** The class of {@link Cookie}. */
export interface CookieClass {
  /** @throws {UsageError} `ERR_COOKIE_ATTRIBUTE`, `ERR_COOKIE_MAX_AGE`, `ERR_COOKIE_EXPIRES` */
  new (options?: object): Cookie
  (this: object, options?: object): void
  readonly prototype: Cookie
}

/** A function with an object of accessors as its prototype, as in express-session: programs enumerate, copy and inherit it. */
export const Cookie: CookieClass = function Cookie(this: Cookie, options?: object): void {
  this.path = '/'
  this._expires = null
  this.originalMaxAge = null
  this.httpOnly = true
  if (!options) return
  if (typeof options !== 'object') {
    throw new UsageError('ERR_COOKIE_ATTRIBUTE', 'argument options must be a object', {
      hint: "For example new Cookie({ maxAge: 60000, sameSite: 'lax' }).",
    })
  }
  const given = options as Record<string, unknown> & Partial<CookieData>
  // Another cookie enumerates what it inherits, too.
  for (const key in given) if (!inherited.has(key)) (this as unknown as Record<string, unknown>)[key] = given[key]
  this.originalMaxAge ??= this.maxAge
} as never

const inherited: ReadonlySet<string> = new Set(['data', 'serialize', 'toJSON'])

const prototype: Pick<Cookie, 'expires' | 'maxAge' | 'data' | 'serialize' | 'toJSON'> & ThisType<Cookie> = {
  get expires(): Date | null {
    return this._expires
  },

  set expires(date: Date | string | null | undefined) {
    // A stored date comes back from JSON as text.
    const end: unknown = typeof date === 'string' && date !== '' ? new Date(date) : date
    if (end && !(end instanceof Date || isDate(end))) throw expiresError()
    const nearest = end ? nearestDate(end as Date) : (end as null)
    if (nearest && Number.isNaN(nearest.getTime())) throw expiresError()
    this._expires = nearest
    this.originalMaxAge = this.maxAge
  },

  get maxAge(): number | null {
    const { expires } = this
    return expires instanceof Date ? expires.getTime() - Date.now() : expires
  },

  set maxAge(age: number | Date | null | undefined) {
    if (typeof age === 'number' ? Number.isNaN(age) : age && !isDate(age)) {
      throw new UsageError('ERR_COOKIE_MAX_AGE', 'maxAge must be a number or Date', {
        hint: 'Give milliseconds, or null for a cookie that ends when the browser is closed.',
      })
    }
    if (typeof age !== 'number') this.expires = age
    else {
      const now = Date.now()
      const end = dateAfter(age, now)
      this.expires = end
      // The setter of `expires` reads the clock again, perhaps a millisecond later.
      this.originalMaxAge = end.getTime() - now
    }
  },

  get data(): CookieData {
    const { originalMaxAge, partitioned, priority, _expires: expires, secure, httpOnly, domain, path, sameSite } = this
    return { originalMaxAge, partitioned, priority, expires, secure, httpOnly, domain, path, sameSite } as CookieData
  },

  serialize(name: string, value: string): string {
    return serialize(name, value, this.data as SerializeOptions)
  },

  toJSON(): CookieData {
    return this.data
  },
}
Object.assign(Cookie, { prototype })

/** The cookie of a stored session. Setting its end must not change its age, by which each request moves the end. */
export function storedCookie(stored: object): Cookie {
  const cookie = new Cookie(stored)
  cookie.originalMaxAge = (stored as CookieData).originalMaxAge
  return cookie
}

function expiresError(): UsageError {
  return new UsageError('ERR_COOKIE_EXPIRES', 'option expires is invalid', {
    hint: 'Give a valid Date, or null for a cookie that ends when the browser is closed.',
  })
}
