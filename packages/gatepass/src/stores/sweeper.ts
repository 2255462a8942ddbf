import { type Awaitable, andThen, orElse } from '../awaitable.ts'

export interface SweeperOptions {
  /** Returns whether there is more to sweep. */
  sweep(): Awaitable<boolean>
  /** Time between two slices of a round, in milliseconds, so that requests and other writers get a turn. */
  pause: number
  /** Whether rounds begin at random times, so that processes that were started together do not sweep together. */
  spread: boolean
}

/** Average time between two rounds, in milliseconds. With `spread` each wait is 0.5 to 1.5 times as long. */
const INTERVAL = 60_000

/** Calls `sweep` regularly, and soon again while there is more. It keeps no process alive. */
export class Sweeper {
  readonly #options: SweeperOptions
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(options: SweeperOptions) {
    this.#options = options
  }

  start(): void {
    this.#callIn(this.#options.spread ? INTERVAL * (0.5 + Math.random()) : INTERVAL)
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #callIn(milliseconds: number): void {
    if (this.#stopped) return
    this.#timer = setTimeout(() => this.#call(), milliseconds).unref()
  }

  #call(): void {
    // Ignores a failure, because no caller waits for a sweep. The next sweep tries again.
    const swept = orElse(
      () => this.#options.sweep(),
      () => false,
    )
    void andThen(swept, (more) => (more ? this.#callIn(this.#options.pause) : this.start()))
  }
}
