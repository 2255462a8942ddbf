import { type ErrorCode, kindOf, UsageError } from '../error.ts'
import type { Reply } from '../http/exchange.ts'
import type { SessionRecord, Timestamp } from '../session/store.ts'

/** The strategy knows the user. */
export interface Success<User> {
  readonly type: 'success'
  readonly user: User
  /** How the login was proved: RFC 8176 values such as `pwd`, `otp`, `hwk`, `mfa`. */
  readonly amr?: readonly string[]
  /**
   * When the login was proved: OpenID Connect's `auth_time`, in milliseconds. Default: now for a login that is kept in the
   * session, and unknown for credentials that come with every request. An unknown time is too long ago for every `maxAge`.
   */
  readonly at?: Timestamp
  /** The id of the session at the provider, which a back-channel logout names (OpenID Connect's `sid`). */
  readonly sid?: string
  /** The session that the credentials name. When it ends, they are refused. */
  readonly session?: SessionRecord
  /** What the credentials allow; nothing if left out. A login that is kept allows everything. */
  readonly scope?: readonly string[]
  /** False for credentials sent with every request (Bearer, Basic). Default true. */
  readonly persist?: boolean
  /** What else the strategy found out. The application receives it unchanged. */
  readonly info?: unknown
}

/** The strategy refuses the credentials, or the request lacks them. */
export interface Failure {
  readonly type: 'failure'
  /** `denied`: a person refused, here or at a provider. `unavailable`: the service that decides did not answer. */
  readonly reason: 'missing' | 'invalid' | 'expired' | 'locked' | 'denied' | 'unavailable'
  /** What exactly was wrong, for logs and for search. Left out if `reason` says everything. */
  readonly code?: ErrorCode
  /** Safe to show to the person logging in. */
  readonly message?: string
  /** WWW-Authenticate challenge (RFC 9110 §11.6.1). */
  readonly challenge?: string
  /** Default 401. */
  readonly status?: number
  /** Seconds until another try makes sense, sent as Retry-After. */
  readonly retryAfter?: number
  /**
   * This callback belongs to no pending login: it was used, has expired, or is another browser's. An existing login is left
   * alone, and its user is redirected as after a login.
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

/** Everything that a strategy can conclude about one request. If it cannot conclude, it throws an error. */
export type Outcome<User> = Success<User> | Failure | Redirect | Respond | Pass

/** A user is an object, and not a promise, which a forgotten `await` would leave. */
export type UserObject = object & { readonly then?: never }

/** What a callback of the application found: a user, no user (`undefined`, `null`, `false`), or a failure. */
export type Found<User> = User | Failure | undefined | null | false

/**
 * Reads what a callback of the application returned; `undefined` means that there is no such user.
 *
 * Any other value is an error of the callback: if `true` or a text were a user, everyone would be let in.
 *
 * @param callback the callback's name in the options, for the error
 * @throws {UsageError} `ERR_PASSPORT_USER`
 */
export function userFrom<User>(callback: string, returned: Found<User>): User | Failure | undefined {
  if (returned === undefined || returned === null || returned === false) return undefined
  if (!isFailure(returned)) requireUser(callback, returned)
  else if (!reasons.includes(returned.reason)) throw notAUser(callback, 'a failure without a known `reason`')
  return returned
}

/** @throws {UsageError} `ERR_PASSPORT_USER` unless `given` is an object that is not a list, an error, a promise or a failure */
export function requireUser(giver: string, given: unknown): void {
  const { then, type } = Object(given) as { then?: unknown; type?: unknown }
  const isObject = typeof given === 'object' && given !== null && !Array.isArray(given) && !(given instanceof Error)
  if (isObject && typeof then !== 'function' && type !== 'failure') return
  throw notAUser(giver, isObject && type === 'failure' ? 'a failure' : kindOf(given))
}

function notAUser(giver: string, what: string): UsageError {
  return new UsageError('ERR_PASSPORT_USER', `${giver} gave ${what}, which is not a user`, {
    hint: "Give the user as an object, `undefined` if there is none, or a failure: { type: 'failure', reason: 'locked' }.",
  })
}

const reasons: readonly unknown[] = [
  'missing',
  'invalid',
  'expired',
  'locked',
  'denied',
  'unavailable',
] satisfies Failure['reason'][]

/** Whether the application gave a failure, and not a user. */
export function isFailure(verdict: unknown): verdict is Failure {
  return typeof verdict === 'object' && verdict !== null && 'type' in verdict && verdict.type === 'failure'
}

/** How far the clocks of our own processes may be apart, in milliseconds: stores allow an hour (docs/stores.md). */
export const OUR_CLOCKS_APART = 3_600_000

/** How far a provider's clock may be behind ours when it says that a login has ended, in milliseconds. */
export const PROVIDER_BEHIND = 30_000

/** A proof from the future counts as new if it is at most this far ahead of our clock. Milliseconds. */
export const AHEAD: { readonly ours: number; readonly theirs: number } = {
  /** For a time that another process of ours wrote. */
  ours: OUR_CLOCKS_APART,
  /** For a time that a provider, a token or a strategy states. */
  theirs: 300_000,
}

/**
 * How long ago something was proved, in milliseconds. It is infinite if that is unknown: `at` is missing, is not a number, or
 * is too far in the future (for example milliseconds that were read as seconds).
 */
export function ageOf(at: Timestamp | undefined, now: Timestamp, ahead: number = AHEAD.theirs): number {
  if (typeof at !== 'number' || !(at <= now + ahead)) return Number.POSITIVE_INFINITY
  return Math.max(0, now - at)
}
