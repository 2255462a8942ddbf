import type { ChangeListener, SessionId } from '../../session/store.ts'
import { within } from '../sql/connections.ts'
import { ask, type PooledPostgresClient, type PostgresNotification, type PostgresPool } from './driver.ts'

/** Between two questions whether the connection lives, in ms. */
const HEARTBEAT = 200
/**
 * For how long it is believed after a question that was answered, in ms: what was announced before the answer has been
 * heard by then. Less than the half second that is promised, since a timer may be late.
 */
const BELIEVED = 450
/** Seconds to get a connection and to listen on it. */
const CONNECT_TIMEOUT = 5
/** Before the next attempt to listen, in ms: doubled from the first to the longest. */
const [FIRST_PAUSE, LONGEST_PAUSE] = [50, 2000]

export interface ListeningOptions {
  readonly pool: PostgresPool
  readonly channel: string
  /** What errors call the server. */
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
        // Whatever it was, `down` has been said, and the next attempt may succeed.
      }
      await this.#rest(this.#pause * (0.5 + Math.random()))
      this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE)
    }
  }

  async #connect(): Promise<PooledPostgresClient> {
    const { pool, engine } = this.#options
    const connecting = pool.connect()
    try {
      return await within(CONNECT_TIMEOUT, engine, connecting)
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
    const { listener, engine, channel: own } = this.#options
    const loss = new Loss()
    const heard = ({ channel, payload = '' }: PostgresNotification) => {
      if (channel === own) listener.changed(payload as SessionId)
    }
    client.on('error', loss.happened)
    client.on('notification', heard)
    try {
      const listening = client.query({ text: `LISTEN "${own}"`, rowMode: 'array' })
      await within(CONNECT_TIMEOUT, engine, loss.orElse(listening))
      await this.#stayUp(client, loss)
    } finally {
      client.removeListener('notification', heard)
      client.removeListener('error', loss.happened)
      // Never back into the pool: it would go on listening there.
      client.release(true)
    }
  }

  async #stayUp(client: PooledPostgresClient, loss: Loss): Promise<void> {
    const { listener, engine } = this.#options
    let proved = performance.now()
    listener.up()
    this.#pause = FIRST_PAUSE
    try {
      while (!this.#ended) {
        await loss.orElse(this.#rest(proved + HEARTBEAT - performance.now()))
        // A connection that was cut silently looks like an idle one.
        const asked = performance.now()
        await within((proved + BELIEVED - asked) / 1000, engine, loss.orElse(ask(client)))
        proved = asked
      }
    } finally {
      listener.down()
    }
  }

  async #rest(milliseconds: number): Promise<void> {
    if (this.#ended) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, milliseconds).unref()
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
