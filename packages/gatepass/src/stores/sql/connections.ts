import { shared } from '../../awaitable.ts'
import { storeError } from '../../session/guarded-store.ts'
import { Circuit } from '../circuit.ts'
import { gaveUpWaiting } from '../failure.ts'
import { TimeLimit, tooLate } from '../time-limit.ts'
import { failureOf, persistently, type ServerErrors } from './failure.ts'

/** A connection that is lent for one piece of work. The borrower must call one of the two methods. */
export interface Lease<Connection> {
  readonly connection: Connection
  /** Returns the connection in a good state, for the next piece of work. */
  release(): void
  /** Its state is unknown until `working` settles; do not reuse it before. */
  discard(error: Error, working: Promise<unknown>): void
}

/**
 * Runs `work`, and `undo` if it fails. The error of `work` decides, also if `undo` fails: then the connection may still have a
 * transaction or a lock, and must not be used again.
 */
export async function undoing<T>(work: () => Promise<T>, undo: () => Promise<unknown>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    await undo().catch(() => {
      throw new NotUndone(error)
    })
    throw error
  }
}

/** Says that the state of the connection is unknown. No server sent it, so the work is not repeated. */
class NotUndone {
  readonly cause: unknown

  constructor(cause: unknown) {
    this.cause = cause
  }
}

/** Time limit for an answer that needs neither table nor lock, in seconds. */
const PLAIN_ANSWER = 0.25
/** Time limit in seconds to make the tables, or to wait for another process that makes them. */
const MIGRATION_TIMEOUT = 30

const LOOK_FOR = 'Look for a hanging server, a held lock, or a pool whose connections are all in use.'

export type Work<Connection, T> = (connection: Connection) => Promise<T>

export interface ConnectionsOptions<Connection> {
  /** The server in error messages: kind and address. */
  engine: string
  lend(): Promise<Lease<Connection>>
  errors: ServerErrors
  /** Time limit of one piece of work in seconds, including the wait for tables and for a connection. */
  timeout: number
  /** Makes the tables. It runs before the first piece of work. */
  migrate(connection: Connection): Promise<void>
  /** Runs the simplest query that a server can answer. */
  ask(connection: Connection): Promise<unknown>
}

/**
 * Lends a connection to each piece of work, and takes it away when the time limit has passed. While the server does not answer,
 * work is refused at once.
 */
export class Connections<Connection> {
  readonly #options: ConnectionsOptions<Connection>
  readonly #circuit: Circuit
  readonly #makeTables: () => Promise<void>
  #migrated = false
  /** Pending while a plain query finds out whether the server still answers. */
  #doubt: Promise<void> | undefined

  constructor(options: ConnectionsOptions<Connection>) {
    this.#options = options
    this.#circuit = new Circuit(options.engine, options.timeout)
    this.#makeTables = shared(async () => {
      await this.#useFor(MIGRATION_TIMEOUT, options.migrate)
      this.#migrated = true
    })
  }

  /**
   * Runs `work` with its own connection, and again if the server had to undo it.
   *
   * @throws {StoreError} for every error of the driver; `ERR_STORE_UNAVAILABLE` after the time limit, and then the work may or
   *   may not have been done
   */
  async use<T>(work: Work<Connection, T>): Promise<T> {
    const { engine, errors, timeout } = this.#options
    if (this.#doubt !== undefined) await this.#doubt
    const admitted = this.#circuit.admit()
    const limit = new TimeLimit(timeout, () => tooLate(engine, timeout, LOOK_FOR))
    try {
      if (!this.#migrated) await limit.race(this.migrate())
      const again: Work<Connection, T> = (connection) => persistently(errors, () => work(connection))
      const result = await this.#finish(await this.#lend(limit), again, limit)
      this.#circuit.answered()
      return result
    } catch (error) {
      if (limit.passed || (!errors.isRefusal(error) && gaveUpWaiting(error))) this.#unanswered(admitted)
      else this.#circuit.answered()
      throw storeError(error, () => failureOf(errors, error, engine))
    } finally {
      limit.end()
    }
  }

  /** Makes the tables once. Calls while it runs share it. If it fails, the next call tries again. */
  async migrate(): Promise<void> {
    if (!this.#migrated) await this.#makeTables()
  }

  /** Runs `work` with its own time limit, and before the tables exist. Its failure does not count as silence of the server. */
  async #useFor<T>(seconds: number, work: Work<Connection, T>): Promise<T> {
    const { engine, errors } = this.#options
    const limit = new TimeLimit(seconds, () => tooLate(engine, seconds, LOOK_FOR))
    try {
      return await this.#finish(await this.#lend(limit), work, limit)
    } catch (error) {
      throw storeError(error, () => failureOf(errors, error, engine))
    } finally {
      limit.end()
    }
  }

  /** Asks a plain query after a timeout, because work that waits for a lock gets no answer from a healthy server either. */
  #unanswered(admitted: number): void {
    if (!this.#circuit.silent(admitted)) return
    const asked = this.#useFor(PLAIN_ANSWER, this.#options.ask).then(
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
      // A connection that comes too late is returned at once.
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
    } catch (failure) {
      const error = failure instanceof NotUndone ? failure.cause : failure
      if (this.#options.errors.isRefusal(failure)) lease.release()
      else {
        lease.discard(error instanceof Error ? error : new Error(String(error)), working)
        // A late answer still shows that the server is alive.
        working.then(
          () => this.#circuit.answered(),
          () => {},
        )
      }
      throw error
    }
  }
}

/**
 * Lends one connection to one piece of work at a time, in the order of the requests.
 *
 * After a timeout the connection is not lent until the late answer comes. A statement sent behind the unanswered one could run
 * long after it was reported as failed.
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
