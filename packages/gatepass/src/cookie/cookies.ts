import { UsageError } from '../error.ts'
import type { Consent } from './consent.ts'
import type { Cookie } from './cookie.ts'
import { type CookieExpiry, keptUntil } from './expiry.ts'
import type { CookieAttributes } from './grammar.ts'
import { countCookie, readCookie, readCookies } from './parse.ts'
import { serializeSetCookie } from './serialize.ts'

/** A cookie of any kind, where its value does not matter. */
export type AnyCookie = Pick<Cookie, 'name' | 'attributes' | 'purpose' | 'description'>

export interface CookiesOptions {
  /** What the visitor agreed to, or the cookie that says so. Default: nobody asks, and every cookie is allowed. */
  consent?: Consent | Cookie<Consent>
  /** Whether the response can still set cookies; default: always. */
  writable?: () => boolean
  /** Epoch milliseconds; default `Date.now`. */
  clock?: () => number
}

/** What will be said about one cookie: the value it then has, and the field that says so. */
interface Draft {
  readonly raw: string | undefined
  readonly field: string
}

/** The cookies of one exchange: those the browser sent, and those to set on the response. */
export class Cookies {
  readonly #header: string | undefined
  readonly #options: CookiesOptions | undefined
  /** Chosen during this exchange, where no cookie keeps it. */
  #consent: Consent | undefined
  #drafts: Map<string, Draft> | undefined
  /** Removals in other scopes than the cookie's own. */
  #elsewhere: string[] | undefined

  constructor(cookieHeader: string | undefined, options?: CookiesOptions) {
    this.#header = cookieHeader
    this.#options = options
  }

  /**
   * The value as drafted on this response, or else as the browser sent it; `undefined` if it is absent, malformed, forged,
   * expired, or not agreed to. A value under a retired key is drafted again under the current one, to end when it would have.
   */
  get<Value>(cookie: Cookie<Value>): Value | undefined {
    return this.allows(cookie) ? this.#read(cookie) : undefined
  }

  /** The first value under this name, as sent: nothing decoded, verified, drafted or asked for. */
  raw(name: string): string | undefined {
    return readCookie(this.#header, name)
  }

  /** All values under this name, as sent. */
  rawAll(name: string): string[] {
    return readCookies(this.#header, name)
  }

  /** How often the browser sent this name: more than once when somebody planted a cookie beside yours. */
  count(name: string): number {
    return countCookie(this.#header, name)
  }

  /**
   * Drafts a Set-Cookie; of several for one name the last one leaves.
   *
   * @param override attributes for this time, over the cookie's own
   * @returns false if the visitor has not agreed to this cookie; it is then left alone
   * @throws {UsageError} `ERR_COOKIE_…` for what cannot be written, `ERR_RESPONSE_STARTED` when it is too late
   */
  set<Value>(cookie: Cookie<Value>, value: Value, override?: CookieAttributes): boolean {
    if (!this.allows(cookie)) return false
    this.#write(cookie, value, override)
    return true
  }

  /**
   * Drafts the removal of a cookie from the browser, under the attributes it was set with.
   *
   * @throws {UsageError} `ERR_RESPONSE_STARTED` when it is too late
   */
  delete(cookie: Pick<Cookie, 'name' | 'attributes'>): void {
    this.#assertWritable(cookie.name)
    const attributes = { ...cookie.attributes, maxAge: 0, expires: new Date(0) }
    this.#keep(cookie.name, { raw: undefined, field: serializeSetCookie(cookie.name, '', attributes) })
  }

  /**
   * Drafts the removal of cookies of the same name in these other scopes, each a `domain` and a `path`, beside whatever is
   * drafted for the cookie itself. A browser that has none there does nothing.
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
        // A path or host of a request that no cookie can have: none was set there.
        return []
      }
    })
  }

  /** Set-Cookie field values, at most one per name and scope, in the order they were first set; removals in other scopes first. */
  setCookieFields(): string[] {
    const fields = this.#elsewhere === undefined ? [] : [...this.#elsewhere]
    if (this.#drafts) for (const draft of this.#drafts.values()) fields.push(draft.field)
    return fields
  }

  /** Whether there is a cookie to set. */
  get changed(): boolean {
    return this.#drafts !== undefined || this.#elsewhere !== undefined
  }

  /** Whether the visitor agreed to what this cookie is for. */
  allows(cookie: Pick<Cookie, 'purpose'>): boolean {
    const source = this.#options?.consent
    if (source === undefined || cookie.purpose === 'necessary') return true
    return this.#choice(source)?.purposes.includes(cookie.purpose) === true
  }

  /**
   * Takes the visitor's choice from here on, and remembers it in the consent cookie if there is one.
   *
   * @param known the application's cookies: those no longer agreed to are deleted, as {@link deleteRefused} does
   * @throws {UsageError} `ERR_COOKIE_CONSENT` without the option `consent`, `ERR_RESPONSE_STARTED` when it is too late
   */
  setConsent(consent: Consent, known: readonly AnyCookie[]): void {
    const source = this.#options?.consent
    if (source === undefined) {
      throw new UsageError('ERR_COOKIE_CONSENT', 'A choice was made, but these cookies do not ask for consent', {
        hint: 'Give the option `consent`, usually a consentCookie().',
      })
    }
    if (isCookie(source)) this.#write(source, consent, undefined)
    else this.#consent = consent
    this.deleteRefused(known)
  }

  /** Drafts the removal of every cookie among these that the browser has, or is about to get, without the visitor's consent. */
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
    // The browser counts Max-Age from now: only what is left of it keeps the end where it was.
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
    throw new UsageError('ERR_RESPONSE_STARTED', `Cookie ${name} cannot be set: the response has left`, {
      hint: 'Set cookies before the first byte of the response is written.',
    })
  }
}

/** Domain and path by which a browser tells cookies of one name apart. */
function scopeOf({ domain, path }: CookieAttributes): string {
  return `${domain?.replace(/^\./, '').toLowerCase() ?? ''}${path ?? ''}`
}

function isCookie(source: Consent | Cookie<Consent>): source is Cookie<Consent> {
  return 'decode' in source
}
