import { UsageError } from '../error.ts'
import type { Consent } from './consent.ts'
import type { Cookie } from './cookie.ts'
import { type CookieExpiry, keptUntil } from './expiry.ts'
import type { CookieAttributes } from './grammar.ts'
import { countCookie, readCookie, readCookies } from './parse.ts'
import { serializeSetCookie } from './serialize.ts'

/** A cookie of any kind, for code that does not use its value. */
export type AnyCookie = Pick<Cookie, 'name' | 'attributes' | 'purpose' | 'description'>

export interface CookiesOptions {
  /** What the visitor agreed to, or the cookie that holds it. Default: every cookie is allowed. */
  consent?: Consent | Cookie<Consent>
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
  #drafts: Map<string, Draft> | undefined
  /** Set-Cookie fields that delete cookies in scopes other than their own. */
  #elsewhere: string[] | undefined

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
    return countCookie(this.#header, name)
  }

  /**
   * Drafts a Set-Cookie. A later draft for the same name replaces it.
   *
   * @param override attributes for this call, on top of the cookie's own
   * @returns false if the visitor has not consented to this cookie and nothing was drafted
   * @throws {UsageError} `ERR_COOKIE_…` if the value cannot be written, `ERR_RESPONSE_STARTED` if the response was sent
   */
  set<Value>(cookie: Cookie<Value>, value: Value, override?: CookieAttributes): boolean {
    if (!this.allows(cookie)) return false
    this.#write(cookie, value, override)
    return true
  }

  /**
   * Drafts the deletion of a cookie, with the attributes that it was set with.
   *
   * @throws {UsageError} `ERR_RESPONSE_STARTED` if the response was sent
   */
  delete(cookie: Pick<Cookie, 'name' | 'attributes'>): void {
    this.#assertWritable(cookie.name)
    const attributes = { ...cookie.attributes, maxAge: 0, expires: new Date(0) }
    this.#keep(cookie.name, { raw: undefined, field: serializeSetCookie(cookie.name, '', attributes) })
  }

  /**
   * Drafts the deletion of cookies with the same name in other scopes, each a `domain` and a `path`. The draft for the cookie
   * itself stays. A browser without such a cookie does nothing.
   */
  deleteElsewhere(cookie: Pick<Cookie, 'name' | 'attributes'>, scopes: readonly CookieAttributes[]): void {
    this.#assertWritable(cookie.name)
    const { domain, path, ...attributes } = cookie.attributes
    const own = scopeOf({ ...(domain && { domain }), ...(path && { path }) })
    const others = scopes.filter((scope) => scopeOf(scope) !== own)
    this.#elsewhere = others.flatMap((scope) => {
      try {
        const removed = { ...attributes, ...scope, maxAge: 0, expires: new Date(0) }
        return [serializeSetCookie(cookie.name, '', removed)]
      } catch {
        // No cookie can have this path or host, so there is none to delete.
        return []
      }
    })
  }

  /** The Set-Cookie fields, at most one per name and scope. Deletions in other scopes come first, then drafts in order. */
  setCookieFields(): string[] {
    const fields = this.#elsewhere === undefined ? [] : [...this.#elsewhere]
    if (this.#drafts) for (const draft of this.#drafts.values()) fields.push(draft.field)
    return fields
  }

  /** Whether there are Set-Cookie fields. */
  get changed(): boolean {
    return this.#drafts !== undefined || this.#elsewhere !== undefined
  }

  /** Whether the visitor consented to the purpose of this cookie. */
  allows(cookie: Pick<Cookie, 'purpose'>): boolean {
    const source = this.#options?.consent
    if (source === undefined || cookie.purpose === 'necessary') return true
    return this.#choice(source)?.purposes.includes(cookie.purpose) === true
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
    if (isCookie(source)) this.#write(source, consent, undefined)
    else this.#consent = consent
    this.deleteRefused(known)
  }

  /** Deletes those of these cookies that the visitor has not consented to, in the browser and among the drafts. */
  deleteRefused(known: readonly AnyCookie[]): void {
    for (const cookie of known) {
      if (this.allows(cookie)) continue
      if (this.count(cookie.name) > 0) this.delete(cookie)
      else this.#drafts?.delete(cookie.name)
    }
    if (this.#drafts?.size === 0) this.#drafts = undefined
  }

  #choice(source: Consent | Cookie<Consent>): Consent | undefined {
    return isCookie(source) ? this.#read(source) : (this.#consent ?? source)
  }

  #read<Value>(cookie: Cookie<Value>): Value | undefined {
    const draft = this.#drafts?.get(cookie.name)
    const raw = draft ? draft.raw : this.#sent(cookie)
    if (raw === undefined) return undefined
    const value = cookie.decode(raw)
    if (value !== undefined && draft === undefined && cookie.outdated?.(raw)) this.#renew(cookie, value, raw)
    return value
  }

  #sent(cookie: Pick<Cookie, 'name' | 'single'>): string | undefined {
    const raw = readCookie(this.#header, cookie.name)
    if (raw === undefined || !cookie.single) return raw
    return countCookie(this.#header, cookie.name) === 1 ? raw : undefined
  }

  #write<Value>(cookie: Cookie<Value>, value: Value, override: CookieAttributes | undefined): void {
    this.#assertWritable(cookie.name)
    const expiry = override && this.#expiryUnder(override)
    this.#draft(cookie, cookie.encode(value, expiry), override)
  }

  #renew<Value>(cookie: Cookie<Value>, value: Value, raw: string): void {
    if (this.#options?.writable?.() === false) return
    const expiry = cookie.expiry?.(raw)
    // The browser counts Max-Age from now, so the expiry stays only if the remaining time is written.
    const left = expiry?.persistent && expiry.at !== undefined ? Math.ceil((expiry.at - this.#now()) / 1000) : undefined
    this.#draft(cookie, cookie.encode(value, expiry), left === undefined ? undefined : { maxAge: Math.max(0, left) })
  }

  #expiryUnder(override: CookieAttributes): CookieExpiry | undefined {
    const expiry = keptUntil(override, this.#now())
    return expiry.at === undefined ? undefined : expiry
  }

  #draft(cookie: Pick<Cookie, 'name' | 'attributes'>, raw: string, override: CookieAttributes | undefined): void {
    const attributes = override ? { ...cookie.attributes, ...override } : cookie.attributes
    this.#keep(cookie.name, { raw, field: serializeSetCookie(cookie.name, raw, attributes) })
  }

  #keep(name: string, draft: Draft): void {
    this.#drafts ??= new Map()
    this.#drafts.set(name, draft)
  }

  #now(): number {
    return (this.#options?.clock ?? Date.now)()
  }

  #assertWritable(name: string): void {
    if (this.#options?.writable?.() !== false) return
    throw new UsageError('ERR_RESPONSE_STARTED', `Cookie ${name} cannot be set: the response has begun`, {
      hint: 'Set cookies before the first byte of the response is written.',
    })
  }
}

/** The domain and path of a cookie. Browsers keep cookies with the same name apart by them. */
function scopeOf({ domain, path }: CookieAttributes): string {
  return `${domain?.replace(/^\./, '').toLowerCase() ?? ''}${path ?? ''}`
}

function isCookie(source: Consent | Cookie<Consent>): source is Cookie<Consent> {
  return 'decode' in source
}
