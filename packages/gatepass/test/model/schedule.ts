/** A step that waits for its turn: a call to the store, its answer, or a response on its way to the browser. */
interface Parked {
  readonly owner: object
  readonly go: () => void
}

/** Steps that wait here go on only when the history says so. So every order of events can be tried, and repeated. */
export class Schedule {
  #parked: Parked[] = []
  #running = 0
  readonly #settled: (running: () => number) => Promise<void>

  /** @param settled waits until all started steps have come to rest; `running` returns how many calls have no answer yet */
  constructor(settled: (running: () => number) => Promise<void>) {
    this.#settled = settled
  }

  get waiting(): number {
    return this.#parked.length
  }

  /** Runs `step` when its turn comes. */
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

  /** Steps of these owners will never run. */
  abandon(abandoned: (owner: object) => boolean): void {
    this.#parked = this.#parked.filter(({ owner }) => !abandoned(owner))
  }
}

/** For stores within this process: waits until only the schedule can start something. */
export function promisesSettled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** For stores elsewhere: waits until every started call has its answer. */
export async function answersArrived(running: () => number): Promise<void> {
  do await promisesSettled()
  while (running() > 0)
}
