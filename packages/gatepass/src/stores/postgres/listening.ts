import type { ChangeListener, SessionId } from '../../session/store.ts'
import { HEARTBEAT, TimeLimit, TRUSTED, tooLate } from '../time-limit.ts'
import { ask, type PooledPostgresClient, type PostgresNotification, type PostgresPool } from './driver.ts'

/** Seconds to get a connection and to listen on it. */
const CONNECT_TIMEOUT = 5
/** Time before the next attempt to listen, in milliseconds. It doubles from the first to the longest. */
const [FIRST_PAUSE, LONGEST_PAUSE] = [50, 2000]

export interface ListeningOptions {
  readonly pool: PostgresPool
  readonly channel: string
  /** The server in error messages. */
  readonly engine: string
  readonly listener: ChangeListener
}

/** Listens on one channel. It keeps a connection of the pool, and takes another one if that is lost. */
export class Listening {
  readonly #options: ListeningOptions
  readonly #running: Promise<void>
  #pause: number = FIRST_PAUSE
  #ended = false
  #wake: () => void = () => {}

  constructor(options: ListeningOptions) {
    this.#options = options
    this.#running = this.#run()
  }

  async end(): Promise<void> {
    this.#ended = true
    this.#wake()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#ended) {
      try {
        await this.#hear(await this.#connect())
      } catch {
        // `down` has been reported, and the next attempt may succeed.
      }
      await this.#rest(this.#pause * (0.5 + Math.random()))
      this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE)
    }
  }

  async #connect(): Promise<PooledPostgresClient> {
    const connecting = this.#options.pool.connect()
    try {
      return await this.#within(CONNECT_TIMEOUT, connecting)
    } catch (error) {
      connecting.then(
        (client) => client.release(),
        () => {},
      )
      throw error
    }
  }

  /** Listens until the connection is lost, stops answering, or is no longer needed. */
  async #hear(client: PooledPostgresClient): Promise<void> {
    const { listener, channel: own } = this.#options
    const loss = new Loss()
    const heard = ({ channel, payload = '' }: PostgresNotification) => {
      if (channel === own) listener.changed(payload as SessionId)
    }
    client.on('error', loss.happened)
    client.on('notification', heard)
    try {
      const listening = client.query({ text: `LISTEN "${own}"`, rowMode: 'array' })
      await this.#within(CONNECT_TIMEOUT, loss.orElse(listening))
      await this.#stayUp(client, loss)
    } finally {
      client.removeListener('notification', heard)
      client.removeListener('error', loss.happened)
      // Closes it: in the pool it would go on listening.
      client.release(true)
    }
  }

  async #stayUp(client: PooledPostgresClient, loss: Loss): Promise<void> {
    const { listener } = this.#options
    let proved = performance.now()
    listener.up()
    this.#pause = FIRST_PAUSE
    try {
      while (!this.#ended) {
        await loss.orElse(this.#rest(proved + HEARTBEAT - performance.now()))
        // A connection that was cut silently looks like an idle one.
        const asked = performance.now()
        await this.#within((proved + TRUSTED - asked) / 1000, loss.orElse(ask(client)))
        proved = asked
      }
    } finally {
      listener.down()
    }
  }

  async #within<T>(seconds: number, work: Promise<T>): Promise<T> {
    const limit = new TimeLimit(seconds, () => tooLate(this.#options.engine, seconds, 'Look for a hanging server.'))
    try {
      return await limit.race(work)
    } finally {
      limit.end()
    }
  }

  async #rest(milliseconds: number): Promise<void> {
    if (this.#ended) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, Math.max(0, milliseconds)).unref()
    this.#wake = () => {
      clearTimeout(timer)
      resolve()
    }
    await promise
  }
}

/** The loss of a connection. It is not a promise in Promise.race, because every race would stay in memory with it. */
class Loss {
  #error: Error | undefined
  #reject: (error: Error) => void = () => {}

  readonly happened = (error: Error): void => {
    this.#error ??= error
    this.#reject(error)
  }

  /** Settles like `work`, or rejects if the connection is lost first. */
  async orElse<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject
      if (this.#error !== undefined) reject(this.#error)
      work.then(resolve, reject)
    })
  }
}
