import { UsageError } from '../error.ts'
import { clockOf, seconds, wholeNumber } from '../number-options.ts'
import type { Timestamp } from '../session/store.ts'

/** Longest timeout of one operation, in seconds. A Node timer of more than 24 days would end at once. */
const LONGEST_TIMEOUT = 60
/** The largest number that fits into an integer of every database. */
const MOST_SESSIONS = 2 ** 31 - 1

/** @returns seconds */
export function timeLimit(timeout: number = 2): number {
  return seconds(timeout, { code: 'ERR_STORE_OPTIONS', name: 'timeout', most: LONGEST_TIMEOUT })
}

/** @param most default: no limit */
export function sessionCount(value: number, most?: number): number {
  return wholeNumber(value, { code: 'ERR_STORE_OPTIONS', name: 'maxSessions', ...(most !== undefined && { most }) })
}

export function storeClock(clock: (() => Timestamp) | undefined): () => Timestamp {
  return clockOf(clock, 'ERR_STORE_OPTIONS')
}

/** The limit of `insertWithin` in a form that every database accepts: at least 1. */
export function sessionLimit(limit: number): number {
  return limit >= 1 ? Math.min(Math.trunc(limit), MOST_SESSIONS) : 1
}

/**
 * Checks a name that is put into SQL without escaping: one plain word, short enough for the suffixes that are added.
 *
 * @param limits `reserved`: the beginning of names that the engine keeps for itself
 */
export function sqlName(name: string, option: string, limits: { most?: number; reserved?: string } = {}): string {
  const { most = 48, reserved } = limits
  const free = reserved === undefined || !name.toLowerCase().startsWith(reserved)
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && name.length <= most && free) return name
  const others = reserved === undefined ? '' : `, and not ${reserved} at the start`
  throw new UsageError('ERR_STORE_OPTIONS', `\`${option}\` is not a plain SQL name`, {
    hint: `Use letters, digits and underscores, at most ${most}, and no digit at the start${others}.`,
  })
}
