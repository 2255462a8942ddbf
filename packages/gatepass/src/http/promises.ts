import type { Awaitable } from '../awaitable.ts'
import type { Exchange } from './exchange.ts'

/** Answers a request with an error, or says elsewhere that there was one, when its answer has begun. */
export interface Answerer {
  /** Whether the answer was given. */
  readonly answered: boolean
  next(error: unknown): void
  report(error: unknown): void
}

/** An exchange whose promises its server looks after. */
export interface PromisingExchange extends Exchange {
  /** Who answers for what is promised within this request; without one, promises are handed out as they are. */
  answerer: Answerer | undefined
  /** What the application was promised; `undefined` until something was. */
  readonly promises: Promises | undefined
  promised<T>(work: Promise<T>): Promise<T>
  /** The same for what changes nothing. */
  reading<T>(work: Promise<T>): Promise<T>
}

/**
 * What an application was promised within one request, in case it forgets an `await`: the response waits for what changes
 * something, and tells its failure. A rejection that no code listens to is answered, or reported; it does not end the process.
 */
export class Promises {
  readonly #answerer: Answerer
  readonly #pending = new Set<Promise<void>>()
  readonly #rejected: Rejected[] = []
  /** Whether the answer waits for what is pending. */
  #waited = false

  constructor(answerer: Answerer) {
    this.#answerer = answerer
  }

  /** For what changes something: until it is done, the response must not say so. */
  change<T>(work: Promise<T>): Promise<T> {
    const promise = this.#promised(work)
    const done = observe(
      promise,
      () => void this.#pending.delete(done),
      (error) => {
        this.#pending.delete(done)
        if (this.#answerer.answered && !this.#waited) this.#tellUnheard(promise, error)
        else this.#rejected.push({ promise, error, waited: this.#waited })
      },
    )
    this.#pending.add(done)
    return promise
  }

  /** For what reads something: an answer that does not use it is not wrong. */
  reading<T>(work: Promise<T>): Promise<T> {
    const promise = this.#promised(work)
    observe(promise, nothing, nothing)
    return promise
  }

  /**
   * To be called when the response begins.
   *
   * @throws the first failure that no code listens to, or that came while the response waited
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

  /** What is made of it by `then`, `catch` or `finally` is heard as well, or told at once: no further code will answer. */
  #promised<T>(work: Promise<T>): Heard<T> {
    return new Heard<T>((resolve) => resolve(work)).follow((next) => {
      const promise = this.#promised(next)
      observe(promise, nothing, (error) => this.#tellUnheard(promise, error))
      return promise
    })
  }

  #tellUnheard(promise: Heard<unknown>, error: unknown): void {
    // A listener may be added until then, as Node allows it.
    setImmediate(() => {
      if (promise.heard) return
      if (this.#answerer.answered) this.#answerer.report(error)
      else this.#answerer.next(error)
    })
  }
}

interface Rejected {
  readonly promise: Heard<unknown>
  readonly error: unknown
  readonly waited: boolean
}

/** A promise that knows whether code listens to it. */
class Heard<T> extends Promise<T> {
  heard = false
  #follow: (<Next>(next: Promise<Next>) => Promise<Next>) | undefined = undefined

  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  /** Lets `follow` make the promises that come of this one. */
  follow(follow: <Next>(next: Promise<Next>) => Promise<Next>): this {
    this.#follow = follow
    return this
  }

  // biome-ignore lint/suspicious/noThenProperty: it is the one of a promise, and says that it was called
  override then<A = T, B = never>(
    fulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.heard = true
    const next = super.then(fulfilled, rejected)
    return this.#follow === undefined ? next : this.#follow(next)
  }
}

/** Listens without being counted as a listener. */
function observe<T>(promise: Promise<T>, done: () => void, failed: (error: unknown) => void): Promise<void> {
  return Promise.prototype.then.call(promise, done, failed) as Promise<void>
}

function nothing(): void {}
