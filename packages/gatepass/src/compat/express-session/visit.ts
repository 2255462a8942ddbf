import type { ServerResponse } from 'node:http'
import { type Awaitable, andThen, orElse } from '../../awaitable.ts'
import { UsageError } from '../../error.ts'
import { beforeEnd, beforeResponse, type NodeRequest, type NodeResponse } from '../../http/response-gate.ts'
import type { SessionRecord } from '../../session/store.ts'
import { callBack, promised, warnUnsaved } from '../told.ts'
import { isSecure } from './connection.ts'
import { Cookie } from './cookie.ts'
import type { ReceivedId, SignedIds } from './received.ts'
import { type SessionRecords, sessionOf } from './records.ts'
import { dataOf, keeper, Session, type SessionKeeper, type SessionRequest } from './session.ts'
import { addSetCookie, expireCookie } from './set-cookie.ts'
import type { Settings } from './settings.ts'
import type { Callback, Store } from './store.ts'
import { endedMeanwhile, notFound } from './store-keeper.ts'
import type { Turns } from './turns.ts'

/** What the requests of one middleware have in common. */
export interface Shared {
  readonly settings: Settings
  readonly store: Store
  readonly records: SessionRecords
  readonly turns: Turns
  /** Told of every secure cookie that is withheld. */
  readonly withheld: (req: NodeRequest) => void
  /** Told of every session that begins when its cookie cannot be set any more. */
  readonly tooLate: () => void
}

/** A request and its response, and what comes after this middleware. */
export interface Handling {
  readonly req: NodeRequest & SessionRequest
  readonly res: NodeResponse
  readonly next: (error?: unknown) => void
}

/**
 * One request: finds its session, does what the session's methods say, and when the response begins decides as
 * express-session does what is to be stored, and whether the cookie is to be set.
 */
export class Visit implements SessionKeeper {
  readonly #shared: Shared
  readonly #handling: Handling
  readonly #ids: SignedIds
  /** The session id in the browser's cookie. */
  readonly #received: ReceivedId | undefined
  /** The session that the request began with; of the browser's own, the record. */
  #first: { readonly id: string | undefined; readonly data: string; readonly found: boolean } | undefined
  /** The session that was stored, which `resave` need not store again. */
  #stored: Session | undefined
  /** What `save` could not save. */
  #unsaved: { readonly session: Session; readonly data: string } | undefined
  /** Whether the application has ended its session; false: that has failed. */
  #destroyed: boolean | undefined

  constructor(shared: Shared, ids: SignedIds, handling: Handling) {
    const { req } = handling
    this.#shared = shared
    this.#handling = handling
    this.#ids = ids
    this.#received = ids.from(req)
    req[keeper] = this
    req.sessionStore = shared.store
    req.sessionID = this.#received?.value
  }

  get settings(): Settings {
    return this.#shared.settings
  }

