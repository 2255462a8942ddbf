import { setTimeout as sleep } from 'node:timers/promises'
import type { ChangeListener, SessionId } from '../../session/store.ts'
import { within } from '../sql/connections.ts'
import type { PooledPostgresClient, PostgresNotification, PostgresPool } from './driver.ts'

/** Between two questions whether the connection lives, in ms. */
const HEARTBEAT = 500
/** Seconds for the answer. */
const HEARTBEAT_TIMEOUT = 0.5
/** Seconds to get a connection and to listen on it. */
const CONNECT_TIMEOUT = 5
/** Before the next attempt to listen, in ms: doubled from the first to the longest. */
const [FIRST_PAUSE, LONGEST_PAUSE] = [50, 2000]

/** One listener on one channel: keeps a connection of the pool for itself, and finds another one when that is lost. */
export class Listening {
  readonly #pool: PostgresPool
  readonly #channel: string
  readonly #listener: ChangeListener
  readonly #ending = new AbortController()
  readonly #running: Promise<void>
  #pause: number = FIRST_PAUSE

  constructor(pool: PostgresPool, channel: string, listener: ChangeListener) {
    this.#pool = pool
    this.#channel = channel
    this.#listener = listener
    this.#running = this.#run()
  }

  async end(): Promise<void> {
    this.#ending.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#ending.signal.aborted) {
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
    const connecting = this.#pool.connect()
    try {
      return await within(CONNECT_TIMEOUT, connecting)
    } catch (error) {
      connecting.then(
        (client) => client.release(),
        () => {},
      )
      throw error
    }
  }

  /** Listens until the connection is lost, does not answer any more, or is no longer wanted. */
  async #hear(client: PooledPostgresClient): Promise<void> {
    const lost = Promise.withResolvers<never>()
    lost.promise.catch(() => {})
    const heard = ({ channel, payload = '' }: PostgresNotification) => {
      if (channel === this.#channel) this.#listener.changed(payload as SessionId)
    }
    client.on('error', lost.reject)
    client.on('notification', heard)
    try {
      await within(CONNECT_TIMEOUT, Promise.race([ask(client, `LISTEN "${this.#channel}"`), lost.promise]))
      await this.#stayUp(client, lost.promise)
    } finally {
      client.removeListener('notification', heard)
      client.removeListener('error', lost.reject)
      // Never back into the pool: it would go on listening there.
      client.release(true)
    }
  }

  async #stayUp(client: PooledPostgresClient, lost: Promise<never>): Promise<void> {
    this.#listener.up()
    this.#pause = FIRST_PAUSE
    try {
      while (!this.#ending.signal.aborted) {
        await Promise.race([this.#rest(HEARTBEAT), lost])
        // A connection that was cut without a word looks like one on which nothing happens.
        await within(HEARTBEAT_TIMEOUT, Promise.race([ask(client, 'SELECT 1'), lost]))
      }
    } finally {
      this.#listener.down()
    }
  }

  async #rest(milliseconds: number): Promise<void> {
    await sleep(milliseconds, undefined, { signal: this.#ending.signal, ref: false }).catch(() => {})
  }
}

function ask(client: PooledPostgresClient, text: string): Promise<unknown> {
  return client.query({ text, rowMode: 'array' })
}
