import type { IncomingMessage, ServerResponse } from 'node:http'
import { debuglog } from 'node:util'
import { maxPairSize } from '../cookie/serialize.ts'
import { UsageError } from '../error.ts'
import { beforeResponse } from '../http/response-gate.ts'
import { CookieSession, deserialized, serialized } from './cookie-session/session.ts'
import {
  type CookieSessionOptions,
  checkWritable,
  type Keygrip,
  keygrip,
  SignedCookies,
} from './cookie-session/signed-cookies.ts'

export type { CookieSession, CookieSessionOptions, Keygrip }

/** A request behind the middleware; `null` ends the session. */
export interface CookieSessionRequest {
  session?: CookieSession | null
  /** This request's own copy of the options. */
  sessionOptions: CookieSessionOptions
}

const debug = debuglog('cookie-session')

/**
 * Middleware that keeps `req.session` in a signed cookie: what cookie-session 2.1 does, on the same cookies. The browser
 * can read the data, and send an old cookie again: nothing ends a session before it expires.
 *
 * @throws {UsageError} `ERR_COOKIE_KEYS`, and `ERR_COOKIE_…` for a cookie that could never be written
 */
export function cookieSession(
  given?: CookieSessionOptions,
): (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void {
  const options = given || {}
  const keys = keygrip(options)
  // Onto the object itself, where applications look for them.
  options.overwrite ??= true
  options.httpOnly ??= true
  options.signed ??= true
  if (keys === undefined && options.signed) throw noKeys()
  const name = options.name || 'session'
  checkWritable(name, options)
  const told = new Told()
  return (req, res, next) => {
    const request = req as IncomingMessage & CookieSessionRequest
    request.sessionOptions = Object.create(options)
    const slot = new Slot(name, new SignedCookies(req, res, keys), () => request.sessionOptions, told)
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

/** What one request has for a session. */
class Slot {
  readonly #name: string
  readonly #cookies: SignedCookies
  readonly #options: () => CookieSessionOptions
  readonly #told: Told
  /** `undefined`: not asked for yet. `null`: ended. */
  #session: CookieSession | null | undefined

  constructor(name: string, cookies: SignedCookies, options: () => CookieSessionOptions, told: Told) {
    this.#name = name
    this.#cookies = cookies
    this.#options = options
    this.#told = told
  }

  get session(): CookieSession | null {
    if (this.#session === undefined) this.#session = this.#received() ?? this.#begun({})
    return this.#session
  }

  replace(value: unknown): void {
    if (value !== undefined && value !== null && typeof value !== 'object') throw noSession()
    this.#session = value ? this.#begun(value) : null
  }

  commit(): void {
    const session = this.#session
    if (session === undefined) return
    try {
      if (session === null) this.#cookies.write(this.#name, '', this.#options())
      else if ((!session.isNew || session.isPopulated) && session.isChanged) {
        const value = serialized(session)
        this.#cookies.write(this.#name, value, this.#options())
        if (this.#name.length + value.length > maxPairSize) this.#told.once(tooLarge(this.#name))
      }
    } catch (error) {
      // As the original: a session that cannot be written does not keep the page from the visitor.
      debug('error saving session %s', error)
      this.#told.once(error)
    }
  }

  #received(): CookieSession | undefined {
    const sent = this.#cookies.read(this.#name, this.#options())
    const data = sent ? deserialized(sent) : undefined
    return data && new CookieSession({ isNew: false, sent, renew: () => this.#renew(false) }, data)
  }

  #begun(data: object): CookieSession {
    return new CookieSession({ isNew: true, sent: undefined, renew: () => this.#renew(true) }, data)
  }

  /** Of a session that the browser has, an empty one must be sent, too: else the old one would stay. */
  #renew(isNew: boolean): void {
    this.#session = new CookieSession({ isNew, sent: undefined, renew: () => this.#renew(isNew) })
  }
}

/** Warns of each kind of fault once: a warning per request would fill the log. */
class Told {
  readonly #codes = new Set<unknown>()

  once(error: unknown): void {
    const { code, message, hint } = error as Partial<UsageError>
    if (this.#codes.has(code)) return
    this.#codes.add(code)
    process.emitWarning(`A session could not be kept in its cookie: ${message}`, {
      type: 'GatepassWarning',
      ...(code !== undefined && { code }),
      ...(hint !== undefined && { detail: hint }),
    })
  }
}

function tooLarge(name: string): UsageError {
  return new UsageError('ERR_COOKIE_TOO_LARGE', `cookie ${name} takes more than ${maxPairSize} bytes`, {
    hint: 'Browsers drop it. Keep less in the session, or keep sessions in a store: gatepass/compat/express-session.',
  })
}

function noKeys(): UsageError {
  return new UsageError('ERR_COOKIE_KEYS', '.keys required.', {
    hint: 'cookieSession({ keys: [key] }), with keys of at least 32 random characters.',
  })
}

function noSession(): UsageError {
  return new UsageError('ERR_SESSION_DATA', 'req.session can only be set as null or an object.', {
    hint: 'Set its properties: req.session.name = value.',
  })
}

// biome-ignore lint/style/noDefaultExport: as cookie-session has it
export default cookieSession
export { cookieSession as 'module.exports' }
