import type { EngineCosts } from './costs.ts'
import type { Rates } from './population.ts'
import { Random } from './random.ts'
import { Timeline } from './timeline.ts'

/** One engine process, or one shard of many. Times in microseconds. */
export interface EngineOptions {
  readonly costs: EngineCosts
  /** Operations per second. */
  readonly rates: Rates
  /** Samples of how many lookups a command holds. */
  readonly batches: readonly number[]
  /** How many operations run at a time: 1 in Redis, one for each processor in PostgreSQL. */
  readonly workers: number
  readonly seed: number
}

/** From the arrival of a command to its answer, without the network. Microseconds. */
export interface Waiting {
  readonly p50: number
  readonly p99: number
}

const COMMANDS = 100_000

/** Processors that these operations keep busy, with so many lookups to a command. */
export function processorsFor(costs: EngineCosts, rates: Rates, batch: number): number {
  const reads = rates.load * (costs.lookup / batch + costs.key)
  const writes = rates.login * costs.login + rates.touch * costs.touch
  return (reads + writes + rates.change * costs.change + rates.logout * costs.logout) / 1e6
}

/** Lets commands arrive at random and be worked on in their order. */
export function simulateEngine({ costs, rates, batches, workers, seed }: EngineOptions): Waiting {
  const random = new Random(seed)
  const meanBatch = batches.reduce((sum, batch) => sum + batch, 0) / batches.length
  const writes = (['login', 'touch', 'change', 'logout'] as const).map((what) => [what, rates[what]] as const)
  const commands = rates.load / meanBatch + writes.reduce((sum, [, rate]) => sum + rate, 0)
  const work = (): number => {
    let draw = random.next() * commands
    for (const [what, rate] of writes) {
      draw -= rate
      if (draw < 0) return costs[what]
    }
    return costs.lookup + costs.key * (batches[random.below(batches.length)] ?? 1)
  }
  const free = new Timeline<void>()
  for (let worker = 0; worker < workers; worker++) free.add(0, undefined)
  const waits: number[] = []
  let now = 0
  for (let n = 0; n < COMMANDS; n++) {
    now += random.exponential(1e6 / commands)
    const done = Math.max(now, free.nextAt) + work()
    free.take()
    free.add(done, undefined)
    waits.push(done - now)
  }
  waits.sort((a, b) => a - b)
  return { p50: waits[COMMANDS / 2] ?? Number.NaN, p99: waits[0.99 * COMMANDS] ?? Number.NaN }
}
