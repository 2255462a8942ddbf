import { UsageError } from '../error.ts'
import type { Consent } from './consent.ts'
import type { Cookie } from './cookie.ts'
import { type CookieExpiry, keptUntil } from './expiry.ts'
import { type CookieAttributes, serializeSetCookie } from './serialize.ts'

/** A cookie of any kind, for code that does not use its value. */
export type AnyCookie = Pick<Cookie, 'name' | 'attributes' | 'purpose' | 'description'>

export interface CookiesOptions {
  /** What the visitor agreed to, or the cookie that holds it. Default: every cookie is allowed. */
  consent?: Consent | Cookie<Consent> | undefined
  /** Whether the response can still set cookies. Default: always. */
  writable?: () => boolean
  /** Epoch milliseconds. Default `Date.now`. */
  clock?: () => number
}

/** A cookie to be set: its value from then on, and its Set-Cookie field. */
interface Draft {
  readonly raw: string | undefined
  readonly field: string
}

/** The cookies of one exchange: those that the browser sent, and those to set on the response. */
export class Cookies {
  readonly #header: string | undefined
  readonly #options: CookiesOptions | undefined
  /** The consent given during this exchange, if no cookie keeps it. */
  #consent: Consent | undefined
  readonly #drafts = new Map<string, Draft>()
  /** For each name, the Set-Cookie fields that delete cookies in scopes other than their own. */
  readonly #elsewhere = new Map<string, readonly string[]>()

  constructor(cookieHeader: string | undefined, options?: CookiesOptions) {
    this.#header = cookieHeader
    this.#options = options
  }

  /**
   * The value that is drafted on this response, or that the browser sent. `undefined` if it is absent, malformed, forged or
   * expired, or if the visitor has not consented. A value under a retired key is drafted again under the current key; its
   * expiry stays.
   */
  get<Value>(cookie: Cookie<Value>): Value | undefined {
    return this.allows(cookie) ? this.#read(cookie) : undefined
  }

