import { type ErrorCode, UsageError } from './error.ts'

/** Which numbers an option takes. */
export interface NumberRule {
  readonly code: ErrorCode
  /** As the developer wrote it. */
  readonly name: string
  /** Default 1. */
  readonly least?: number
  /** Default the largest whole number that is exact. */
  readonly most?: number
}

/** Seconds. What ends later was most likely meant in milliseconds. */
export const TEN_YEARS: number = 3653 * 24 * 60 * 60

/** The least time that is told from none: one millisecond, in seconds. */
export const MILLISECOND = 0.001

/** @throws {UsageError} unless it is a whole number of this range, or Infinity where the rule ends with that */
export function wholeNumber(value: unknown, rule: NumberRule): number {
  const { least = 1, most = Number.MAX_SAFE_INTEGER } = rule
  const whole = Number.isSafeInteger(value) || (value === Number.POSITIVE_INFINITY && most === value)
  if (whole && (value as number) >= least && (value as number) <= most) return value as number
  const end =
    most === Number.MAX_SAFE_INTEGER || most === Number.POSITIVE_INFINITY ? `at least ${least}` : `${least} to ${most}`
  throw refused(rule, `must be a whole number, ${end}`, value)
}

/** @throws {UsageError} unless it is a number of seconds of this range; fractions are taken, in whole milliseconds */
export function seconds(value: unknown, rule: NumberRule & { readonly most: number }): number {
  const { least = MILLISECOND, most } = rule
  if (typeof value === 'number' && value >= least && value <= most) return Math.round(value * 1000) / 1000
  const hint = 'Times among the options are in seconds, not in milliseconds.'
  throw refused(rule, `must be a number of seconds, ${least} to ${most}`, value, hint)
}

/**
 * A clock that shows whole milliseconds: not every database takes a fraction as a time.
 *
 * @throws {UsageError} if it shows no time
 */
export function clockOf(clock: (() => number) | undefined, code: ErrorCode): () => number {
  if (clock === undefined) return Date.now
  if (typeof clock === 'function' && Number.isFinite(clock())) return () => Math.round(clock())
  throw refused({ code, name: 'clock' }, 'must be a function that returns the time in milliseconds', clock)
}

/** Numbers are shown, since one in milliseconds where seconds are meant is seen by that; texts may be secrets. */
function refused({ code, name }: NumberRule, what: string, value: unknown, hint?: string): UsageError {
  const given = typeof value === 'number' ? `it is ${value}` : `it is of type ${value === null ? 'null' : typeof value}`
  return new UsageError(code, `\`${name}\` ${what}; ${given}`, hint === undefined ? {} : { hint })
}
