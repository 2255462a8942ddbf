import type { ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { type Awaitable, andThen, orElse } from '../../awaitable.ts'
import { UsageError } from '../../error.ts'
import {
  beforeResponse,
  delayEnd,
  headInFinish,
  type NodeRequest,
  type NodeResponse,
} from '../../http/response-gate.ts'
import { answerOf } from '../callback-or-promise.ts'
import { saveBefore, type Warnings, warnUnsaved } from '../failures.ts'
import { Cookie } from './cookie.ts'
import { Turns } from './original-stores.ts'
import type { Found } from './record.ts'
import type { SessionRecords } from './records.ts'
import type { SessionKeeper, SessionRequest } from './session.ts'
import { dataOf, endedMeanwhile, foundAs, keeper, notFound, refresh, Session, setFound } from './session.ts'
import { optionError, type ReceivedId, type Settings, type SignedIds } from './settings.ts'
import { Store } from './store.ts'

/** What the requests of one middleware share. */
export interface Shared {
  readonly settings: Settings
  readonly store: Store
  readonly records: SessionRecords
  readonly warnings: Warnings
}

/** A request and its response, and what comes after this middleware. */
interface Handling {
  readonly req: NodeRequest & SessionRequest
  readonly res: NodeResponse
  readonly next: (error?: unknown) => void
}

/** The steps of one request run one after another: a save that was not awaited ends before the commit begins. */
const turns = new Turns()

/**
 * Keeps the sessions of one request. It finds the session, does what the session's methods ask for, and decides when the
 * response begins, as express-session does, what is stored and whether the cookie is set.
 */
export class RequestKeeper implements SessionKeeper {
  readonly settings: Settings
  readonly answering: Handling
  readonly #shared: Shared
  readonly #ids: SignedIds
  /** The session id in the browser's cookie. */
  readonly #received: ReceivedId | undefined
  /** The session that the request began with. `found` if the browser's cookie led to it. */
  #first: { readonly id: string | undefined; readonly data: string; readonly found: boolean } | undefined
  /** The session that this request has stored: `resave` does not store it again. */
  #stored: Session | undefined
  /** What `save` failed to save. */
  #unsaved: { readonly session: Session; readonly data: string } | undefined
  /** Whether the application destroyed its session; false while that is not done, or after it failed. */
  #destroyed: boolean | undefined

  constructor(shared: Shared, ids: SignedIds, handling: Handling) {
    const { req } = handling
    this.settings = shared.settings
    this.answering = handling
    this.#shared = shared
    this.#ids = ids
    this.#received = ids.from(req)
    req[keeper] = this
    req.sessionStore = shared.store
    req.sessionID = this.#received?.value
  }

  /** Makes `req.session`, and holds the response back until the session is stored. */
  begin(): void {
    const { res, next } = this.answering
    if (!res.headersSent && !res.writableEnded) {
      const commit = () => turns.take(this, () => this.#commit())
      beforeResponse(res, () => saveBefore(res, commit), next)
      delayEnd(res, () => this.#lateChanges())
    }
    let found: Awaitable<Found | undefined>
    try {
      found = this.#received && this.#shared.records.load(this.#received.value)
    } catch (error) {
      next(error)
      return
    }
    if (found instanceof Promise) found.then((later) => this.#open(later), next)
    else this.#open(found)
  }

  #open(found: Found | undefined): void {
    const { req, next } = this.answering
    try {
      if (found === undefined) this.#shared.store.generate(req)
      else this.#restore(found)
      this.#first = {
        id: req.sessionID,
        data: found?.data ?? dataOf(req.session ?? {}),
        found: found !== undefined,
      }
    } catch (error) {
      next(error)
      return
    }
    next()
  }

  #restore(found: Found): void {
    const { req } = this.answering
    const { store } = this.#shared
    // The class Store of express-session itself makes sessions that this drop-in cannot keep.
    const { createSession } = store instanceof Store ? store : Store.prototype
    createSession.call(store, req, found.session())
    if (req.session instanceof Session) setFound(req.session, found)
  }

  // ── the methods of a session ─────────────────────────────────────────────────────────────────

  async save(session: Session): Promise<void> {
    let data = ''
    const store = () => {
      requireCookie(session)
      data = dataOf(session)
      return this.#store(session, data)
    }
    try {
      if (!(await turns.take(this, store))) throw notFound()
    } catch (error) {
      this.#unsaved = { session, data }
      throw error
    }
  }

  async reload(session: Session): Promise<void> {
    const found = await turns.take(this, () => this.#shared.records.load(session.id))
    if (found === undefined) throw notFound()
    this.#restore(found)
  }

  async destroy(session: Session): Promise<void> {
    delete this.answering.req.session
    this.#destroyed = false
    await turns.take(this, () =>
      andThen(this.#shared.records.remove(session.id), () => {
        this.#destroyed = true
      }),
    )
  }

  async regenerate(): Promise<void> {
    const { req } = this.answering
    const { store, records } = this.#shared
    if (store instanceof Store && store.regenerate !== Store.prototype.regenerate) {
      await answerOf((done) => store.regenerate(req, done))
      return
    }
    const { sessionID = '' } = req
    try {
      await turns.take(this, () => records.remove(sessionID))
    } finally {
      store.generate(req)
    }
  }

  // ── when the response begins ─────────────────────────────────────────────────────────────────

  #commit(): Awaitable<void> {
    const { req, res } = this.answering
    const { session } = req
    if (this.#first === undefined) return undefined
    if (!session) return this.#commitNone()
    // A copy by lodash or structuredClone lacks `req`, which cannot be enumerated.
    if (!(session instanceof Session && session.req)) {
      throw new UsageError('ERR_SESSION_DATA', 'req.session was replaced by something that is not a session', {
        hint: 'Set its properties, or call req.session.regenerate() for a new one.',
      })
    }
    // As in express-session, an id that is not a string names no session.
    if (typeof req.sessionID !== 'string') return undefined
    requireCookie(session)
    session.touch()
    const data = dataOf(session)
    // Before the store: a session whose cookie cannot be written must not be stored.
    const field = this.#cookieField(session, data)
    return andThen(this.#storeIfDue(session, data), (live) => {
      if (live && field !== undefined) addSetCookie(res, field)
    })
  }

  /** The application has removed `req.session`, or destroyed the session. */
  #commitNone(): Awaitable<void> {
    const { req, res } = this.answering
    const { settings, records } = this.#shared
    const unset = settings.destroyUnset && this.#destroyed === undefined && typeof req.sessionID === 'string'
    return andThen(unset ? records.remove(req.sessionID as string) : undefined, () => {
      if ((unset || this.#destroyed) && this.#received !== undefined) expireCookie(req, res, settings)
    })
  }

  /** The Set-Cookie field, if the cookie is to be set. */
  #cookieField(session: Session, data: string): string | undefined {
    const { req } = this.answering
    const { name, proxy, rolling, saveUninitialized } = this.settings
    const { id, cookie } = session
    const received = this.#received
    const due =
      received?.value === id
        ? rolling ||
          (received.outdated && this.#first?.found) ||
          (cookie.expires != null && this.#isModified(session, data))
        : saveUninitialized || this.#isModified(session, data)
    if (!due) return undefined
    if (!cookie.secure || isSecure(req, proxy)) return cookie.serialize(name, this.#ids.sign(id))
    warnWithheld(this.#shared.warnings, req, proxy)
    return undefined
  }

  /**
   * @returns false if the session is not stored
   * @throws {ProtocolError} `ERR_SESSION_ENDED` if it has ended elsewhere and changes of this request would be lost
   */
  #storeIfDue(session: Session, data: string): Awaitable<boolean> {
    // `save` has told the application that this cannot be saved.
    if (this.#unsaved?.session === session && this.#unsaved.data === data) return false
    const { resave, saveUninitialized } = this.settings
    const found = foundAs(session)
    const due =
      found === undefined
        ? saveUninitialized || this.#isModified(session, data)
        : (resave && this.#stored !== session) || data !== found.data
    if (due) {
      return andThen(this.#store(session, data), (live) => {
        if (!live && data !== found?.data) throw endedMeanwhile()
        return live
      })
    }
    if (found === undefined || this.#stored === session || session.id !== this.#received?.value) return true
    return this.#touch(found, session)
  }

  /** A failed touch loses nothing: as in express-session the response leaves, and `next` gets the error after it. */
  #touch(found: Found, session: Session): Awaitable<boolean> {
    const { res, next } = this.answering
    return orElse(
      () => this.#shared.records.touch(session.id, found, session),
      (error) => {
        // Before it has left, Express would cut the response off.
        ;(res as ServerResponse).once('close', () => next(error))
        return true
      },
    )
  }

  /** @returns false if the session has ended meanwhile */
  #store(session: Session, data: string): Awaitable<boolean> {
    const { records } = this.#shared
    const found = foundAs(session)
    const storing = found ? records.save(found, data, session.cookie) : records.insert(session.id, data, session.cookie)
    return andThen(storing, (stored: Found | undefined) => {
      if (stored === undefined) return false
      setFound(session, stored)
      refresh(session, stored.data, data)
      this.#stored = session
      return true
    })
  }

  /** Whether the request has another session than it began with, or has changed it. */
  #isModified(session: Session, data: string): boolean {
    return this.#first?.id !== session.id || this.#first.data !== data
  }

  // ── when the response ends, perhaps long after it began ──────────────────────────────────────

  #lateChanges(): Promise<unknown> | undefined {
    const { req, res, next } = this.answering
    const failed = res.statusCode < 400 ? next : warnUnsaved
    try {
      const { session } = req
      if (!(session instanceof Session)) return undefined
      const found = foundAs(session)
      const data = dataOf(session)
      if (found === undefined && this.#first !== undefined && this.#isModified(session, data)) {
        this.#shared.warnings.once(
          'A session was begun when the head of its response had left: it has no cookie, and is not stored',
          { code: 'ERR_RESPONSE_STARTED', detail: 'Write to req.session before the first byte of the response.' },
        )
      }
      if (found === undefined || data === found.data) return undefined
      return (async () => turns.take(this, () => this.#storeIfDue(session, data)))().catch(failed)
    } catch (error) {
      // Later, so that what `next` throws does not reach the code that ends the response.
      return Promise.reject(error).catch(failed)
    }
  }
}

/** Replaces a cookie that the application has replaced by plain attributes. */
function requireCookie(session: Session): void {
  const { cookie }: { cookie: unknown } = session
  if (cookie instanceof Cookie) return
  if (typeof cookie !== 'object' || cookie === null) {
    throw new UsageError('ERR_SESSION_DATA', 'req.session.cookie was replaced by something that is not a cookie', {
      hint: 'Set its properties: req.session.cookie.maxAge = 60000.',
    })
  }
  session.cookie = new Cookie(cookie)
}

/** Gives a request a new session. */
export function generate(req: NodeRequest & SessionRequest, settings: Settings): void {
  const id: unknown = settings.genid(req)
  // Without this check, a session with another id would be lost without an error.
  if (typeof id !== 'string' || id === '') throw optionError('genid option must return a string')
  req.sessionID = id
  req.session = new Session(req)
  req.session.cookie = newCookie(req, settings)
}

// ── the cookie and the connection ────────────────────────────────────────────────────────────────────────────────────

function newCookie(req: NodeRequest, { cookieOf, proxy }: Settings): Cookie {
  const options = cookieOf(req)
  const cookie = new Cookie(options)
  const secure = isSecure(req, proxy)
  if (options.secure === 'auto') cookie.secure = secure
  if (options.sameSite === 'auto') cookie.sameSite = secure ? 'none' : 'lax'
  return cookie
}

/** Removes the cookie from the browser, unless the application sets or removes it itself. */
function expireCookie(req: NodeRequest, res: NodeResponse, settings: Settings): void {
  if (fieldsOf(res).some((field) => field.startsWith(`${settings.name}=`))) return
  const cookie = newCookie(req, settings)
  cookie.expires = new Date(0)
  addSetCookie(res, cookie.serialize(settings.name, ''))
}

function addSetCookie(res: NodeResponse, field: string): void {
  headInFinish(res).setHeader('Set-Cookie', [...fieldsOf(res), field])
}

function fieldsOf(res: NodeResponse): string[] {
  return [res.getHeader('Set-Cookie') ?? []].flat().map(String)
}

/** Whether the browser's connection is encrypted. `secure` of a request is Express's, after its `trust proxy`. */
function isSecure(req: NodeRequest & { readonly secure?: boolean }, proxy: boolean | undefined): boolean {
  if ((req.socket as Partial<TLSSocket> | undefined)?.encrypted) return true
  if (proxy === false) return false
  if (proxy !== true) return req.secure === true
  const [first = ''] = String(req.headers['x-forwarded-proto'] ?? '').split(',')
  return first.trim().toLowerCase() === 'https'
}

function warnWithheld(warnings: Warnings, req: NodeRequest, proxy: boolean | undefined): void {
  const proto = req.headers['x-forwarded-proto']
  const seen =
    proto === undefined
      ? 'it has no X-Forwarded-Proto'
      : `its X-Forwarded-Proto is ${JSON.stringify(proto).slice(0, 40)}`
  warnings.once(
    `A session cookie is \`secure\` and was not set, because the request did not come over https: ${seen}`,
    {
      code: 'ERR_SESSION_INSECURE_ORIGIN',
      detail:
        proxy === undefined
          ? "Behind a proxy that ends https, write app.set('trust proxy', 1), or give session() the option `proxy: true`."
          : "Behind a proxy that ends https, let it send X-Forwarded-Proto and give `proxy: true`. Otherwise use `secure: 'auto'`.",
    },
  )
}
