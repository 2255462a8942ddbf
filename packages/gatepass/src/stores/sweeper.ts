import type { Awaitable } from '../awaitable.ts'
import { now } from '../timers.ts'

export interface SweeperOptions {
  /**
   * Checks records that are due, at most `most`, and removes the expired ones.
   *
   * @returns how many it checked
   */
  sweep(most: number): Awaitable<number>
  /** How long a slice should take, in milliseconds. */
  slice: number
  /** How many records a slice checks at first, and at least: a distant engine needs long for any slice. */
  least: number
  /** Resolves when the next slice may begin. Default at once. */
  ready?(): Awaitable<unknown>
  /** Milliseconds. Default: since the process began. */
  clock?(): number
}

/** For an engine in another process: a slice takes several round trips, and delays only what its locks and its work delay there. */
export const NETWORK_SLICES: Pick<SweeperOptions, 'slice' | 'least'> = { slice: 5, least: 100 }

/** Average time between two rounds, in milliseconds. Each wait is 0.5 to 1.5 times as long. */
const INTERVAL = 60_000
/** How many records a slice checks at most. */
const MOST = 1000
/** The pause after a slice, in milliseconds: four times as long as the slice took, within these limits. */
const SHORTEST_PAUSE = 10
const LONGEST_PAUSE = 50

/**
 * Removes expired records in rounds, and in slices so short that other work hardly waits for them. A fast engine gets larger slices,
 * a busy one smaller and fewer.
 */
export class Sweeper {
  readonly #options: SweeperOptions
  readonly #clock: () => number
  #most: number
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(options: SweeperOptions) {
    this.#options = options
    this.#clock = options.clock ?? now
    this.#most = options.least
  }

  /** Begins a round about once a minute, at random times: processes that were started together do not sweep together. */
  start(): void {
    if (this.#stopped) return
    const next = () => this.start()
    // Ignores a failure, because no caller waits for this round. The next one tries again.
    const round = () => void this.#round('by itself').then(next, next)
    this.#timer = setTimeout(round, INTERVAL * (0.5 + Math.random())).unref()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  /** Sweeps until nothing is due, with the same slices and pauses as a round that begins by itself. */
  sweep(): Promise<void> {
    return this.#round('awaited')
  }

  /** @param kind a round that begins by itself keeps no process alive */
  async #round(kind: 'by itself' | 'awaited'): Promise<void> {
    const { sweep, slice, least, ready } = this.#options
    for (;;) {
      await ready?.()
      if (this.#stopped && kind === 'by itself') return
      const most = this.#most
      const start = this.#clock()
      const checked = await sweep(most)
      if (checked < most) return
      const took = this.#clock() - start
      // Half and twice at most: one slice may be slow or fast by chance.
      this.#most = Math.round(within(least, most * within(0.5, slice / took, 2), MOST))
      await pause(within(SHORTEST_PAUSE, 4 * took, LONGEST_PAUSE), kind)
    }
  }
}

function pause(milliseconds: number, kind: 'by itself' | 'awaited'): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds)
    if (kind === 'by itself') timer.unref()
  })
}

function within(least: number, value: number, most: number): number {
  return Math.min(Math.max(least, value), most)
}
