import { type Awaitable, andThen } from '../awaitable.ts'
import type { Cookie } from '../cookie/cookie.ts'
import type { Keys } from '../crypto/keyring.ts'
import type { Exchange } from '../http/exchange.ts'
import type { SessionData } from '../register.ts'
import { type ClientSummary, expiryOf, type LoginProof, readAbout, readMarker } from './about.ts'
import { parseData } from './changes.ts'
import { endHandle, endId, whereabouts } from './commit.ts'
import { giveHooks, type SessionHooks } from './hooks.ts'
import { type Absence, type Finding, OpenSession, type Session } from './session.ts'
import { noIndex, type SessionOptions, type Settings, sessionSettings } from './settings.ts'
import type { SessionId, SessionRecord, SubjectIndex, Timestamp } from './store.ts'
import { idOf, isSessionId } from './token.ts'
import { SessionWriter } from './writer.ts'

export type { SessionEvent } from './event.ts'
export type { SessionOptions, SessionTimeouts } from './settings.ts'

/** A session for a device list. It holds neither the data nor the token. */
export interface SessionSummary {
  readonly id: SessionId
  readonly handle: string
  readonly subject: string | undefined
  readonly createdAt: Timestamp
  /** When the last request used the session, to within the touch interval. */
  readonly seenAt: Timestamp
  readonly expiresAt: Timestamp
  readonly login: LoginProof | undefined
  readonly client: ClientSummary
}

/** Stands in place of a session if the response began before the session was opened. */
const ANSWERED = Symbol('answered')

/** Opens the session that a request's cookie names, and saves it before the response is sent. */
export class SessionManager<Data extends object = SessionData> {
  readonly #settings: Settings
  readonly #writer: SessionWriter
  /** Whether the store is synchronous, so that a session can be opened on first use. */
  readonly synchronous: boolean

