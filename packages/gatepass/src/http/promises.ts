import type { Awaitable } from '../awaitable.ts'
import { setImmediate } from '../timers.ts'
import type { Exchange } from './exchange.ts'

/** Answers a request with an error, or reports the error if the answer has begun. */
export interface Answerer {
  /** Whether the answer has begun. */
  readonly answered: boolean
  next(error: unknown): void
  report(error: unknown): void
}

/** An exchange that keeps track of the promises it gave the application. */
export interface PromisingExchange extends Exchange {
  /** Whether the answer has begun. */
  readonly answered: boolean
  /** Receives the errors of unawaited promises. Without it, promises are passed on unchanged. */
  answerer: Answerer | undefined
  /** The promises of this request; `undefined` before the first one. */
  promises: Promises | undefined
  promised<T>(work: Promise<T>): Promise<T>
  /** Does the same for work that changes nothing: the response does not wait for it. */
  reading<T>(work: Promise<T>): Promise<T>
}

/** The promises of an exchange. */
export function promisesOf(exchange: PromisingExchange): Promises | undefined {
  if (exchange.answerer !== undefined) exchange.promises ??= new Promises(exchange.answerer)
  return exchange.promises
}

/**
 * Keeps the promises that one request gave the application, in case it forgets an `await`. The response waits for work that
 * changes something, and fails if the work fails. A rejection without a listener becomes the answer or is reported; it does
 * not end the process.
 */
export class Promises {
  readonly #answerer: Answerer
  readonly #pending = new Set<Promise<void>>()
  readonly #rejected: Rejected[] = []
  /** Whether the answer waits for pending work. */
  #waited = false

  constructor(answerer: Answerer) {
    this.#answerer = answerer
  }

  /** Registers work that changes something. The response waits for it. */
  change<T>(work: Promise<T>): Promise<T> {
    const promise = this.#promised(work)
    const done = observe(
      promise,
      () => void this.#pending.delete(done),
      (error) => {
        this.#pending.delete(done)
        if (this.#answerer.answered && !this.#waited) tellUnheard(promise, () => this.#tell(error))
        else this.#rejected.push({ promise, error, waited: this.#waited })
      },
    )
    this.#pending.add(done)
    return promise
  }

  /** Registers work that only reads. The response does not wait for it: an answer that does not use it is still right. */
  reading<T>(work: Promise<T>): Promise<T> {
    const promise = this.#promised(work)
    observe(promise, nothing, nothing)
    return promise
  }

  /**
   * Waits for pending changes. Call it when the response begins.
   *
   * @throws the first error without a listener, or the first error that came while the response waited
   */
  settle(): Awaitable<void> {
    if (this.#pending.size === 0) return this.#settled()
    this.#waited = true
    return Promise.all(this.#pending).then(() => this.settle())
  }

  #settled(): void {
    this.#waited = false
    const failure = this.#rejected.find(({ promise, waited }) => waited || !promise.heard)
    this.#rejected.length = 0
    if (failure !== undefined) throw failure.error
  }

  /** Also tracks promises derived with `then`, `catch` or `finally`. Their unheard errors are reported at once. */
  #promised<T>(work: Promise<T>): Heard<T> {
    return new Heard<T>((resolve) => resolve(work)).follow((next) => withUnheard(next, (error) => this.#tell(error)))
  }

  #tell(error: unknown): void {
    if (this.#answerer.answered) this.#answerer.report(error)
    else this.#answerer.next(error)
  }
}

/** The same promise. If it rejects, or a promise derived from it, and no code listens to that one, `unheard` gets the error. */
export function withUnheard<T>(work: Promise<T>, unheard: (error: unknown) => void): Promise<T> {
  const promise = new Heard<T>((resolve) => resolve(work)).follow((next) => withUnheard(next, unheard))
  observe(promise, nothing, (error) => tellUnheard(promise, () => unheard(error)))
  return promise
}

function tellUnheard(promise: Heard<unknown>, tell: () => void): void {
  // As in Node, a listener may still be added before the next turn of the event loop.
  setImmediate(() => {
    if (!promise.heard) tell()
  })
}

interface Rejected {
  readonly promise: Heard<unknown>
  readonly error: unknown
  readonly waited: boolean
}

/** A promise that knows whether code has called its `then`. */
class Heard<T> extends Promise<T> {
  heard = false
  #follow: (<Next>(next: Promise<Next>) => Promise<Next>) | undefined = undefined

  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  /** Lets `follow` wrap the promises that are derived from this one. */
  follow(follow: <Next>(next: Promise<Next>) => Promise<Next>): this {
    this.#follow = follow
    return this
  }

  // biome-ignore lint/suspicious/noThenProperty: this overrides a promise's own `then`, to note that it was called
  override then<A = T, B = never>(
    fulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.heard = true
    const next = super.then(fulfilled, rejected)
    return this.#follow === undefined ? next : this.#follow(next)
  }
}

/** Adds a listener that does not count as a listener of the application. */
function observe<T>(promise: Promise<T>, done: () => void, failed: (error: unknown) => void): Promise<void> {
  return Promise.prototype.then.call(promise, done, failed) as Promise<void>
}

function nothing(): void {}
