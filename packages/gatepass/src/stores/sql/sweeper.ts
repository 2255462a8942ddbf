/** Average time between two rounds, in milliseconds. Each process waits 0.5 to 1.5 times as long. */
const INTERVAL = 60_000
/** Time between two slices of a round, in milliseconds, so that other writers get a turn. */
const PAUSE = 20

/** Calls `sweep` regularly, and soon again while it returns that there is more. It keeps no process alive. */
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
    // Ignores a failure, because no caller waits for a sweep. The next sweep tries again.
    const more = await this.#sweep().catch(() => false)
    if (more) this.#callIn(PAUSE)
    else this.start()
  }
}
