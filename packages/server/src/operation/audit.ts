import type { SessionEvent } from 'gatepass'
import type { Pseudonyms } from '../settings/secrets.ts'
import type { Log } from './log.ts'

/** From the OWASP Logging Vocabulary, with some of our own. */
export type AuditEvent =
  | 'authn_login_success'
  | 'authn_login_successafterfail'
  | 'authn_login_fail'
  | 'authn_login_fail_max'
  | 'authn_login_lock'
  | 'authz_fail'
  | 'user_created'
  | 'user_email_verified'
  | 'user_reclaimed'
  | 'link_added'
  | 'link_removed'
  | 'link_fail'
  | 'session_created'
  | 'session_renewed'
  | 'session_expired'
  | 'session_logout'
  | 'session_ended'
  | 'excess_rate_limit_exceeded'
  | 'excess_sessions_exceeded'
  | 'malicious_csrf'
  | 'malicious_direct_reference'
  | 'input_validation_fail'
  | 'session_touch_failed'
  | 'cookie_duplicate'
  | 'cookie_forged'

/** Where an event came from. A request is one. */
export interface AuditOrigin {
  readonly requestId: string
  readonly address: string | undefined
  readonly userAgent: string | undefined
}

export interface AuditDetails {
  readonly userId?: string | undefined
  /** The session's id; written only as a pseudonym. */
  readonly sessionId?: string | undefined
  /** What was typed as an address; written only as a pseudonym, since people type passwords there. */
  readonly identifier?: string | undefined
  readonly amr?: readonly string[]
  /** As the configuration calls it. */
  readonly provider?: string | undefined
  /** A word from the code, never from the request. */
  readonly reason?: string
  readonly count?: number
}

const failures = /_fail|_lock|^excess_|^malicious_|duplicate|forged/

/** Writes who did what, one line per event, joined by `requestId`, `userId` and `sidHash`. No line holds a secret. */
export class Audit {
  readonly #log: Log
  readonly #pseudonyms: Pseudonyms

  constructor(log: Log, pseudonyms: Pseudonyms) {
    this.#log = log
    this.#pseudonyms = pseudonyms
  }

  record(event: AuditEvent, origin: AuditOrigin | undefined, details: AuditDetails = {}): void {
    const failed = failures.test(event)
    const { sessionId, identifier, ...plain } = details
    this.#log[failed ? 'warn' : 'info']({
      event,
      result: failed ? 'failure' : 'success',
      ...plain,
      sidHash: this.#pseudonym(sessionId),
      identifierHash: this.#pseudonym(identifier),
      ip: origin?.address,
      uaHash: this.#pseudonym(origin?.userAgent),
      requestId: origin?.requestId,
    })
  }

  recordSession(event: SessionEvent, origin: AuditOrigin | undefined): void {
    // The library does not know for which request it ended other sessions. The routes record that.
    if (event.type === 'revoked') return
    const [name, reason] = sessionEvents[event.type]
    this.record(name, origin, {
      ...('id' in event && { sessionId: event.id }),
      ...('subject' in event && { userId: event.subject }),
      ...('count' in event && { count: event.count }),
      ...(reason !== undefined && { reason }),
    })
  }

  #pseudonym(value: string | undefined): string | undefined {
    return value === undefined ? undefined : this.#pseudonyms.of(value)
  }
}

const sessionEvents: Readonly<
  Record<Exclude<SessionEvent['type'], 'revoked'>, readonly [AuditEvent, reason?: string]>
> = {
  created: ['session_created'],
  rotated: ['session_renewed'],
  ended: ['session_logout'],
  evicted: ['excess_sessions_exceeded'],
  discarded: ['session_expired', 'ended_meanwhile'],
  touch_failed: ['session_touch_failed'],
  cookie_duplicate: ['cookie_duplicate', 'session_cookie'],
  token_forged: ['cookie_forged', 'session_cookie'],
}
