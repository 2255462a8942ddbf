import type { Rates } from './population.ts'
import { Random } from './random.ts'

export interface LossOptions {
  /** Operations per second in the region that is lost. */
  readonly rates: Rates
  /** Average delay of its replica in another region. Seconds. */
  readonly lag: number
  readonly seed: number
}

/** What a loss takes: the median and the 99th percentile of many losses. */
export interface Loss {
  readonly logins: readonly [number, number]
  readonly changes: readonly [number, number]
  readonly logouts: readonly [number, number]
}

const LOSSES = 10_000

/** Draws a lag for each of many losses, and counts what was written within it. */
export function simulateLoss({ rates, lag, seed }: LossOptions): Loss {
  const random = new Random(seed)
  const lags = Array.from({ length: LOSSES }, () => random.exponential(lag))
  const unheard = (rate: number): readonly [number, number] => {
    const counts = lags.map((seconds) => arrivals(random, rate, seconds)).sort((a, b) => a - b)
    return [counts[LOSSES / 2] ?? Number.NaN, counts[0.99 * LOSSES] ?? Number.NaN]
  }
  return { logins: unheard(rates.login), changes: unheard(rates.change), logouts: unheard(rates.logout) }
}

/** A random number of events at a rate within some seconds. A large number is the expected one. */
function arrivals(random: Random, rate: number, seconds: number): number {
  const expected = rate * seconds
  if (expected > 1000) return Math.round(expected)
  let count = 0
  for (let at = random.exponential(1); at < expected; at += random.exponential(1)) count++
  return count
}
