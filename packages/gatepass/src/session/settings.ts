import type { Cookie } from '../cookie/cookie.ts'
import type { Keys } from '../crypto/keyring.ts'
import { checkOptions, kindOf, type OptionKinds, UsageError } from '../error.ts'
import type { Exchange } from '../http/exchange.ts'
import { clockOf, seconds, TEN_YEARS, wholeNumber } from '../number-options.ts'
import { report } from '../report.ts'
import type { Timeouts } from './about.ts'
import type { OnSessionEvent, SessionEvent } from './event.ts'
import { GuardedIndex, GuardedStore } from './guarded-store.ts'

import { hasSubjectIndex, type SessionStore, type SubjectIndex, type Timestamp } from './store.ts'
import { SessionCookie, SessionTokens } from './token.ts'

/** When a session ends without a logout. Seconds, ten years at most. */
export interface SessionTimeouts {
  /** Ends a session that received no request for this long, in seconds. Must not be longer than `absoluteTimeout`. */
  idleTimeout?: number
  /** Ends a session this long after it began, even while it is used. Each login starts the time again. */
  absoluteTimeout?: number
}

export interface SessionOptions extends SessionTimeouts {
  store: SessionStore
  /**
   * The cookie that carries the token. Default over https: `__Host-Http-gp` (Secure, HttpOnly, SameSite=Lax, Path=/).
   * Default over http on the browser's own machine: `gp`. Over http elsewhere a session cannot begin. Your own cookie is
   * used unchanged.
   */
  cookie?: Cookie
  /**
   * With keys, every token carries a tag, so that a forged token is refused without a store call. The first key writes
   * tags, all keys read them: keep a retired key for the longest absolute timeout. Tokens without a tag are refused,
   * unless `keysSince` allows them.
   */
  keys?: Keys
  /**
   * The date when `keys` was first configured, if sessions existed before. Sessions that began earlier keep their untagged
   * tokens. The option has no effect once all of these have reached their absolute timeout.
   */
  keysSince?: Date
  /** Ends a session that received no request for this long, in seconds. Default 24 hours. */
  idleTimeout?: number
  /** Ends a session this long after it began or after its last login, even while it is used, in seconds. Default 7 days. */
  absoluteTimeout?: number
  /** Timeouts of a session whose login is remembered. Default 14 days idle, 30 days absolute. */
  remember?: SessionTimeouts
  /** Seconds between two writes of `seenAt`. Default 60, or a 20th of the shortest idle timeout if that is less. */
  touchInterval?: number
  /** How many sessions a subject may have. One more login ends the oldest. Default 20, if the store has a SubjectIndex. */
  perSubject?: number
  /** Maximum size of a session's data as JSON, in bytes. Default 1 MiB. */
  dataLimit?: number
  clock?: () => Timestamp
  /** Receives every session event. Events contain no secrets. An error that it throws only prints a warning. */
  onEvent?: (event: SessionEvent, exchange: Exchange | undefined) => void
}

const timeoutOptions: OptionKinds<SessionTimeouts> = { idleTimeout: 'number', absoluteTimeout: 'number' }

const sessionOptions: OptionKinds<SessionOptions> = {
  store: 'any',
  cookie: 'any',
  keys: 'any',
  keysSince: 'object',
  ...timeoutOptions,
  remember: 'object',
  touchInterval: 'number',
  perSubject: 'number',
  dataLimit: 'number',
  clock: 'function',
  onEvent: 'function',
}

/** The checked options, with all defaults filled in. Durations are in milliseconds. */
export interface Settings {
  readonly store: SessionStore
  readonly index: SubjectIndex | undefined
  readonly sessionCookie: SessionCookie
  readonly tokens: SessionTokens
  readonly keysSince: Timestamp
  readonly standard: Timeouts
  readonly remembered: Timeouts
  /** The smaller of both timeouts: inside these, `about` need not be parsed. */
  readonly shortest: Timeouts
  readonly touchInterval: number
  readonly perSubject: number
  readonly dataLimit: number
  readonly clock: () => Timestamp
  readonly onEvent: OnSessionEvent | undefined
}

const MINUTE = 60
const DAY = 24 * 60 * MINUTE

