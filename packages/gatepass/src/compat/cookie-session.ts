import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { debuglog } from 'node:util'
import { isDate } from 'node:util/types'
import { readCookie } from '../cookie/cookies.ts'
import { maxPairSize } from '../cookie/serialize.ts'
import { equal } from '../crypto/equal.ts'
import { hmacSha1Text } from '../crypto/hmac-sha1.ts'
import { UsageError } from '../error.ts'
import { beforeResponse, headInFinish, headIsOpen } from '../http/response-gate.ts'
import { dataText } from '../session/changes.ts'
import { type SetCookie, stringifySetCookie } from './cookie.ts'
import { dateAfter, nearestDate } from './dates.ts'
import { Warnings } from './failures.ts'

export type { CookieSession }

/** Signs and verifies. An application may bring its own. */
export interface Keygrip {
  sign(text: string): string
  /** The index of the key that made the signature, or -1. */
  index(text: string, signature: string): number
}

export interface CookieSessionOptions {
  /** Default `session`. */
  name?: string | undefined
  /** The first one signs, all verify. */
  keys?: readonly string[] | Keygrip | undefined
  /** The only key, if there are no `keys`. */
  secret?: string | undefined
  /** Milliseconds. Default: until the browser is closed. */
  maxAge?: number | undefined
  expires?: Date | undefined
  /** Default `/`. */
  path?: string | undefined
  domain?: string | undefined
  partitioned?: boolean | undefined
  priority?: 'low' | 'medium' | 'high' | undefined
  sameSite?: 'strict' | 'lax' | 'none' | boolean | undefined
  /** Whether browsers send the cookie over https only. Default: whether this request came over https. */
  secure?: boolean | undefined
  /** Sets `Secure` behind a proxy that speaks https for this server. */
  secureProxy?: boolean | undefined
  /** Default true. */
  httpOnly?: boolean | undefined
  /** Default true. */
  signed?: boolean | undefined
  /** Whether it replaces a cookie of the same name that was set before. Default true. */
  overwrite?: boolean | undefined
}

/** A request behind the middleware. `null` ends the session. */
export interface CookieSessionRequest {
  session?: CookieSession | null
  /** A copy of the options for this request. */
  sessionOptions: CookieSessionOptions
}

const debug = debuglog('cookie-session')

/**
 * Middleware that keeps `req.session` in a signed cookie: what cookie-session 2.1 does, on the same cookies. The browser
 * can read the data, and can send an old cookie again: nothing ends a session before it expires.
 *
 * @throws {UsageError} `ERR_COOKIE_KEYS`, and `ERR_COOKIE_…` for a cookie that could never be written
 */
