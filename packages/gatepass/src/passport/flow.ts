import { randomToken } from '../crypto/random.ts'
import type { Exchange } from '../http/exchange.ts'
import type { SessionManager } from '../session/manager.ts'
import type { Timestamp } from '../session/store.ts'
import type { LoginFlow } from './strategy.ts'

/** How many logins of one strategy a browser may have begun and not finished; a further one drops the oldest. */
const OPEN_FLOWS = 5

interface FlowEntry {
  readonly value: unknown
  readonly expiresAt: Timestamp
}

/**
 * Login flows kept in the session: bound to the browser by its cookie, to the strategy by their key. Each is a top-level
 * key of its own, so that two tabs that start a login do not overwrite each other, and `finish` takes it in one `update`,
 * so that of two requests with the same handle one gets the value.
 */
export class SessionLoginFlow implements LoginFlow {
  readonly #exchange: Exchange
  readonly #sessions: SessionManager<object>
  readonly #prefix: string
  readonly #clock: () => Timestamp

  constructor(exchange: Exchange, sessions: SessionManager<object>, strategy: string, clock: () => Timestamp) {
    this.#exchange = exchange
    this.#sessions = sessions
    this.#prefix = `flow:${strategy}:`
    this.#clock = clock
  }

  async start(value: unknown, lifetime: number): Promise<string> {
    const session = await this.#sessions.open(this.#exchange)
    const data = session.data as Record<string, unknown>
    this.#makeRoom(data)
    const handle = randomToken()
    data[this.#prefix + handle] = { value, expiresAt: this.#clock() + lifetime * 1000 } satisfies FlowEntry
    return handle
  }

  async finish<Value>(handle: string): Promise<Value | undefined> {
    const session = await this.#sessions.open(this.#exchange)
    if (session.id === undefined) return undefined
    const key = this.#prefix + handle
    let taken: FlowEntry | undefined
    await session.update((newest) => {
      const data = newest as Record<string, unknown>
      taken = Object.hasOwn(data, key) ? (data[key] as FlowEntry) : undefined
      delete data[key]
    })
    return taken !== undefined && taken.expiresAt > this.#clock() ? (taken.value as Value) : undefined
  }

  #makeRoom(data: Record<string, unknown>): void {
    const open = Object.keys(data).filter((key) => key.startsWith(this.#prefix))
    const live = open.filter((key) => (data[key] as FlowEntry).expiresAt > this.#clock())
    const kept = new Set(live.slice(-(OPEN_FLOWS - 1)))
    for (const key of open) if (!kept.has(key)) delete data[key]
  }
}
