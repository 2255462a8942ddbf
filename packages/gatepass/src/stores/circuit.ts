import { StoreError } from '../error.ts'

/**
 * Whether it is worth asking an engine. A question that had no answer within its time opens the circuit, unless another
 * one was answered meanwhile. While it is open, questions fail at once; one of them each `pause` is asked all the same,
 * and whatever comes back closes it.
 */
export class Circuit {
  readonly #engine: string
  readonly #pause: number
  #answers = 0
  /** When the next question may be asked; undefined while the circuit is closed. */
  #next: number | undefined

  /** @param pause milliseconds */
  constructor(engine: string, pause: number) {
    this.#engine = engine
    this.#pause = pause
  }

  /**
   * To be called before each question.
   *
   * @returns what {@link silent} has to be given
   * @throws {StoreError} `ERR_STORE_UNAVAILABLE` while the circuit is open
   */
  admit(): number {
    if (this.#next !== undefined) this.#admitOne(this.#next)
    return this.#answers
  }

  /** The engine has answered, if only to refuse, or the connection has ended: nothing waits for nothing. */
  answered(): void {
    this.#answers++
    this.#next = undefined
  }

  /**
   * A question had no answer within its time.
   *
   * @returns whether that has opened the circuit
   */
  silent(admitted: number): boolean {
    if (admitted !== this.#answers) return false
    const closed = this.#next === undefined
    this.#next = performance.now() + this.#pause
    return closed
  }

  #admitOne(next: number): void {
    const wait = next - performance.now()
    if (wait > 0) {
      throw new StoreError('ERR_STORE_UNAVAILABLE', `${this.#engine} does not answer`, {
        hint: 'It has left a request without an answer. Until it answers one, all others are refused at once.',
        retryAfter: Math.ceil(wait / 1000),
      })
    }
    this.#next = performance.now() + this.#pause
  }
}
