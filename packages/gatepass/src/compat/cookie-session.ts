import type { IncomingMessage, ServerResponse } from 'node:http'
import { debuglog } from 'node:util'
import { UsageError } from '../error.ts'
import { beforeResponse } from '../http/response-gate.ts'
import { CookieSession, deserialized, serialized } from './cookie-session/session.ts'
import { type CookieSessionOptions, type Keygrip, keygrip, SignedCookies } from './cookie-session/signed-cookies.ts'

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
 * @throws {UsageError} `ERR_COOKIE_KEYS`
 */
export function cookieSession(
  options: CookieSessionOptions = {},
): (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void {
  const keys = keygrip(options)
  // Onto the object itself, where applications look for them.
  options.overwrite ??= true
  options.httpOnly ??= true
  options.signed ??= true
  if (keys === undefined && options.signed) throw noKeys()
  const name = options.name || 'session'
  return (req, res, next) => {
    const request = req as IncomingMessage & CookieSessionRequest
    request.sessionOptions = Object.create(options)
    const slot = new Slot(name, new SignedCookies(req, res, keys), () => request.sessionOptions)
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
  /** `undefined`: nobody has asked yet. `null`: ended. */
  #session: CookieSession | null | undefined

  constructor(name: string, cookies: SignedCookies, options: () => CookieSessionOptions) {
    this.#name = name
    this.#cookies = cookies
    this.#options = options
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
        this.#cookies.write(this.#name, serialized(session), this.#options())
      }
    } catch (error) {
      // As the original: a session that cannot be written does not keep the page from the visitor.
      debug('error saving session %s', error)
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