  /** @throws {UsageError} `ERR_SESSION_OPTIONS`, `ERR_STORE_NO_INDEX`, `ERR_COOKIE_KEYS` */
  constructor(options: SessionOptions) {
    this.#settings = sessionSettings(options)
    this.#writer = new SessionWriter(this.#settings)
    this.synchronous = options.store.synchronous === true
    giveHooks(this, this.#hooks(options.keys))
  }

  /**
   * Opens the session of this exchange. It is loaded at most once, and only for a well-formed token; without a token it is
   * empty. Open it at the start of a request with an unsafe method: a session opened later may have ended since then.
   *
   * @throws {StoreError}
   */
  open(exchange: Exchange): Awaitable<Session<Data>> {
    const known = exchange.memory.get(this)
    if (known !== undefined && known !== ANSWERED) return known as Awaitable<OpenSession<Data>>
    const found = this.#find(exchange)
    exchange.memory.set(this, found)
    if (known === ANSWERED && !(found instanceof Promise)) found.seal()
    return found
  }

  /** From the cookie to the session, with the reason if there is none. */
  #find(exchange: Exchange): Awaitable<OpenSession<Data>> {
    const { sessionCookie, tokens, store, keysSince } = this.#settings
    const cookie = sessionCookie.of(exchange)
    const [raw, another] = exchange.cookies.rawAll(cookie.name)
    if (raw === undefined) return this.#absent(exchange, 'no-cookie')
    if (another !== undefined) return this.#duplicate(exchange, cookie)
    const token = cookie.decode(raw)
    const reading = token === undefined ? 'malformed' : tokens.read(token)
    if (token === undefined || reading === 'malformed') return this.#absent(exchange, 'malformed')
    const untagged = reading === 'untagged'
    if (reading === 'forged' || (untagged && !this.#mayBeUntagged())) return this.#forged(exchange, cookie)
    const begunBefore = untagged ? keysSince : Number.POSITIVE_INFINITY
    const loaded = store.load(idOf(token))
    if (loaded instanceof Promise) return this.#load(exchange, loaded, begunBefore)
    return this.#found(exchange, loaded, begunBefore)
  }

  /** Calls of `open` during a load share it. After a failed load the next call tries again. */
  async #load(
    exchange: Exchange,
    loading: Promise<SessionRecord | undefined>,
    begunBefore: Timestamp,
  ): Promise<OpenSession<Data>> {
    const answered = exchange.memory.get(this) === ANSWERED
    try {
      const session = this.#found(exchange, await loading, begunBefore)
      exchange.memory.set(this, session)
      if (answered) session.seal()
      return session
    } catch (error) {
      exchange.memory.delete(this)
      throw error
    }
  }

  #found(exchange: Exchange, record: SessionRecord | undefined, begunBefore: Timestamp): OpenSession<Data> {
    const now = this.#settings.clock()
    if (record === undefined) return this.#absent(exchange, 'unknown')
    // A marker has no subject.
    const marker = record.subject === null ? readMarker(record) : undefined
    if (marker !== undefined && marker.until > now) {
      const state = { is: 'ended', record, since: 'arrival' } as const
      return new OpenSession(this.#writer, exchange, { state, absence: 'unknown', inCookie: true, touchDue: false })
    }
    if (marker !== undefined || this.#expired(record, now)) return this.#absent(exchange, 'unknown')
    if (record.createdAt >= begunBefore) return this.#forged(exchange, this.cookieOf(exchange))
    const touchDue = now - record.seenAt >= this.#settings.touchInterval
    return new OpenSession(this.#writer, exchange, { state: { is: 'stored', record }, inCookie: true, touchDue })
  }

  /** The cookie that carries the token on this connection, for a cookie notice. */
  cookieOf(exchange: Exchange): Cookie {
    return this.#settings.sessionCookie.of(exchange)
  }

  /** The session that `open` has already returned for this exchange. */
  opened(exchange: Exchange): Session<Data> | undefined {
    const known = exchange.memory.get(this)
    return known instanceof OpenSession ? (known as OpenSession<Data>) : undefined
  }

  /**
   * Saves what this exchange changed and drafts its Set-Cookie. Call it before the response is sent. A second call does
   * nothing. After it the session refuses changes.
   *
   * @throws {StoreError} if the changes could not be saved; the response must not claim that they were
   * @throws {ProtocolError} `ERR_SESSION_ENDED` (409) if the session has ended in the meantime; the changes of this exchange
   *   are not saved
   * @throws {UsageError} `ERR_SESSION_DATA`, `ERR_SESSION_TOO_LARGE`, `ERR_SESSION_INSECURE_ORIGIN`
   */
  commit(exchange: Exchange): Awaitable<void> {
    const known = exchange.memory.get(this)
    if (known instanceof OpenSession) return known.close()
    if (known instanceof Promise) {
      const again = (): Awaitable<void> => this.commit(exchange)
      // If the load fails, the caller of `open` receives the error and there is nothing to save.
      return known.then(again, again)
    }
    exchange.memory.set(this, ANSWERED)
    return undefined
  }

  /**
   * Lists the live sessions of a subject, the most recently begun first.
   *
   * @throws {UsageError} `ERR_STORE_NO_INDEX`
   */
  async list(subject: string): Promise<SessionSummary[]> {
    const listed = await this.#index('list()').listBySubject(subject)
    return onePerSession(listed.filter((record) => this.#live(record) !== undefined)).map(summary)
  }

  /**
   * Ends a session, also if it has just moved to another id. It deletes no cookie: to end the session of the current
   * exchange, call `destroy`.
   */
  async revoke(id: SessionId): Promise<void> {
    const { store, clock, onEvent } = this.#settings
    if (await endId(store, id, clock)) onEvent?.({ type: 'revoked', id, count: 1 }, undefined)
  }

  /**
   * Ends the session with this handle, if it belongs to this subject. A device list shows the handle.
   *
   * @returns false if the subject has no session with this handle
   * @throws {UsageError} `ERR_STORE_NO_INDEX`
   */
  async revokeHandle(subject: string, handle: string): Promise<boolean> {
    const stores = { store: this.#settings.store, index: this.#index('revokeHandle()') }
    const ended = await endHandle(stores, subject, handle)
    if (ended) this.#settings.onEvent?.({ type: 'revoked', subject, count: 1 }, undefined)
    return ended
  }

  /**
   * Ends all sessions of a subject, except the one in `except`.
   *
   * @returns how many sessions ended
   * @throws {UsageError} `ERR_STORE_NO_INDEX`
   */
  async revokeAll(subject: string, options: { except?: SessionId | undefined } = {}): Promise<number> {
    const index = this.#index('revokeAll()')
    const count = await index.removeBySubject(subject, options.except)
    if (count > 0) this.#settings.onEvent?.({ type: 'revoked', subject, count }, undefined)
    return count
  }

  #live(record: SessionRecord | undefined): SessionRecord | undefined {
    if (record === undefined || readMarker(record) !== undefined) return undefined
    return this.#expired(record, this.#settings.clock()) ? undefined : record
  }

  /** Checks again: the store used its own clock, and the timeouts that were configured when the record was written. */
  #expired(record: SessionRecord, now: Timestamp): boolean {
    const { shortest } = this.#settings
    if (record.expiresAt <= now) return true
    if (now - record.seenAt < shortest.idle && now - record.createdAt < shortest.absolute) return false
    return expiryOf(this.#settings, record, readAbout(record.about).login) <= now
  }

  #mayBeUntagged(): boolean {
    const { keysSince, standard, remembered, clock } = this.#settings
    return clock() < keysSince + Math.max(standard.absolute, remembered.absolute)
  }

  #absent(exchange: Exchange, absence: Absence): OpenSession<Data> {
    const finding = { state: { is: 'absent' }, absence, inCookie: true, touchDue: false } as const
    return new OpenSession(this.#writer, exchange, finding)
  }

  /** An attacker may have planted one of two cookies, so neither opens a session. A logout ends the sessions of both. */
  #duplicate(exchange: Exchange, cookie: Cookie): OpenSession<Data> {
    this.#settings.onEvent?.({ type: 'cookie_duplicate', cookie: cookie.name }, exchange)
    const ids = exchange.cookies.rawAll(cookie.name).flatMap((raw) => {
      const token = cookie.decode(raw)
      const named = token !== undefined && /^(genuine|untagged)$/.test(this.#settings.tokens.read(token))
      return named ? [idOf(token)] : []
    })
    const state = { is: 'ambiguous', ids } as const
    return new OpenSession(this.#writer, exchange, { state, absence: 'duplicate', inCookie: true, touchDue: false })
  }

  #forged(exchange: Exchange, cookie: Cookie): OpenSession<Data> {
    this.#settings.onEvent?.({ type: 'token_forged', cookie: cookie.name }, exchange)
    return this.#absent(exchange, 'forged')
  }

  #index(what: string): SubjectIndex {
    if (this.#settings.index !== undefined) return this.#settings.index
    throw noIndex(what)
  }

  #hooks(keys: Keys | undefined): SessionHooks {
    const { store, clock, sessionCookie, touchInterval } = this.#settings
    const writer = this.#writer
    const opened = (exchange: Exchange) => this.opened(exchange) as OpenSession<Data> | undefined
    return {
      keys,
      record: (id) => (isSessionId(id) ? andThen(store.load(id), (record) => this.#live(record)) : undefined),
      current: (id, moved = 'rotation') =>
        andThen(isSessionId(id) ? store.load(id) : undefined, (record) => {
          if (record === undefined || readMarker(record) === undefined) return this.#live(record)
          return whereabouts(store, record.id, clock).then((there) =>
            moved === 'rotation or login' || there?.record.handle === record.handle
              ? this.#live(there?.record)
              : undefined,
          )
        }),
      adopt: (exchange, record) => {
        if (exchange.memory.has(this)) return
        const finding: Finding =
          record === undefined
            ? { state: { is: 'stateless' }, absence: 'stateless', inCookie: false, touchDue: false }
            : { state: { is: 'stored', record }, inCookie: false, touchDue: clock() - record.seenAt >= touchInterval }
        exchange.memory.set(this, new OpenSession(writer, exchange, finding))
      },
      adopted: (exchange) => opened(exchange)?.inCookie === false,
      begin: (exchange, start) => writer.begin(exchange, start),
      renew: (record, notes) => writer.renew(record, notes),
      note: (id, what, expiresAt) => writer.note(id, what, expiresAt),
      noted: (id) =>
        andThen(store.load(id), (record) =>
          record === undefined || record.expiresAt <= clock() ? undefined : parseData(record.data),
        ),
      assertMaySetCookie: (exchange) => sessionCookie.assertMaySet(exchange),
      endNow: async (exchange) => opened(exchange)?.endNow(),
    }
  }
}

/** A session has two records while it moves to another id, or after a crash during a move. Keeps the one last used. */
function onePerSession(records: readonly SessionRecord[]): SessionRecord[] {
  const sessions = new Map<string, SessionRecord>()
  for (const record of records) {
    const other = sessions.get(record.handle)
    if (other === undefined || other.seenAt < record.seenAt) sessions.set(record.handle, record)
  }
  return [...sessions.values()]
}

function summary(record: SessionRecord): SessionSummary {
  const { id, handle, subject, createdAt, seenAt, expiresAt } = record
  const { login, client } = readAbout(record.about)
  return { id, handle, subject: subject ?? undefined, createdAt, seenAt, expiresAt, login, client }
}
