import { StoreError } from '../../error.ts'
import { Circuit } from '../circuit.ts'
import { gaveUpWaiting } from '../failure.ts'
import type { Migration } from './migration.ts'

/** A connection lent for one piece of work, which ends by one of the two. */
export interface Lease<Connection> {
  readonly connection: Connection
  /** It is in order, and the next one may have it. */
  release(): void
  /** Nobody knows what is on it, at least until `working` has ended: it must not be used again before. */
  discard(error: Error, working: Promise<unknown>): void
}

/** Seconds that a server has for an answer for which it needs neither table nor lock. */
const PLAIN_ANSWER = 0.25

export type Work<Connection, T> = (connection: Connection) => Promise<T>

export interface ConnectionsOptions<Connection> {
  /** What errors call the server: kind and address. */
  engine: string
  lend(): Promise<Lease<Connection>>
  /** Whether the server itself has refused a statement, so that the connection is in order all the same. */
  isRefusal(error: unknown): boolean
  /** Seconds for one piece of work, waiting for tables and for a connection included. */
  timeout: number
  /** The tables, which are made before the first piece of work. */
  migration: Migration
  /** Asks the least that a server can answer. */
  ask(connection: Connection): Promise<unknown>
}

/**
 * Lends a connection to each piece of work, and takes it away when the time is up. As long as the server is silent, work is
 * refused at once.
 */
export class Connections<Connection> {
  readonly #options: ConnectionsOptions<Connection>
  readonly #circuit: Circuit
  /** While it is found out whether the server is silent. */
  #doubt: Promise<void> | undefined

  constructor(options: ConnectionsOptions<Connection>) {
    this.#options = options
    this.#circuit = new Circuit(options.engine, options.timeout * 1000)
  }

  /**
   * Does `work` with a connection of its own.
   *
   * @throws {StoreError} `ERR_STORE_UNAVAILABLE` when the time is up; the work may then have been done or not
   */
  async use<T>(work: Work<Connection, T>): Promise<T> {
    const { engine, timeout, migration } = this.#options
    if (this.#doubt !== undefined) await this.#doubt
    const admitted = this.#circuit.admit()
    const limit = new TimeLimit(timeout, engine)
    try {
      if (!migration.done) await limit.race(migration.run())
      const result = await this.#finish(await this.#lend(limit), work, limit)
      this.#circuit.answered()
      return result
    } catch (error) {
      if (limit.passed || (!this.#options.isRefusal(error) && gaveUpWaiting(error))) this.#unanswered(admitted)
      else this.#circuit.answered()
      throw error
    } finally {
      limit.end()
    }
  }

  /** The same with a time of its own, and before there are tables; it says nothing of whether the server is silent. */
  async useFor<T>(seconds: number, work: Work<Connection, T>): Promise<T> {
    const limit = new TimeLimit(seconds, this.#options.engine)
    try {
      return await this.#finish(await this.#lend(limit), work, limit)
    } finally {
      limit.end()
    }
  }

  /** Work that waits for a lock has no answer either: a server that answers a plain question is not silent. */
  #unanswered(admitted: number): void {
    if (!this.#circuit.silent(admitted)) return
    const asked = this.useFor(PLAIN_ANSWER, this.#options.ask).then(
      () => this.#circuit.answered(),
      () => {},
    )
    this.#doubt = asked.then(() => {
      this.#doubt = undefined
    })
  }

  async #lend(limit: TimeLimit): Promise<Lease<Connection>> {
    const lending = this.#options.lend()
    try {
      return await limit.race(lending)
    } catch (error) {
      // One that comes too late goes straight back.
      lending.then(
        (lease) => lease.release(),
        () => {},
      )
      throw error
    }
  }

  async #finish<T>(lease: Lease<Connection>, work: Work<Connection, T>, limit: TimeLimit): Promise<T> {
    const working = work(lease.connection)
    try {
      const result = await limit.race(working)
      lease.release()
      return result
    } catch (error) {
      if (this.#options.isRefusal(error)) lease.release()
      else {
        lease.discard(error instanceof Error ? error : new Error(String(error)), working)
        // Too late for this one, and a sign of life for the next.
        working.then(
          () => this.#circuit.answered(),
          () => {},
        )
      }
      throw error
    }
  }
}

/** Waits for `work` so many seconds at most. */
export async function within<T>(seconds: number, engine: string, work: Promise<T>): Promise<T> {
  const limit = new TimeLimit(seconds, engine)
  try {
    return await limit.race(work)
  } finally {
    limit.end()
  }
}

/** A promise that is broken when the time is up. */
class TimeLimit {
  readonly #timer: NodeJS.Timeout
  readonly #broken: Promise<never>
  /** Whether the time was up before the end. */
  passed = false

  constructor(seconds: number, engine: string) {
    const { promise, reject } = Promise.withResolvers<never>()
    promise.catch(() => {})
    this.#broken = promise
    const pass = () => {
      this.passed = true
      reject(tooLate(seconds, engine))
    }
    // One more look at what has arrived: after the process itself stood still, the answer may be there already.
    this.#timer = setTimeout(() => setImmediate(pass), seconds * 1000)
  }

  race<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#broken])
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}

function tooLate(seconds: number, engine: string): StoreError {
  return new StoreError('ERR_STORE_UNAVAILABLE', `${engine} did not answer within ${seconds} s`, {
    hint: 'Look for a server that hangs, a lock that is held, or a pool whose connections are all in use.',
  })
}

/**
 * Lends one connection to one piece of work at a time, in the order of asking.
 *
 * When a piece of work ran out of time, nobody gets the connection until it has answered after all: what was sent behind
 * the unanswered statement would be carried out at some later time, long after it was reported as failed.
 */
export class SingleConnection<Connection> {
  readonly #connection: Connection
  #last: Promise<void> = Promise.resolve()

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async lend(): Promise<Lease<Connection>> {
    const before = this.#last
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#last = promise
    await before
    return {
      connection: this.#connection,
      release: resolve,
      discard: (_error, working) =>
        void working.then(
          () => resolve(),
          () => resolve(),
        ),
    }
  }
}