  /** Makes `req.session`, and has nothing leave before it is stored. */
  begin(): void {
    const { res, next } = this.#handling
    if (!res.headersSent && !res.writableEnded) {
      beforeResponse(res, () => this.#finish(), next)
      beforeEnd(res, () => this.#lateChanges())
    }
    let found: Awaitable<SessionRecord | undefined>
    try {
      found = this.#received && this.#shared.records.load(this.#received.value)
    } catch (error) {
      next(error)
      return
    }
    if (found instanceof Promise) found.then((record) => this.#open(record), next)
    else this.#open(found)
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
      if (!(await this.#inTurn(store))) throw notFound()
    } catch (error) {
      this.#unsaved = { session, data }
      throw error
    }
  }

  async reload(session: Session): Promise<void> {
    const record = await this.#inTurn(() => this.#shared.records.load(session.id))
    if (record === undefined) throw notFound()
    this.#restore(record)
  }

  async destroy(session: Session): Promise<void> {
    delete this.#handling.req.session
    this.#destroyed = false
    const ended = () => {
      this.#destroyed = true
    }
    await this.#inTurn(() => andThen(this.#shared.records.remove(session.id), ended))
  }

  async regenerate(): Promise<void> {
    const { req } = this.#handling
    const { sessionID = '' } = req
    try {
      await this.#inTurn(() => this.#shared.records.remove(sessionID))
    } finally {
      this.#shared.store.generate(req)
    }
  }

  promised(work: Promise<void>): Promise<void> {
    return promised(work, this.#handling)
  }

  callBack(callback: Callback, ...args: unknown[]): void {
    callBack(callback, args, this.#handling.next)
  }

  // ── when the request begins ──────────────────────────────────────────────────────────────────

  #open(record: SessionRecord | undefined): void {
    const { next } = this.#handling
    let failure: unknown
    try {
      this.#first = { ...this.#begun(record), found: record !== undefined }
    } catch (error) {
      failure = error
    }
    // Out here, so that what the application throws is not taken for ours.
    if (this.#first === undefined) next(failure)
    else next()
  }

  #begun(record: SessionRecord | undefined): { id: string | undefined; data: string } {
    const { req } = this.#handling
    if (record === undefined) this.#shared.store.generate(req)
    else this.#restore(record)
    return { id: req.sessionID, data: record?.data ?? dataOf(req.session ?? {}) }
  }

  #restore(record: SessionRecord): void {
    const { req } = this.#handling
    const stored = sessionOf(record)
    req.session = new Session(req, stored)
    // A copy: what was stored is compared with it in the end.
    req.session.cookie = new Cookie(stored.cookie)
    Session.settle(req.session, record, record.data)
  }

  // ── when the response begins ─────────────────────────────────────────────────────────────────

  /** An answer of 400 or more does not say that the session was saved: it leaves as it is, without the cookie. */
  #finish(): Awaitable<void> {
    const commit = () => this.#inTurn(() => this.#commit())
    return this.#handling.res.statusCode < 400 ? commit() : orElse(commit, warnUnsaved)
  }

  #commit(): Awaitable<void> {
    const { session, sessionID } = this.#handling.req
    if (this.#first === undefined) return undefined
    if (!session) return this.#commitNone()
    if (!(session instanceof Session)) throw notASession()
    // As in express-session: what is no text names no session.
    if (typeof sessionID !== 'string') return undefined
    requireCookie(session)
    session.touch()
    const data = dataOf(session)
    // Written first: what cannot be written must not be stored.
    const field = this.#cookieDue(session, data) ? this.#cookieField(session) : undefined
    return andThen(this.#storeIfDue(session, data), (live) => {
      if (live && field !== undefined) addSetCookie(this.#handling.res, field)
    })
  }

  /** The application has done away with `req.session`. */
  #commitNone(): Awaitable<void> {
    const { req, res } = this.#handling
    const { settings, records } = this.#shared
    const unset = settings.destroyUnset && this.#destroyed === undefined && typeof req.sessionID === 'string'
    return andThen(unset ? records.remove(req.sessionID as string) : undefined, () => {
      if ((unset || this.#destroyed) && this.#received !== undefined) expireCookie(req, res, settings)
    })
  }

  /**
   * @returns false if the session is not stored
   * @throws {ProtocolError} `ERR_SESSION_ENDED` if it has ended elsewhere and changes of this request would be lost
   */
  #storeIfDue(session: Session, data: string): Awaitable<boolean> {
    // The application has heard that this could not be saved.
    if (this.#unsaved?.session === session && this.#unsaved.data === data) return false
    const record = Session.recordOf(session)
    if (this.#storeDue(session, data, record)) {
      return andThen(this.#store(session, data), (live) => {
        if (!live && data !== record?.data) throw endedMeanwhile()
        return live
      })
    }
    const isReceived = record !== undefined && session.id === this.#received?.value
    return isReceived && this.#stored !== session ? this.#touch(record, session) : true
  }

  /** Nothing is lost if this fails: the answer leaves, and the error is told when it has, as by express-session. */
  #touch(record: SessionRecord, session: Session): Awaitable<boolean> {
    const { res, next } = this.#handling
    const failed = (error: unknown) => {
      // Told earlier, Express would cut an answer off that is still being written.
      ;(res as ServerResponse).once('close', () => next(error))
      return true
    }
    try {
      const touched = this.#shared.records.touch(record, session)
      return touched instanceof Promise ? touched.catch(failed) : touched
    } catch (error) {
      return failed(error)
    }
  }

  #storeDue(session: Session, data: string, record: SessionRecord | undefined): boolean {
    const { saveUninitialized, resave } = this.#shared.settings
    if (record === undefined) return saveUninitialized || this.#isModified(session, data)
    return (resave && this.#stored !== session) || data !== record.data
  }

  #store(session: Session, data = dataOf(session)): Awaitable<boolean> {
    const { records } = this.#shared
    const base = Session.recordOf(session)
    const storing = base ? records.save(base, data, session.cookie) : records.insert(session.id, data, session.cookie)
    return andThen(storing, (stored: SessionRecord | undefined) => {
      if (stored === undefined) return false
      Session.settle(session, stored, data)
      this.#stored = session
      return true
    })
  }

  /** Whether this request has another session than it began with, or has changed it. */
  #isModified(session: Session, data: string): boolean {
    return this.#first?.id !== session.id || this.#first.data !== data
  }

