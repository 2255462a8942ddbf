import { isDate } from 'node:util/types'
import { UsageError } from '../../error.ts'
import { dateAfter, nearestDate, type SerializeOptions, serialize } from '../cookie.ts'

/** Attributes of the session cookie, as express-session takes them: `maxAge` in milliseconds. */
export interface CookieOptions {
  maxAge?: number | null | undefined
  expires?: Date | null | undefined
  httpOnly?: boolean | undefined
  path?: string | undefined
  domain?: string | undefined
  /** `auto`: as the connection is. Over plain http a secure cookie is not set. */
  secure?: boolean | 'auto' | undefined
  /** `auto`: `none` over https, otherwise `lax`. */
  sameSite?: boolean | 'lax' | 'strict' | 'none' | 'auto' | undefined
  partitioned?: boolean | undefined
  priority?: 'low' | 'medium' | 'high' | undefined
  signed?: boolean | undefined
  encode?: ((value: string) => string) | undefined
}

/** What is stored of a cookie; in this order, so that records are the same text as express-session's. */
export interface CookieData {
  originalMaxAge: number | null
  partitioned: boolean | undefined
  priority: 'low' | 'medium' | 'high' | undefined
  expires: Date | null
  secure: boolean | 'auto' | undefined
  httpOnly: boolean | undefined
  domain: string | undefined
  path: string | undefined
  sameSite: boolean | 'lax' | 'strict' | 'none' | 'auto' | undefined
}

/**
 * The cookie of one session: `req.session.cookie`. Changes of it are stored with the session. An end that no Expires can
 * name becomes the nearest one that it can.
 */
export class Cookie {
  #expires: Date | null = null
  path: string | undefined = '/'
  originalMaxAge: number | null = null
  httpOnly: boolean | undefined = true
  declare partitioned: boolean | undefined
  declare priority: CookieData['priority']
  declare secure: boolean | 'auto' | undefined
  declare domain: string | undefined
  declare sameSite: CookieData['sameSite']

  /** @throws {UsageError} `ERR_COOKIE_ATTRIBUTE`, `ERR_COOKIE_MAX_AGE`, `ERR_COOKIE_EXPIRES` */
  constructor(options?: object) {
    if (!options) return
    if (typeof options !== 'object') throw notOptions()
    const given = plain(options)
    copyInto(this, given, left)
    this.originalMaxAge = given.originalMaxAge ?? this.maxAge
  }

  get expires(): Date | null {
    return this.#expires
  }

  /** @throws {UsageError} `ERR_COOKIE_EXPIRES` */
  set expires(date: Date | string | null | undefined) {
    // JSON has made a string of what was stored.
    const end: unknown = typeof date === 'string' && date !== '' ? new Date(date) : date
    if (end && !(end instanceof Date || isDate(end))) throw notDate()
    const nearest = end ? nearestDate(end as Date) : (end as null)
    if (nearest && Number.isNaN(nearest.getTime())) throw notDate()
    this.#expires = nearest
    this.originalMaxAge = this.maxAge
  }

  /** Milliseconds that are left; `null` until the browser is closed. */
  get maxAge(): number | null {
    return this.#expires instanceof Date ? this.#expires.getTime() - Date.now() : this.#expires
  }

  /** @throws {UsageError} `ERR_COOKIE_MAX_AGE` */
  set maxAge(age: number | Date | null | undefined) {
    if (typeof age === 'number' ? Number.isNaN(age) : age && !isDate(age)) throw notAge()
    this.expires = typeof age === 'number' ? dateAfter(age) : age
  }

  get data(): CookieData {
    const { originalMaxAge, partitioned, priority, expires, secure, httpOnly, domain, path, sameSite } = this
    return { originalMaxAge, partitioned, priority, expires, secure, httpOnly, domain, path, sameSite }
  }

  /** @throws {UsageError} `ERR_COOKIE_…` for what cannot be written */
  serialize(name: string, value: string): string {
    return serialize(name, value, this.data as SerializeOptions)
  }

  toJSON(): CookieData {
    return this.data
  }
}

/** A cookie, express-session's own too, keeps its expiry where it is not enumerated. */
function plain(options: object): Partial<CookieData> & { data?: unknown } {
  return 'toJSON' in options && typeof options.toJSON === 'function' ? options.toJSON() : options
}

/** What no cookie takes over from another. */
const left = { data: undefined }

/** All members but those that `left` has; a loop, since every request does this. */
export function copyInto(target: object, source: object | null, left: object): void {
  const into = target as Record<string, unknown>
  const from = source as Record<string, unknown>
  for (const key in from) if (!(key in left)) into[key] = from[key]
}

function notOptions(): UsageError {
  return new UsageError('ERR_COOKIE_ATTRIBUTE', 'argument options must be a object', {
    hint: "For example new Cookie({ maxAge: 60000, sameSite: 'lax' }).",
  })
}

function notDate(): UsageError {
  return new UsageError('ERR_COOKIE_EXPIRES', 'option expires is invalid', {
    hint: 'Give a valid Date, or null for a cookie that ends when the browser is closed.',
  })
}

function notAge(): UsageError {
  return new UsageError('ERR_COOKIE_MAX_AGE', 'maxAge must be a number or Date', {
    hint: 'Milliseconds, or null for a cookie that ends when the browser is closed.',
  })
}