  /** The first value with this name as sent: not decoded, not verified, without drafts and without consent. */
  raw(name: string): string | undefined {
    return readCookie(this.#header, name)
  }

  /** All values with this name, as sent. */
  rawAll(name: string): string[] {
    return readCookies(this.#header, name)
  }

  /** How often the browser sent this name. More than once means that another host or path has set a cookie with this name. */
  count(name: string): number {
    return readCookies(this.#header, name).length
  }

  /**
   * Drafts a Set-Cookie. A later draft for the same name replaces it.
   *
   * @param override attributes for this call, on top of the cookie's own
   * @returns false if the visitor has not consented to this cookie and nothing was drafted
   * @throws {UsageError} `ERR_COOKIE_…` if the value cannot be written, `ERR_RESPONSE_STARTED` if the response was sent
   */
  set<Value>(cookie: Cookie<Value>, value: Value, override?: CookieAttributes): boolean {
    if (cookie.purpose !== 'necessary' && !this.allows(cookie)) return false
    const kept = override && keptUntil(override, this.#now())
    this.#draft(cookie, value, override, kept?.at === undefined ? undefined : kept)
    return true
  }

  /**
   * Drafts the deletion of a cookie, with the attributes that it was set with.
   *
   * @throws {UsageError} `ERR_RESPONSE_STARTED` if the response was sent
   */
  delete(cookie: Pick<Cookie, 'name' | 'attributes'>): void {
    if (this.#options?.writable?.() === false) throw responseStarted(cookie.name)
    const field = serializeSetCookie(cookie.name, '', { ...cookie.attributes, ...deletion })
    this.#drafts.set(cookie.name, { raw: undefined, field })
  }

  /**
   * Drafts the deletion of cookies with the same name in other scopes, each a `domain` and a `path`. The draft for the cookie
   * itself stays. A browser without such a cookie does nothing.
   */
  deleteElsewhere(cookie: Pick<Cookie, 'name' | 'attributes'>, scopes: readonly CookieAttributes[]): void {
    if (this.#options?.writable?.() === false) throw responseStarted(cookie.name)
    const { domain, path, ...attributes } = cookie.attributes
    const others = scopes.filter((scope) => scopeOf(scope) !== scopeOf({ domain, path }))
    const fields = others.flatMap((scope) => {
      try {
        return [serializeSetCookie(cookie.name, '', { ...attributes, ...scope, ...deletion })]
      } catch {
        // No cookie can have this path or host, so there is none to delete.
        return []
      }
    })
    if (fields.length > 0) this.#elsewhere.set(cookie.name, fields)
  }

  /** The Set-Cookie fields, at most one per name and scope. Deletions in other scopes come first, then drafts in order. */
  setCookieFields(): string[] {
    const fields = [...this.#elsewhere.values()].flat()
    for (const draft of this.#drafts.values()) fields.push(draft.field)
    return fields
  }

  /** Whether there are Set-Cookie fields. */
  get changed(): boolean {
    return this.#drafts.size > 0 || this.#elsewhere.size > 0
  }

  /** Whether the visitor consented to the purpose of this cookie. */
  allows(cookie: Pick<Cookie, 'purpose'>): boolean {
    const source = this.#options?.consent
    if (source === undefined || cookie.purpose === 'necessary') return true
    const consent = isCookie(source) ? this.#read(source) : (this.#consent ?? source)
    return consent?.purposes.includes(cookie.purpose) === true
  }

  /**
   * Applies the visitor's choice from now on, and remembers it in the consent cookie if there is one.
   *
   * @param known the application's cookies; those without consent are deleted, as by {@link deleteRefused}
   * @throws {UsageError} `ERR_COOKIE_CONSENT` without the option `consent`, `ERR_RESPONSE_STARTED` if the response was sent
   */
  setConsent(consent: Consent, known: readonly AnyCookie[]): void {
    const source = this.#options?.consent
    if (source === undefined) {
      throw new UsageError('ERR_COOKIE_CONSENT', 'A choice was made, but these cookies do not ask for consent', {
        hint: 'Set the option `consent`, usually to a consentCookie().',
      })
    }
    if (isCookie(source)) this.#draft(source, consent)
    else this.#consent = consent
    this.deleteRefused(known)
  }

  /** Deletes those of these cookies that the visitor has not consented to, in the browser and among the drafts. */
  deleteRefused(known: readonly AnyCookie[]): void {
    for (const cookie of known) {
      if (this.allows(cookie)) continue
      if (this.raw(cookie.name) !== undefined) this.delete(cookie)
      else this.#drafts.delete(cookie.name)
    }
  }

  #read<Value>(cookie: Cookie<Value>): Value | undefined {
    const draft = this.#drafts.get(cookie.name)
    if (draft) return draft.raw === undefined ? undefined : cookie.decode(draft.raw)
    const [raw, another] = readCookies(this.#header, cookie.name)
    if (raw === undefined || (cookie.single && another !== undefined)) return undefined
    const value = cookie.decode(raw)
    if (value !== undefined && cookie.outdated?.(raw)) this.#renew(cookie, value, raw)
    return value
  }

  #renew<Value>(cookie: Cookie<Value>, value: Value, raw: string): void {
    if (this.#options?.writable?.() === false) return
    const expiry = cookie.expiry?.(raw)
    // The browser counts Max-Age from now, so the expiry stays only if the remaining time is written.
    const left = expiry?.persistent && expiry.at !== undefined ? Math.ceil((expiry.at - this.#now()) / 1000) : undefined
    this.#draft(cookie, value, left === undefined ? undefined : { maxAge: Math.max(0, left) }, expiry)
  }

  #draft<Value>(cookie: Cookie<Value>, value: Value, override?: CookieAttributes, expiry?: CookieExpiry): void {
    if (this.#options?.writable?.() === false) throw responseStarted(cookie.name)
    const raw = cookie.encode(value, expiry)
    const attributes = override ? { ...cookie.attributes, ...override } : cookie.attributes
    this.#drafts.set(cookie.name, { raw, field: serializeSetCookie(cookie.name, raw, attributes) })
  }

  #now(): number {
    return (this.#options?.clock ?? Date.now)()
  }
}

/** Browsers that do not know Max-Age delete by Expires. */
const deletion = { maxAge: 0, expires: new Date(0) } as const

function responseStarted(name: string): UsageError {
  return new UsageError('ERR_RESPONSE_STARTED', `Cookie ${name} cannot be set: the response has begun`, {
    hint: 'Set cookies before the first byte of the response is written.',
  })
}

/** The domain and path of a cookie. Browsers keep cookies with the same name apart by them. */
function scopeOf({ domain, path }: { domain?: string | undefined; path?: string | undefined }): string {
  return `${domain?.replace(/^\./, '').toLowerCase() ?? ''}${path ?? ''}`
}

function isCookie(source: Consent | Cookie<Consent>): source is Cookie<Consent> {
  return 'decode' in source
}

// Reading a Cookie header never throws, and for every header it takes time in proportion to its length. Only SP and HTAB are
// trimmed: a name padded with other white space is another name (RFC 6265bis §5.6).

/**
 * Reads all cookies of a Cookie header into a record without prototype. Values are as sent: they are not decoded, and quotes
 * stay. If a name was sent twice, the first value is kept; {@link countCookie} counts them. Pairs without a name are left
 * out.
 */
export function parseCookie(header: string | undefined): Record<string, string> {
  const cookies: Record<string, string> = Object.create(null)
  if (!header) return cookies
  let start = 0
  while (start < header.length) {
    const equals = header.indexOf('=', start)
    if (equals === -1) break
    let end = header.indexOf(';', equals)
    if (end === -1) end = header.length
    // Pairs before this one have no `=`, and so no name.
    const name = trimmed(header, header.lastIndexOf(';', equals) + 1, equals)
    if (name !== '' && cookies[name] === undefined) cookies[name] = trimmed(header, equals + 1, end)
    start = end + 1
  }
  return cookies
}

/** Reads the first cookie of this name without parsing the others. The value is as from {@link parseCookie}. */
export function readCookie(header: string | undefined, name: string): string | undefined {
  return readCookies(header, name)[0]
}

/** Counts how often a name was sent. More than once means that another host or path has set a cookie with this name. */
export function countCookie(header: string | undefined, name: string): number {
  return readCookies(header, name).length
}

/** Reads all cookies of this name, in the order in which they were sent. */
export function readCookies(header: string | undefined, name: string): string[] {
  const values: string[] = []
  if (!header || name === '' || name.includes('=')) return values
  let at = header.indexOf(name)
  while (at !== -1) {
    const equals = header.indexOf('=', at + name.length)
    if (equals === -1) break
    let end = header.indexOf(';', equals)
    if (end === -1) end = header.length
    // `at` may be inside a longer name or a value, so the whole name before the next `=` is compared.
    const found = trimmed(header, header.lastIndexOf(';', equals) + 1, equals)
    if (found === name) values.push(trimmed(header, equals + 1, end))
    at = header.indexOf(name, end)
  }
  return values
}

export function trimmed(text: string, start: number, end: number): string {
  let from = start
  let to = end
  while (from < to && (text[from] === ' ' || text[from] === '\t')) from++
  while (to > from && (text[to - 1] === ' ' || text[to - 1] === '\t')) to--
  return text.slice(from, to)
}
