import type { Rates } from './population.ts'
import { Random } from './random.ts'

export interface LossOptions {
  /** Operations per second in the region that is lost. */
  readonly rates: Rates
  /** Seconds that its replica in another region is behind, on average. */
  readonly lag: number
  readonly seed: number
}

/** What the replica had not heard of, per loss: the median and the 99th percentile of many. */
export interface Loss {
  readonly logins: readonly [number, number]
  readonly changes: readonly [number, number]
  readonly logouts: readonly [number, number]
}

const LOSSES = 10_000

/** A lag is drawn for each of many losses, and what was written within it counted. */
export function simulateLoss({ rates, lag, seed }: LossOptions): Loss {
  const random = new Random(seed)
  const lags = Array.from({ length: LOSSES }, () => random.exponential(lag))
  const unheard = (rate: number): readonly [number, number] => {
    const counts = lags.map((seconds) => arrivals(random, rate, seconds)).sort((a, b) => a - b)
    return [counts[LOSSES / 2] ?? Number.NaN, counts[0.99 * LOSSES] ?? Number.NaN]
  }
  return { logins: unheard(rates.login), changes: unheard(rates.change), logouts: unheard(rates.logout) }
}

/** Events of a rate within so many seconds; many of them are counted as one would expect. */
function arrivals(random: Random, rate: number, seconds: number): number {
  const expected = rate * seconds
  if (expected > 1000) return Math.round(expected)
  let count = 0
  for (let at = random.exponential(1); at < expected; at += random.exponential(1)) count++
  return count
}
