import { StoreError } from '../error.ts'
import { clearTimeout, setImmediate, setTimeout } from '../timers.ts'

/** Ends the wait for an answer after some seconds. */
export class TimeLimit {
  readonly #timer: NodeJS.Timeout
  readonly #broken: Promise<never>
  /** Whether the time limit has passed. */
  passed = false

  /** @param tooLate makes the error that waiting then ends with */
  constructor(seconds: number, tooLate: () => Error) {
    const { promise, reject } = Promise.withResolvers<never>()
    promise.catch(() => {})
    this.#broken = promise
    const pass = () => {
      this.passed = true
      reject(tooLate())
    }
    // One more turn of the event loop: if the process was blocked, the answer may have arrived already.
    this.#timer = setTimeout(() => setImmediate(pass), seconds * 1000)
  }

  /** Settles like `work`, or rejects when the time limit has passed. */
  race<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#broken])
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}

export function tooLate(engine: string, seconds: number, hint: string): StoreError {
  return new StoreError('ERR_STORE_UNAVAILABLE', `${engine} did not answer within ${seconds} s`, { hint })
}

/** Time between two questions whether a connection still works on which a server announces changes, in milliseconds. */
export const HEARTBEAT = 200
/**
 * How long such a connection is trusted after an answered question, in milliseconds: announcements from before the answer have
 * arrived by then. It is below the promised half second, because a timer may be late.
 */
export const TRUSTED = 450