/** @throws {UsageError} `ERR_SESSION_OPTIONS`, `ERR_STORE_NO_INDEX`, `ERR_COOKIE_KEYS` */
export function sessionSettings(options: SessionOptions): Settings {
  checkOptions('sessions', options, sessionOptions, 'ERR_SESSION_OPTIONS')
  const { store, onEvent } = options
  checkOptions('remember of sessions', options.remember ?? {}, timeoutOptions, 'ERR_SESSION_OPTIONS')
  checkCookie(options.cookie)
  checkStore(store)
  if (options.perSubject !== undefined && !hasSubjectIndex(store)) throw noIndex('A limit of sessions per subject')
  const standard = timeouts(options, { idleTimeout: DAY, absoluteTimeout: 7 * DAY })
  const remembered = timeouts(options.remember ?? {}, { idleTimeout: 14 * DAY, absoluteTimeout: 30 * DAY })
  const shortest = {
    idle: Math.min(standard.idle, remembered.idle),
    absolute: Math.min(standard.absolute, remembered.absolute),
  }
  return {
    store: new GuardedStore(store),
    index: hasSubjectIndex(store) ? new GuardedIndex(store) : undefined,
    sessionCookie: new SessionCookie(options.cookie),
    tokens: new SessionTokens(options.keys),
    keysSince: keysSince(options),
    standard,
    remembered,
    shortest,
    touchInterval: touchInterval(options, shortest.idle),
    perSubject: count('perSubject', options.perSubject ?? 20),
    dataLimit: count('dataLimit', options.dataLimit ?? 1024 * 1024),
    clock: clockOf(options.clock, 'ERR_SESSION_OPTIONS'),
    onEvent: onEvent && ((event, exchange) => report('sessions', () => onEvent(event, exchange))),
  }
}

export function noIndex(what: string): UsageError {
  return new UsageError('ERR_STORE_NO_INDEX', `${what} needs a store that can find sessions by subject`, {
    hint: 'Use a store that implements SubjectIndex. All stores of gatepass do.',
  })
}

const STORE_METHODS = ['load', 'insert', 'replace', 'touch', 'remove'] as const

function checkStore(store: SessionStore): void {
  const missing = STORE_METHODS.filter((name) => typeof store?.[name] !== 'function')
  if (missing.length === 0) return
  throw new UsageError('ERR_SESSION_OPTIONS', `\`store\` is not a SessionStore: it has no ${missing.join('(), ')}()`, {
    hint: "For example `store: sqliteStore('app.db')` from gatepass/stores/sqlite.",
  })
}

function checkCookie(cookie: unknown): void {
  if (cookie === undefined) return
  const { name, encode, decode, purpose } = (cookie ?? {}) as Partial<Cookie>
  if (typeof name === 'string' && typeof encode === 'function' && typeof decode === 'function') {
    if (purpose === 'necessary') return
    throw new UsageError('ERR_SESSION_OPTIONS', `sessions: the purpose of \`cookie\` is ${purpose}, not necessary`, {
      hint: 'A session cannot wait for consent. Leave `purpose` out, and begin a session only for visitors who need one.',
    })
  }
  throw new UsageError(
    'ERR_SESSION_OPTIONS',
    `sessions: \`cookie\` is ${kindOf(cookie)}, not a cookie of gatepass/cookie`,
    {
      hint: "For example cookie: plainCookie('__Host-session', { encoding: 'none' }). Set the session's lifetime with idleTimeout and absoluteTimeout.",
    },
  )
}

/** A default idle timeout is shortened to the absolute timeout; a given one that is longer is an error. */
function timeouts(given: SessionTimeouts, defaults: Required<SessionTimeouts>): Timeouts {
  const absolute = duration('absoluteTimeout', given.absoluteTimeout ?? defaults.absoluteTimeout)
  const idle = duration('idleTimeout', given.idleTimeout ?? Math.min(defaults.idleTimeout, absolute))
  if (idle <= absolute) return { idle: inMilliseconds(idle), absolute: inMilliseconds(absolute) }
  throw new UsageError(
    'ERR_SESSION_OPTIONS',
    `\`idleTimeout\` (${idle} s) is longer than \`absoluteTimeout\` (${absolute} s), so it would have no effect`,
    { hint: 'Both are in seconds, not in milliseconds. If sessions should last that long, set both options.' },
  )
}

/** The touch interval must be shorter than the idle timeout, or a session that is in use would expire. */
function touchInterval(options: SessionOptions, idle: number): number {
  if (options.touchInterval === undefined) return Math.min(MINUTE * 1000, Math.round(idle / 20))
  const interval = inMilliseconds(duration('touchInterval', options.touchInterval, 0))
  if (interval < idle) return interval
  throw new UsageError('ERR_SESSION_OPTIONS', '`touchInterval` is not shorter than the idle timeout', {
    hint: 'Leave it out, or set it to at most a tenth of the idle timeout.',
  })
}

function keysSince(options: SessionOptions): Timestamp {
  const { keysSince: date } = options
  if (date === undefined) return Number.NEGATIVE_INFINITY
  const since = date instanceof Date ? date.getTime() : Number.NaN
  if (!Number.isNaN(since) && options.keys !== undefined) return since
  throw new UsageError('ERR_SESSION_OPTIONS', '`keysSince` is not a date, or there are no `keys`', {
    hint: "For example `keysSince: new Date('2026-11-23')`, the day on which `keys` was first configured.",
  })
}

function duration(name: string, value: number, least?: number): number {
  return seconds(value, { code: 'ERR_SESSION_OPTIONS', name, most: TEN_YEARS, ...(least !== undefined && { least }) })
}

function inMilliseconds(duration: number): number {
  return Math.round(duration * 1000)
}

function count(name: string, value: number): number {
  return wholeNumber(value, { code: 'ERR_SESSION_OPTIONS', name, most: Number.POSITIVE_INFINITY })
}
