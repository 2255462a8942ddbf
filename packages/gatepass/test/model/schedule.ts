/** What waits to go on until a history says so: a call to the store, its answer, a response on its way to the browser. */
interface Parked {
  readonly owner: object
  readonly go: () => void
}

/** Nothing that waits here goes on by itself; so every order of events can be tried, and be tried again. */
export class Schedule {
  #parked: Parked[] = []
  #running = 0
  readonly #settled: (running: () => number) => Promise<void>

  /** @param settled waits until what was let go has come to rest; `running` tells how many calls have no answer yet */
  constructor(settled: (running: () => number) => Promise<void>) {
    this.#settled = settled
  }

  get waiting(): number {
    return this.#parked.length
  }

  /** Does `step` when it is its turn. */
  turn<T>(owner: object, step: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const go = async () => {
        this.#running++
        try {
          resolve(await step())
        } catch (error) {
          reject(error)
        } finally {
          this.#running--
        }
      }
      this.#parked.push({ owner, go: () => void go() })
    })
  }

  async step(which: number): Promise<void> {
    const [chosen] = this.#parked.splice(which % this.#parked.length, 1)
    chosen?.go()
    await this.settle()
  }

  settle(): Promise<void> {
    return this.#settled(() => this.#running)
  }

  async runAll(): Promise<void> {
    await this.settle()
    while (this.waiting > 0) await this.step(0)
  }

  /** What waits for these will wait for ever. */
  abandon(abandoned: (owner: object) => boolean): void {
    this.#parked = this.#parked.filter(({ owner }) => !abandoned(owner))
  }
}

/** For stores within this process: when nothing moves any more without the schedule. */
export function promisesSettled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** For stores elsewhere: when every call that was let go has its answer. */
export async function answersArrived(running: () => number): Promise<void> {
  do await promisesSettled()
  while (running() > 0)
}
