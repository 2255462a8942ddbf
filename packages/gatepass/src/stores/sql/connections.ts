import { StoreError } from '../../error.ts'

/** A connection lent for one piece of work, which ends by one of the two. */
export interface Lease<Connection> {
  readonly connection: Connection
  /** It is in order, and the next one may have it. */
  release(): void
  /** Nobody knows what is on it, at least until `working` has ended: it must not be used again before. */
  discard(error: Error, working: Promise<unknown>): void
}

export type Work<Connection, T> = (connection: Connection) => Promise<T>

export interface ConnectionsOptions<Connection> {
  lend(): Promise<Lease<Connection>>
  /** Whether the server itself has refused a statement, so that the connection is in order all the same. */
  isRefusal(error: unknown): boolean
  /** Seconds for one piece of work, waiting for a connection included. */
  timeout: number
}

/** Lends a connection to each piece of work, and takes it away when the time is up. */
export class Connections<Connection> {
  readonly #options: ConnectionsOptions<Connection>

  constructor(options: ConnectionsOptions<Connection>) {
    this.#options = options
  }

  /**
   * Does `work` with a connection of its own.
   *
   * @throws {StoreError} `ERR_STORE_UNAVAILABLE` when the time is up; the work may then have been done or not
   */
  async use<T>(work: Work<Connection, T>, timeout: number = this.#options.timeout): Promise<T> {
    const limit = new TimeLimit(timeout)
    try {
      return await this.#finish(await this.#lend(limit), work, limit)
    } finally {
      limit.end()
    }
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
      else lease.discard(error instanceof Error ? error : new Error(String(error)), working)
      throw error
    }
  }
}

/** Waits for `work` so many seconds at most. */
export async function within<T>(seconds: number, work: Promise<T>): Promise<T> {
  const limit = new TimeLimit(seconds)
  try {
    return await limit.race(work)
  } finally {
    limit.end()
  }
}

/** A promise that is broken when the time is up. */
class TimeLimit {
  readonly #timer: NodeJS.Timeout
  readonly #passed: Promise<never>

  constructor(seconds: number) {
    const { promise, reject } = Promise.withResolvers<never>()
    promise.catch(() => {})
    this.#passed = promise
    // One more look at what has arrived: after the process itself stood still, the answer may be there already.
    this.#timer = setTimeout(() => setImmediate(() => reject(tooLate(seconds))), seconds * 1000)
  }

  race<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#passed])
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}

function tooLate(seconds: number): StoreError {
  return new StoreError('ERR_STORE_UNAVAILABLE', `the database did not answer within ${seconds} s`, {
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
