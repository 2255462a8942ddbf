import { StoreError } from '../error.ts'
import { now } from '../timers.ts'

/**
 * Decides whether an engine is asked. A request without an answer in time opens the circuit, unless another request was answered
 * meanwhile. While it is open, requests fail at once, except one per `pause`, and every answer closes the circuit.
 */
export class Circuit {
  readonly #engine: string
  readonly #pause: number
  #answers = 0
  /** When the next request may be sent; undefined while the circuit is closed. */
  #next: number | undefined

  /** @param pause seconds */
  constructor(engine: string, pause: number) {
    this.#engine = engine
    this.#pause = pause * 1000
  }

  /**
   * Call it before each request.
   *
   * @returns the argument for {@link silent}
   * @throws {StoreError} `ERR_STORE_UNAVAILABLE` while the circuit is open
   */
  admit(): number {
    if (this.#next === undefined) return this.#answers
    const wait = this.#next - now()
    if (wait > 0) {
      throw new StoreError('ERR_STORE_UNAVAILABLE', `${this.#engine} does not answer`, {
        hint: 'A request got no answer. Until one is answered, other requests are refused at once.',
        retryAfter: Math.ceil(wait / 1000),
      })
    }
    this.#next = now() + this.#pause
    return this.#answers
  }

  /** The engine has answered, also with a refusal, or the connection has ended. Closes the circuit. */
  answered(): void {
    this.#answers++
    this.#next = undefined
  }

  /**
   * A request had no answer in time.
   *
   * @returns whether that has opened the circuit
   */
  silent(admitted: number): boolean {
    if (admitted !== this.#answers) return false
    const closed = this.#next === undefined
    this.#next = now() + this.#pause
    return closed
  }
}