export function cookieSession(
  given?: CookieSessionOptions,
): (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void {
  const options = given || {}
  const keys = keygrip(options)
  // Written to the given object, where applications look for them.
  options.overwrite ??= true
  options.httpOnly ??= true
  options.signed ??= true
  if (keys === undefined && options.signed) {
    throw new UsageError('ERR_COOKIE_KEYS', '.keys required.', {
      hint: 'cookieSession({ keys: [key] }), with keys of at least 32 random characters.',
    })
  }
  const name = options.name || 'session'
  // Refuses attributes that no response can carry.
  stringifySetCookie({ name, value: '', ...attributesOf(options) }, withoutEncoding)
  const shared = { name, keys, warnings: new Warnings() }
  return (request, res, next) => {
    const req = request as IncomingMessage & CookieSessionRequest
    req.sessionOptions = Object.create(options)
    const slot = new Slot(req, res, shared)
    Object.defineProperty(req, 'session', {
      configurable: true,
      enumerable: true,
      get: () => slot.session,
      set: (value: unknown) => slot.replace(value),
    })
    if (!res.headersSent) beforeResponse(res, () => slot.commit(), next)
    next()
  }
}

interface Shared {
  readonly name: string
  readonly keys: Keygrip | undefined
  readonly warnings: Warnings
}

/**
 * The session of one request, and the cookie that holds it. Beside the cookie, `<name>.sig` holds its HMAC-SHA-1: the format of
 * the packages `cookies` and `keygrip`.
 */
class Slot {
  readonly #req: IncomingMessage & CookieSessionRequest
  readonly #res: ServerResponse
  readonly #shared: Shared
  /** `undefined` until the application reads it; `null` if it has ended. */
  #session: CookieSession | null | undefined

  constructor(req: IncomingMessage & CookieSessionRequest, res: ServerResponse, shared: Shared) {
    this.#req = req
    this.#res = res
    this.#shared = shared
  }

  get session(): CookieSession | null {
    if (this.#session === undefined) {
      const sent = this.#read()
      const data = sent ? deserialized(sent) : undefined
      this.#session = data ? this.#made({ isNew: false, sent }, data) : this.#made({ isNew: true }, {})
    }
    return this.#session
  }

  replace(value: unknown): void {
    if (value !== undefined && value !== null && typeof value !== 'object') {
      throw new UsageError('ERR_SESSION_DATA', 'req.session can only be set as null or an object.', {
        hint: 'Set its properties: req.session.name = value.',
      })
    }
    this.#session = value ? this.#made({ isNew: true }, value) : null
  }

  commit(): void {
    const session = this.#session
    if (session === undefined) return
    const { name, warnings } = this.#shared
    const warn = (error: unknown): void => {
      const { code, message = 'no reason', hint } = (error ?? {}) as Partial<UsageError>
      warnings.once(`A session could not be kept in its cookie: ${message}`, { code, ...(hint && { detail: hint }) })
    }
    try {
      if (session === null) this.#write('')
      else if ((!session.isNew || session.isPopulated) && session.isChanged) {
        const value = serialized(session)
        this.#write(value)
        if (name.length + value.length > maxPairSize) warn(tooLarge(name))
      }
    } catch (error) {
      // As in the original, the visitor gets the page although the session cannot be written.
      debug('error saving session %s', error)
      warn(error)
    }
  }

  /** An empty session that takes the place of this one stays new or old: the browser must lose an old one's data. */
  #made({ isNew, sent }: { isNew: boolean; sent?: string | undefined }, data: object): CookieSession {
    const renew = () => {
      this.#session = this.#made({ isNew }, {})
    }
    return new CookieSession({ isNew, sent, renew }, data)
  }

  /**
   * The value of the cookie; `undefined` without a good signature. Then the browser is told to forget a bad signature. It gets
   * a new one in place of one that an old key made.
   */
  #read(): string | undefined {
    const { name, keys } = this.#shared
    const value = this.#sent(name)
    if (value === undefined || keys === undefined || this.#req.sessionOptions.signed === false) return value
    const signature = this.#sent(`${name}.sig`)
    if (!signature) return undefined
    const text = `${name}=${value}`
    const index = keys.index(text, signature)
    // A session may be read after the head has left. The browser's signature must not make setHeader() throw then.
    if (index !== 0 && headIsOpen(this.#res)) {
      const renewed = index < 0 ? { value: undefined, expires: new Date(0) } : { value: keys.sign(text) }
      this.#set({ name: `${name}.sig`, path: '/', httpOnly: true, ...renewed }, false)
    }
    return index < 0 ? undefined : value
  }

  #sent(name: string): string | undefined {
    const value = readCookie(this.#req.headers.cookie, name)
    return value?.startsWith('"') ? value.slice(1, -1) : value
  }

  /** @throws {UsageError} for attributes that cannot be written, and for a Secure cookie on a connection without TLS */
  #write(value: string): void {
    const { name, keys } = this.#shared
    const options = this.#req.sessionOptions
    const { protocol, socket } = this.#req as IncomingMessage & { protocol?: string }
    const encrypted = protocol === 'https' || (socket as TLSSocket).encrypted === true
    if (!encrypted && options.secure === true) {
      throw new UsageError('ERR_COOKIE_SECURE_REQUIRED', 'Cannot send secure cookie over unencrypted connection', {
        hint: 'Serve it over https. Behind a proxy that does, let the framework trust it, so that `req.protocol` is https.',
      })
    }
    const secure = options.secureProxy ?? options.secure ?? encrypted
    const attributes = { ...attributesOf(options), secure, ...(value === '' && { expires: new Date(0) }) }
    const overwrite = options.overwrite === true
    this.#set({ name, value, ...attributes }, overwrite)
    if (options.signed === false || keys === undefined) return
    this.#set({ name: `${name}.sig`, value: keys.sign(`${name}=${value}`), ...attributes }, overwrite)
  }

  #set(cookie: SetCookie, overwrite: boolean): void {
    const before = [this.#res.getHeader('set-cookie') ?? []].flat().map(String)
    const kept = overwrite ? before.filter((field) => !field.startsWith(`${cookie.name}=`)) : before
    headInFinish(this.#res).setHeader('Set-Cookie', [...kept, stringifySetCookie(cookie, withoutEncoding)])
  }
}

// ── the session ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Facts about a session that its data does not hold. */
interface Origin {
  readonly isNew: boolean
  /** The value of the cookie, as it was sent. */
  readonly sent: string | undefined
  /** Replaces the session by an empty one. */
  readonly renew: () => void
}

type Callback = (error?: unknown) => void

/** `req.session`: its own properties are the data, and nothing else is enumerable. */
class CookieSession {
  [name: string]: unknown
  readonly #origin: Origin

  constructor(origin: Origin, data: object = {}) {
    this.#origin = origin
    for (const [name, value] of Object.entries(data)) {
      // The methods that Passport calls are not in the original, so data of that name is kept.
      if (name in this && name !== 'regenerate' && name !== 'save') continue
      Reflect.defineProperty(this, name, { value, configurable: true, enumerable: true, writable: true })
    }
  }

  get isNew(): boolean {
    return this.#origin.isNew
  }

  get isChanged(): boolean {
    return this.#origin.isNew || this.#origin.sent !== serialized(this)
  }

  get isPopulated(): boolean {
    return Object.keys(this).length > 0
  }

  /** Empties the session. Passport calls it at login and logout, as it does for other sessions. */
  regenerate(callback?: Callback): Promise<void> {
    this.#origin.renew()
    callback?.()
    return Promise.resolve()
  }

  /** Does nothing: the response brings the session to the browser. */
  save(callback?: Callback): Promise<void> {
    callback?.()
    return Promise.resolve()
  }
}

/**
 * The data of a session as a cookie's value: JSON in base64.
 *
 * @throws {UsageError} `ERR_SESSION_DATA`
 */
function serialized(session: CookieSession): string {
  return Buffer.from(dataText(session)).toString('base64')
}

/** The data in a cookie's value; `undefined` if it is not JSON. */
function deserialized(value: string): object | undefined {
  try {
    return Object(JSON.parse(Buffer.from(value, 'base64').toString('utf8')))
  } catch {
    return undefined
  }
}

// ── keys and attributes ──────────────────────────────────────────────────────────────────────────────────────────────

function keygrip({ keys, secret }: CookieSessionOptions): Keygrip | undefined {
  if (keys && 'sign' in keys) return keys
  const secrets = keys ?? (secret ? [secret] : undefined)
  const [first] = secrets ?? []
  if (secrets === undefined || first === undefined) return undefined
  return {
    sign: (text) => hmacSha1Text(first, text),
    index: (text, signature) => secrets.findIndex((key) => equal(hmacSha1Text(key, text), signature)),
  }
}

const withoutEncoding = { encode: (text: string): string => text }

function attributesOf(options: CookieSessionOptions): Omit<SetCookie, 'name' | 'value' | 'secure'> {
  const { maxAge, expires, path = '/', domain, httpOnly, sameSite, priority, partitioned } = options
  if (Number.isNaN(maxAge) || (maxAge && typeof maxAge !== 'number')) {
    throw new UsageError('ERR_COOKIE_MAX_AGE', 'option maxAge is invalid', {
      hint: 'Give milliseconds as a number, or leave it out for a session that ends when the browser is closed.',
    })
  }
  const end = maxAge ? dateAfter(maxAge) : isDate(expires) ? nearestDate(expires) : expires
  return {
    path,
    ...(end && { expires: end }),
    ...(domain !== undefined && { domain }),
    ...(sameSite !== undefined && { sameSite }),
    ...(priority !== undefined && { priority }),
    ...(partitioned !== undefined && { partitioned }),
    httpOnly: httpOnly === true,
  }
}

function tooLarge(name: string): UsageError {
  return new UsageError('ERR_COOKIE_TOO_LARGE', `cookie ${name} takes more than ${maxPairSize} bytes`, {
    hint: 'Browsers drop it. Keep less in the session, or keep sessions in a store: gatepass/compat/express-session.',
  })
}

// biome-ignore lint/style/noDefaultExport: as cookie-session has it
export default cookieSession
export { cookieSession as 'module.exports' }
