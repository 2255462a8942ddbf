import { randomToken } from '../crypto/random.ts'
import { ProtocolError } from '../error.ts'
import type { Exchange } from '../http/exchange.ts'
import type { SessionManager } from '../session/manager.ts'
import type { Timestamp } from '../session/store.ts'
import type { Linking, LoginIntent } from './intent.ts'
import type { LoginFlow } from './strategy.ts'

/** How many logins of one strategy a browser may have begun and not finished; a further one drops the oldest. */
const OPEN_FLOWS = 5

interface FlowEntry {
  readonly value: unknown
  readonly intent: LoginIntent
  readonly expiresAt: Timestamp
}

/** What a flow belongs to. */
export interface FlowOwner {
  readonly strategy: string
  /** What this request wants a login for. */
  readonly intent: LoginIntent
  /** Who began to link with this intent, if session and credentials are still those of then. */
  readonly linking: (intent: LoginIntent) => Promise<Linking | undefined>
  readonly clock: () => Timestamp
}

/**
 * Login flows kept in the session: bound to the browser by its cookie, to the strategy by their key. Each is a top-level
 * key of its own, so that two tabs that start a login do not overwrite each other, and `finish` takes it in one `update`,
 * so that of two requests with the same handle one gets the value.
 */
export class SessionLoginFlow implements LoginFlow {
  readonly #exchange: Exchange
  readonly #sessions: SessionManager<object>
  readonly #owner: FlowOwner
  readonly #prefix: string
  #intent: LoginIntent
  #unknown = false

  constructor(exchange: Exchange, sessions: SessionManager<object>, owner: FlowOwner) {
    this.#exchange = exchange
    this.#sessions = sessions
    this.#owner = owner
    // Encoded, so that no name is the beginning of another one's keys.
    this.#prefix = `flow:${encodeURIComponent(owner.strategy)}:`
    this.#intent = owner.intent
  }

  get intent(): LoginIntent {
    return this.#intent
  }

  get unknown(): boolean {
    return this.#unknown
  }

  async start(value: unknown, lifetime: number): Promise<string> {
    const session = await this.#sessions.open(this.#exchange)
    const data = session.data as Record<string, unknown>
    this.#makeRoom(data)
    const handle = randomToken()
    const expiresAt = this.#owner.clock() + lifetime * 1000
    data[this.#prefix + handle] = { value, intent: this.#owner.intent, expiresAt } satisfies FlowEntry
    return handle
  }

  async finish<Value>(handle: string): Promise<Value | undefined> {
    const entry = await this.#take(handle)
    this.#unknown = entry === undefined
    if (entry === undefined || entry.expiresAt <= this.#owner.clock()) return undefined
    // Before the code is sent anywhere. It is asked again when the provider has answered.
    if (entry.intent.purpose === 'link' && (await this.#owner.linking(entry.intent)) === undefined) return undefined
    this.#intent = entry.intent
    return entry.value as Value
  }

  linking(): Promise<Linking | undefined> {
    return this.#owner.linking(this.#intent)
  }

  async #take(handle: string): Promise<FlowEntry | undefined> {
    const session = await this.#sessions.open(this.#exchange)
    if (session.id === undefined) return undefined
    const key = this.#prefix + handle
    let taken: FlowEntry | undefined
    try {
      await session.update((newest) => {
        const data = newest as Record<string, unknown>
        taken = Object.hasOwn(data, key) ? (data[key] as FlowEntry) : undefined
        delete data[key]
      })
    } catch (error) {
      // Another request with this handle was faster, and its login moved the session on.
      if (error instanceof ProtocolError && error.code === 'ERR_SESSION_ENDED') return undefined
      throw error
    }
    return taken
  }

  #makeRoom(data: Record<string, unknown>): void {
    const open = Object.keys(data).filter((key) => key.startsWith(this.#prefix))
    const live = open.filter((key) => (data[key] as FlowEntry).expiresAt > this.#owner.clock())
    const kept = new Set(live.slice(-(OPEN_FLOWS - 1)))
    for (const key of open) if (!kept.has(key)) delete data[key]
  }
}
