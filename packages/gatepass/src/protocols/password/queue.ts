import { availableParallelism } from 'node:os'
import { StoreError, UsageError } from '../../error.ts'

/** How many hashes may be computed and may wait at the same time. */
export interface QueueOptions {
  /**
   * How many hashes are computed at once, each on its own thread. Default: the number of cores, but at most one less than the
   * threads of Node's pool (4, or `UV_THREADPOOL_SIZE`). If no other threads can be started, hashes run in that pool, and one
   * thread must stay free for files and DNS.
   */
  concurrency?: number
  /** How many hashes may wait. One more is refused with 503. Default 100. */
  length?: number
}

/** Runs a limited number of slow tasks at once, in the order in which they came. */
export class WorkQueue {
  readonly #concurrency: number
  readonly #length: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(options: QueueOptions = {}) {
    this.#concurrency = atLeast(1, 'concurrency', options.concurrency ?? spareThreads())
    this.#length = atLeast(0, 'length', options.length ?? 100)
  }

  /** @throws {StoreError} `ERR_PASSWORD_BUSY` (503) at once, if the queue is full */
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

  // The next task takes the slot directly. If the slot became free in between, a new task could take it first.
  #passOn(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#running--
    else next()
  }
}

/** The queue of all passwords without their own, because the whole process shares the cores. */
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
  return new StoreError('ERR_PASSWORD_BUSY', 'This server has more password hashes to compute than it can', {
    hint: 'Limit login attempts per client, add cores, or raise `queue.length` if callers may wait longer.',
    retryAfter: 1,
  })
}

function atLeast(least: number, name: string, value: number): number {
  if (Number.isInteger(value) && value >= least) return value
  throw new UsageError('ERR_PASSWORD_OPTIONS', `queue.${name} is not an integer of at least ${least}`)
}
