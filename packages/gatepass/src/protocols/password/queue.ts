import { availableParallelism } from 'node:os'
import { StoreError, UsageError } from '../../error.ts'

/** How much hashing may be under way and wait at a time. */
export interface QueueOptions {
  /**
   * Hashes computed at once, each on a thread of its own. Default: the number of cores, but one less than Node's pool has
   * threads (4, or `UV_THREADPOOL_SIZE`): where no others can be started they are computed there, and files and names
   * must still be looked up meanwhile.
   */
  concurrency?: number
  /** Hashes that may wait for their turn; one more is refused with 503. Default 100. */
  length?: number
}

/** Runs a bounded number of slow tasks at once, in the order they came. */
export class WorkQueue {
  readonly #concurrency: number
  readonly #length: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(options: QueueOptions = {}) {
    this.#concurrency = atLeast(1, 'concurrency', options.concurrency ?? spareThreads())
    this.#length = atLeast(0, 'length', options.length ?? 100)
  }

  /** @throws {StoreError} `ERR_PASSWORD_BUSY` (503) at once, when as many tasks wait as may */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running < this.#concurrency) this.#running++
    else await this.#turn()
    try {
      return await task()
    } finally {
      this.#passOn()
    }
  }

  #turn(): Promise<void> {
    if (this.#waiting.length >= this.#length) throw busy()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  // The place goes to the next in line without becoming free in between, where a newcomer could take it.
  #passOn(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#running--
    else next()
  }
}

/** The queue of everything that has none of its own: cores are shared by the whole process. */
export function sharedQueue(): WorkQueue {
  shared ??= new WorkQueue()
  return shared
}
let shared: WorkQueue | undefined

function spareThreads(): number {
  const pool = Number(process.env.UV_THREADPOOL_SIZE) || 4
  return Math.max(1, Math.min(availableParallelism(), pool - 1))
}

function busy(): StoreError {
  return new StoreError('ERR_PASSWORD_BUSY', 'More password hashes are wanted than this server can compute', {
    hint: 'Limit login attempts per client, add cores, or raise `queue.length` if callers may wait longer.',
    retryAfter: 1,
  })
}

function atLeast(least: number, name: string, value: number): number {
  if (Number.isInteger(value) && value >= least) return value
  throw new UsageError('ERR_PASSWORD_OPTIONS', `queue.${name} is not an integer of at least ${least}`)
}
