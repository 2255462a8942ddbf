import type { Awaitable } from '../awaitable.ts'
import type { Cookie } from '../cookie/cookie.ts'
import type { Keys } from '../crypto/keyring.ts'
import { UsageError } from '../error.ts'
import type { Exchange } from '../http/exchange.ts'
import type { LoginProof } from './about.ts'
import type { SessionId, SessionRecord, Timestamp } from './store.ts'

/** A session that something other than a cookie will name. */
export interface SessionStart {
  readonly id: SessionId
  readonly subject: string
  readonly login: LoginProof
  /** Kept with the record, under the name of the part that they belong to. */
  readonly notes: Readonly<Record<string, unknown>>
}

/** What other parts of Gatepass do with sessions, and applications do not. */
export interface SessionHooks {
  /** The keys that were configured. What is made with them needs a usage of its own. */
  readonly keys: Keys | undefined
  /** The live record with this id, where something other than the cookie names it. */
  record(id: string): Awaitable<SessionRecord | undefined>
  /**
   * Makes this the session of an exchange whose session is not opened yet, whatever its cookie says; it will set no cookie.
   * Without a record the session is empty, and what is put into it is for this exchange alone.
   */
  adopt(exchange: Exchange, record: SessionRecord | undefined): void
  /** Whether something other than the cookie has named this exchange's session, or that there is none. */
  adopted(exchange: Exchange): boolean
  /** Begins a session that something other than a cookie names. Like a login it may end the oldest session of its subject. */
  begin(exchange: Exchange, start: SessionStart): Awaitable<SessionRecord>
  /**
   * Replaces these notes of a session that began with {@link begin}, and writes down that it was seen.
   *
   * @returns the record as stored; `undefined` if it was changed or ended since: then nothing was written
   */
  renew(record: SessionRecord, notes: Readonly<Record<string, unknown>>): Awaitable<SessionRecord | undefined>
  /**
   * Notes something for all processes, under an id that is not a session's: no cookie opens it, and no list shows it.
   *
   * @returns false if it is noted already; nothing is changed then
   */
  note(id: SessionId, what: object, expiresAt: Timestamp): Awaitable<boolean>
  /** What was noted under this id. */
  noted(id: SessionId): Awaitable<Readonly<Record<string, unknown>> | undefined>
  /**
   * The cookie that carries the token, for an exchange that is going to set it.
   *
   * @throws {UsageError} `ERR_SESSION_INSECURE_ORIGIN`
   */
  cookieToSet(exchange: Exchange): Cookie
  /** Ends at once what `destroy()` has left to the commit of this exchange. */
  endNow(exchange: Exchange): Promise<void>
}

const known = new WeakMap<object, SessionHooks>()

/** Each session manager gives its hooks here, and not as a member: no application meets them. */
export function giveHooks(sessions: object, hooks: SessionHooks): void {
  known.set(sessions, hooks)
}

/** @throws {UsageError} `ERR_SESSION_OPTIONS` for what is not a session manager of this copy of Gatepass */
export function hooksOf(sessions: object): SessionHooks {
  const hooks = known.get(sessions)
  if (hooks !== undefined) return hooks
  throw new UsageError('ERR_SESSION_OPTIONS', '`sessions` is not a SessionManager of this copy of gatepass', {
    hint: 'Install gatepass once: `npm ls gatepass` shows the copies that there are.',
  })
}
