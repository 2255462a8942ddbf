import type { Awaitable } from '../awaitable.ts'
import type { Keys } from '../crypto/keyring.ts'
import { UsageError } from '../error.ts'
import type { Exchange } from '../http/exchange.ts'
import type { LoginProof } from './about.ts'
import type { SessionId, SessionRecord, Timestamp } from './store.ts'

/** A new session that no cookie names, for example one named by a refresh token. */
export interface SessionStart {
  readonly id: SessionId
  readonly subject: string
  readonly login: LoginProof
  /** Kept in the record, each under the name of the part of Gatepass that it belongs to. */
  readonly notes: Readonly<Record<string, unknown>>
}

/** What other parts of Gatepass can do with sessions and applications cannot. */
export interface SessionHooks {
  /** The configured keys. Each use of them needs its own usage name. */
  readonly keys: Keys | undefined
  /** Loads the live record with this id, for callers that know it from something other than the cookie. */
  record(id: string): Awaitable<SessionRecord | undefined>
  /**
   * The live record of the session that was under this id, also if it has moved to another id a moment ago.
   *
   * @param moved `rotation`: `undefined` if a login of another subject, which changes the handle, moved it
   */
  current(id: string, moved?: 'rotation' | 'rotation or login'): Awaitable<SessionRecord | undefined>
  /**
   * Makes this record the session of an exchange that has not opened one yet, and ignores its session cookie. The session
   * sets no cookie. Without a record the session is empty and never stored.
   */
  adopt(exchange: Exchange, record: SessionRecord | undefined): void
  /** Whether the session of this exchange still comes from {@link adopt}; false after a login. */
  adopted(exchange: Exchange): boolean
  /** Stores a new session that no cookie names. Like a login, it may end the oldest session of its subject. */
  begin(exchange: Exchange, start: SessionStart): Awaitable<SessionRecord>
  /**
   * Replaces these notes of a session that began with {@link begin}, and updates its `seenAt`.
   *
   * @returns the stored record, or `undefined` if it was changed or ended in the meantime and nothing was written
   */
  renew(record: SessionRecord, notes: Readonly<Record<string, unknown>>): Awaitable<SessionRecord | undefined>
  /**
   * Stores a note that all processes can read, under an id that is not a session id. No cookie opens it and no list shows it.
   *
   * @returns false if a note already has this id; it stays unchanged
   */
  note(id: SessionId, what: object, expiresAt: Timestamp): Awaitable<boolean>
  /** Loads the note with this id. */
  noted(id: SessionId): Awaitable<Readonly<Record<string, unknown>> | undefined>
  /**
   * Refuses an exchange whose connection must not carry the session cookie.
   *
   * @throws {UsageError} `ERR_SESSION_INSECURE_ORIGIN`
   */
  assertMaySetCookie(exchange: Exchange): void
  /** Ends the session that `destroy()` was called on now, instead of at the commit of this exchange. */
  endNow(exchange: Exchange): Promise<void>
}

const known = new WeakMap<object, SessionHooks>()

/** Registers the hooks of a session manager. They are not members of it, so applications do not see them. */
export function giveHooks(sessions: object, hooks: SessionHooks): void {
  known.set(sessions, hooks)
}

/** @throws {UsageError} `ERR_SESSION_OPTIONS` if `sessions` is not a SessionManager of this copy of Gatepass */
export function hooksOf(sessions: object): SessionHooks {
  const hooks = known.get(sessions)
  if (hooks !== undefined) return hooks
  throw new UsageError('ERR_SESSION_OPTIONS', '`sessions` is not a SessionManager of this copy of gatepass', {
    hint: 'Install gatepass only once. `npm ls gatepass` lists the installed copies.',
  })
}