  #cookieDue(session: Session, data: string): boolean {
    const { rolling, saveUninitialized } = this.#shared.settings
    if (this.#received?.value !== session.id) return saveUninitialized || this.#isModified(session, data)
    if (rolling || (this.#received.outdated && this.#first?.found)) return true
    return session.cookie.expires != null && this.#isModified(session, data)
  }

  #cookieField({ id, cookie }: Session): string | undefined {
    const { req } = this.#handling
    const { settings, withheld } = this.#shared
    if (!cookie.secure || isSecure(req, settings.proxy)) return cookie.serialize(settings.name, this.#ids.sign(id))
    withheld(req)
    return undefined
  }

  // ── when the response ends, long after it has begun ──────────────────────────────────────────

  #lateChanges(): Promise<unknown> | undefined {
    const { req, res, next } = this.#handling
    const failed = res.statusCode < 400 ? next : warnUnsaved
    try {
      const { session } = req
      if (!(session instanceof Session)) return undefined
      const record = Session.recordOf(session)
      const data = dataOf(session)
      if (record === undefined && this.#first !== undefined && this.#isModified(session, data)) this.#shared.tooLate()
      if (record === undefined || data === record.data) return undefined
      return (async () => this.#inTurn(() => this.#storeIfDue(session, data)))().catch(failed)
    } catch (error) {
      failed(error)
      return undefined
    }
  }

  /** One thing after another: a save that nobody waited for comes before the commit. */
  #inTurn<T>(work: () => Awaitable<T>): Awaitable<T> {
    return this.#shared.turns.take(this, work)
  }
}

/** Attributes that the application has put into the place of the cookie become one. */
function requireCookie(session: Session): void {
  const { cookie }: { cookie: unknown } = session
  if (cookie instanceof Cookie) return
  if (typeof cookie !== 'object' || cookie === null) throw notACookie()
  session.cookie = new Cookie(cookie)
}

function notACookie(): UsageError {
  return new UsageError('ERR_SESSION_DATA', 'req.session.cookie was replaced by something that is not a cookie', {
    hint: 'Set its properties: req.session.cookie.maxAge = 60000.',
  })
}

function notASession(): UsageError {
  return new UsageError('ERR_SESSION_DATA', 'req.session was replaced by something that is not a session', {
    hint: 'Set its properties, or call req.session.regenerate() for a new one.',
  })
}
