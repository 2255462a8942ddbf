import { type ErrorCode, kindOf, UsageError } from '../error.ts'
import type { Reply } from '../http/exchange.ts'
import type { SessionRecord, Timestamp } from '../session/store.ts'

/** The strategy knows who it is. */
export interface Success<User> {
  readonly type: 'success'
  readonly user: User
  /** How it was proved, RFC 8176 values: `pwd`, `otp`, `hwk`, `mfa` … */
  readonly amr?: readonly string[]
  /**
   * When it was proved; OpenID Connect's `auth_time`, in milliseconds. Left out: now for a login that is kept in the session,
   * and unknown for credentials that come with every request. An unknown time is too long ago for every `maxAge`.
   */
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
  /** `denied`: by a person, here or at a provider. `unavailable`: the service that decides did not answer. */
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
   * This callback belongs to no pending login: it was used, has expired, or is another browser's. An existing login is left
   * alone, and its user is sent on to where the login leads.
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

/** What a user must be: an object, and not a promise, which a forgotten `await` leaves. */
export type UserObject = object & { readonly then?: never }

/** What an application's callback found: a user, no user (`undefined`, `null`, `false`), or a failure. */
export type Found<User> = User | Failure | undefined | null | false

/**
 * Reads what an application's callback returned; `undefined` means that there is no such user.
 *
 * Any other value is an error of the callback: if `true` or a text were a user, everyone would be let in.
 *
 * @param callback what the application calls it, for the error
 * @throws {UsageError} `ERR_PASSPORT_USER`
 */
export function userFrom<User>(callback: string, returned: Found<User>): User | Failure | undefined {
  if (returned === undefined || returned === null || returned === false) return undefined
  const kind = kindOf(returned)
  if (kind !== 'an object') throw notAUser(callback, kind)
  if (isFailure(returned) && !reasons.includes(returned.reason))
    throw notAUser(callback, 'a failure without a known `reason`')
  return returned
}

/**
 * Refuses what is not a user where only a user can be.
 *
 * @throws {UsageError} `ERR_PASSPORT_USER`
 */
export function requireUser(giver: string, given: unknown): void {
  if (isFailure(given)) throw notAUser(giver, 'a failure')
  const kind = kindOf(given)
  if (kind !== 'an object') throw notAUser(giver, kind)
}

function notAUser(callback: string, kind: string): UsageError {
  return new UsageError('ERR_PASSPORT_USER', `${callback} gave ${kind}, which is not a user`, {
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

/** Whether what an application gave is a refusal of its own, and no user. */
export function isFailure(verdict: unknown): verdict is Failure {
  return typeof verdict === 'object' && verdict !== null && 'type' in verdict && verdict.type === 'failure'
}

/** How far another clock may be ahead of ours where two times are compared, in milliseconds. */
export const CLOCKS_APART = 30_000

/** How far ahead of our clock the time of a proof may be and still count as now, in milliseconds. */
export const AHEAD = {
  /** Written by another process of ours: stores allow their clocks an hour (docs/stores.md). */
  ours: 3_600_000,
  /** Said by a provider, a token or a strategy. */
  theirs: 300_000,
} as const

/**
 * How long ago something was proved, in milliseconds. Infinitely long where that is not known: `at` is missing, is not a
 * number, or is further in the future than clocks are apart, as milliseconds are where seconds are meant.
 */
export function ageOf(at: Timestamp | undefined, now: Timestamp, ahead: number = AHEAD.theirs): number {
  if (typeof at !== 'number' || !(at <= now + ahead)) return Number.POSITIVE_INFINITY
  return Math.max(0, now - at)
}
