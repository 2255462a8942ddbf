/** Between two rounds, in ms; each process waits between half and one and a half times as long. */
const INTERVAL = 60_000
/** Between two slices of a round, in ms: writers get their turn. */
const PAUSE = 20

/** Calls `sweep` from time to time, and again soon as long as it says that there is more. Keeps no process alive. */
export class Sweeper {
  readonly #sweep: () => Promise<boolean>
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(sweep: () => Promise<boolean>) {
    this.#sweep = sweep
  }

  start(): void {
    // Processes that were started together do not sweep together.
    this.#callIn(INTERVAL * (0.5 + Math.random()))
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #callIn(milliseconds: number): void {
    if (this.#stopped) return
    this.#timer = setTimeout(() => void this.#call(), milliseconds).unref()
  }

  async #call(): Promise<void> {
    if (await this.#sweepQuietly()) this.#callIn(PAUSE)
    else this.start()
  }

  /** Nobody waits for a sweep, so nobody could be told that it failed: the next one tries again. */
  async #sweepQuietly(): Promise<boolean> {
    try {
      return await this.#sweep()
    } catch {
      return false
    }
  }
}
