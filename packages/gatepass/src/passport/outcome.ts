import type { ErrorCode } from '../error.ts'
import type { Reply } from '../http/exchange.ts'
import type { SessionRecord, Timestamp } from '../session/store.ts'

/** The strategy knows who it is. */
export interface Success<User> {
  readonly type: 'success'
  readonly user: User
  /** How it was proved, RFC 8176 values: `pwd`, `otp`, `hwk`, `mfa` … */
  readonly amr?: readonly string[]
  /** When it was proved, if that was not now: OpenID Connect's `auth_time`. */
  readonly at?: Timestamp
  /** The session at the provider, which a back-channel logout names (OpenID Connect's `sid`). */
  readonly sid?: string
  /** The session that the credentials name; it ends, and they are refused. */
  readonly session?: SessionRecord
  /** What the credentials are good for; none of it if left out. A login that is kept is good for everything. */
  readonly scope?: readonly string[]
  /** False for credentials sent with every request (Bearer, Basic). Default true. */
  readonly persist?: boolean
  /** Whatever else the strategy learnt; handed to the application unchanged. */
  readonly info?: unknown
}

/** The strategy was given credentials, or should have been, and refuses them. */
export interface Failure {
  readonly type: 'failure'
  /** `denied`: by a person, here or at a provider. `unavailable`: whoever should have said did not answer. */
  readonly reason: 'missing' | 'invalid' | 'expired' | 'locked' | 'denied' | 'unavailable'
  /** What exactly was wrong, for logs and for search; none where the reason says it all. */
  readonly code?: ErrorCode
  /** Safe to show to the person logging in. */
  readonly message?: string
  /** WWW-Authenticate challenge (RFC 9110 §11.6.1). */
  readonly challenge?: string
  /** Default 401. */
  readonly status?: number
  /** Seconds after which trying again makes sense; sent as Retry-After. */
  readonly retryAfter?: number
  /**
   * The way back of a login that is over, or was never begun here: it has proved nothing, and ended nothing. Whoever is logged
   * in anyway is sent on to where the login leads.
   */
  readonly over?: true
}

/** The browser has to go elsewhere to continue. */
export interface Redirect {
  readonly type: 'redirect'
  readonly location: string
  readonly status?: 302 | 303
}

/** The strategy answers the request itself. */
export interface Respond {
  readonly type: 'respond'
  readonly reply: Reply
}

/** This request does not concern the strategy; the next one is asked. */
export interface Pass {
  readonly type: 'pass'
}

/** Everything a strategy can conclude about one request. Not being able to conclude is a thrown error. */
export type Outcome<User> = Success<User> | Failure | Redirect | Respond | Pass

/** Whether what an application gave is a refusal of its own, and no user. */
export function isFailure(verdict: unknown): verdict is Failure {
  return (
    typeof verdict === 'object' &&
    verdict !== null &&
    'type' in verdict &&
    verdict.type === 'failure' &&
    'reason' in verdict
  )
}
