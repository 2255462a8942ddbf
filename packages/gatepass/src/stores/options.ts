import { clockOf, seconds, wholeNumber } from '../number-options.ts'
import type { Timestamp } from '../session/store.ts'

/** Of one operation, in seconds. A timer of Node ends at once if it is set to more than 24 days. */
const LONGEST_TIMEOUT = 60
/** Fits into an integer of every database. */
const MOST_SESSIONS = 2 ** 31 - 1

/** @returns seconds */
export function timeLimit(timeout: number = 2): number {
  return seconds(timeout, { code: 'ERR_STORE_OPTIONS', name: 'timeout', most: LONGEST_TIMEOUT })
}

/** @param most default as many as a JavaScript number can count */
export function sessionCount(value: number, most?: number): number {
  return wholeNumber(value, { code: 'ERR_STORE_OPTIONS', name: 'maxSessions', ...(most !== undefined && { most }) })
}

export function storeClock(clock: (() => Timestamp) | undefined): () => Timestamp {
  return clockOf(clock, 'ERR_STORE_OPTIONS')
}

/** The limit of `insertWithin` as every database takes it: at least 1. */
export function sessionLimit(limit: number): number {
  return limit >= 1 ? Math.min(Math.trunc(limit), MOST_SESSIONS) : 1
}
