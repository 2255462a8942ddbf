import { type Cookie, sealedCookie } from '../cookie/cookie.ts'
import type { AnyCookie } from '../cookie/cookies.ts'
import { parseCookie } from '../cookie/cookies.ts'
import { jsonEncode } from '../cookie/encoding.ts'
import type { Keys } from '../crypto/keyring.ts'
import { randomToken, sha256Hex } from '../crypto/random.ts'
import { ProtocolError, StoreError, UsageError } from '../error.ts'
import type { Exchange } from '../http/exchange.ts'
import { hooksOf } from '../session/hooks.ts'
import type { SessionManager } from '../session/manager.ts'
import type { SessionId, Timestamp } from '../session/store.ts'
import { OUR_CLOCKS_APART } from './outcome.ts'
import { type Linking, LONGEST_LOGIN, type LoginFlow, type LoginIntent } from './strategy.ts'

/** How many unfinished logins a browser may have. One more drops the oldest. */
const OPEN_FLOWS = 5
/** Most bytes of all unfinished logins together, measured before sealing: their cookies must fit into the head of one request. */
const OPEN_BYTES = 4000
/** How many bytes one login may have before it is sealed, to fit into a cookie. A `next` that makes it larger is left out. */
const LARGEST_ENTRY = 2700
/** How many cookies of logins are read when another one begins: another site may have planted more. */
const MOST_READ = 10
/** How long the generated key for flow cookies is kept, in milliseconds. */
const KEY_LIFETIME = 400 * 24 * 60 * 60 * 1000

interface FlowEntry {
  /** The `state`. Stored under this name in cookies and sessions. */
  readonly handle: string
  readonly strategy: string
  readonly value: unknown
  readonly intent: LoginIntent
  readonly expiresAt: Timestamp
}

/** The strategy and purpose that a flow belongs to. */
export interface FlowOwner {
  readonly strategy: string
  /** The purpose of a login that begins with this request. */
  readonly intent: LoginIntent
  /** The user who began to link with this intent, if session and credentials are unchanged. */
  readonly linking: (intent: LoginIntent) => Promise<Linking | undefined>
  readonly clock: () => Timestamp
}

/**
 * Remembers unfinished logins. A login that begins a session has a sealed cookie of its own, so that a visitor without a session
 * costs no record, and two tabs do not overwrite each other. `finish` notes the state in the store until the flow would have
 * expired. If two requests bring the same state, even to different processes, only one gets the value.
 *
 * A link is kept in its session, and `finish` removes it in one `update`.
 */
export class BrowserLoginFlow implements LoginFlow {
  readonly #exchange: Exchange
  readonly #sessions: SessionManager<object>
  readonly #owner: FlowOwner
  readonly #prefix: string
  intent: LoginIntent
  unknown = false

  constructor(exchange: Exchange, sessions: SessionManager<object>, owner: FlowOwner) {
    this.#exchange = exchange
    this.#sessions = sessions
    this.#owner = owner
    // Encoded, so that no name is the beginning of another one's keys.
    this.#prefix = `flow:${encodeURIComponent(owner.strategy)}:`
    this.intent = owner.intent
  }

  async start(value: unknown, lifetime: number): Promise<string> {
    const { strategy, intent, clock } = this.#owner
    const state = randomToken()
    const entry: FlowEntry = { handle: state, strategy, value, intent, expiresAt: clock() + lifetime * 1000 }
    if (intent.purpose === 'link') await this.#keepInSession(entry)
    else await this.#keepInCookie(entry, lifetime)
    return state
  }

  async finish<Value>(state: string): Promise<Value | undefined> {
    const entry = (await this.#takeFromCookie(state)) ?? (await this.#takeFromSession(state))
    this.unknown = entry === undefined
    if (entry === undefined || entry.expiresAt <= this.#owner.clock()) return undefined
    // Checked here, before the code is sent to the provider, and again when the provider has answered.
    if (entry.intent.purpose === 'link' && (await this.#owner.linking(entry.intent)) === undefined) return undefined
    this.intent = entry.intent
    return entry.value as Value
  }

  linking(): Promise<Linking | undefined> {
    return this.#owner.linking(this.intent)
  }

  async #keepInCookie(entry: FlowEntry, lifetime: number): Promise<void> {
    // If this connection cannot have a session cookie, refuse now, not when the browser comes back from the provider.
    hooksOf(this.#sessions).assertMaySetCookie(this.#exchange)
    const keys = await this.#keys()
    const { next: _tooLong, ...intent } = entry.intent
    const kept = sizeOf(entry) > LARGEST_ENTRY ? { ...entry, intent } : entry
    this.#dropOldest(keys, sizeOf(kept))
    this.#exchange.cookies.set(this.#cookie(entry.handle, keys, lifetime), kept)
  }

  async #takeFromCookie(state: string): Promise<FlowEntry | undefined> {
    const { cookies } = this.#exchange
    if (!/^[\w-]{43}$/.test(state) || cookies.count(flowName(this.#exchange, state)) === 0) return undefined
    const cookie = this.#cookie(state, await this.#keys())
    const entry = cookies.get(cookie)
    if (entry?.handle !== state || entry.strategy !== this.#owner.strategy) return undefined
    const used = sha256Hex(`gatepass:flow:${state}`) as SessionId
    const first = await hooksOf(this.#sessions).note(used, {}, entry.expiresAt + OUR_CLOCKS_APART)
    cookies.delete(cookie)
    return first ? entry : undefined
  }

  /** Keeps the newest logins that fit beside one of this size. Deletes the cookies of the others, and those that cannot be read. */
  #dropOldest(keys: Keys, size: number): void {
    const { cookies } = this.#exchange
    const prefix = flowName(this.#exchange, '')
    const open = Object.keys(parseCookie(this.#exchange.header('cookie')))
      .filter((name) => name.startsWith(prefix) && /^[\w-]{8}$/.test(name.slice(prefix.length)))
      // Browsers send the newest cookie last (RFC 6265bis §5.8.3).
      .slice(-MOST_READ)
      .reverse()
      .map((name) => this.#cookie(name.slice(prefix.length), keys))
      .map((cookie) => ({ cookie, entry: cookies.get(cookie) }))
    open.sort((a, b) => (b.entry?.expiresAt ?? 0) - (a.entry?.expiresAt ?? 0))
    let bytes = size
    for (const [place, { cookie, entry }] of open.entries()) {
      bytes += entry === undefined ? 0 : sizeOf(entry)
      if (entry === undefined || place >= OPEN_FLOWS - 1 || bytes > OPEN_BYTES) cookies.delete(cookie)
    }
  }

  #cookie(state: string, keys: Keys, lifetime?: number): Cookie<FlowEntry> {
    return sealedCookie<FlowEntry>(flowName(this.#exchange, state), {
      ...flowAttributes(this.#exchange),
      ...(lifetime !== undefined && { maxAge: lifetime }),
      keys,
      usage: 'login flow',
      clock: this.#owner.clock,
    })
  }

  /** The configured keys. Without them, a key that the first login makes and that all processes find in the store. */
  async #keys(): Promise<Keys> {
    const sessions = this.#sessions
    const { keys } = hooksOf(sessions)
    if (keys !== undefined) return keys
    const kept = await keptKey(sessions)
    if (kept !== undefined) return [kept]
    await hooksOf(sessions).note(FLOW_KEY, { key: randomToken() }, this.#owner.clock() + KEY_LIFETIME)
    const made = await keptKey(sessions)
    if (made !== undefined) return [made]
    throw new StoreError('ERR_STORE_UNAVAILABLE', 'The session store does not give back what was stored in it')
  }

  async #keepInSession(entry: FlowEntry): Promise<void> {
    const data = (await this.#sessions.open(this.#exchange)).data as Record<string, unknown>
    const open = Object.keys(data).filter((key) => key.startsWith(this.#prefix))
    const live = open.filter((key) => (data[key] as FlowEntry).expiresAt > this.#owner.clock())
    const kept = new Set(live.slice(-(OPEN_FLOWS - 1)))
    for (const key of open) if (!kept.has(key)) delete data[key]
    data[this.#prefix + entry.handle] = entry
  }

  async #takeFromSession(state: string): Promise<FlowEntry | undefined> {
    const session = await this.#sessions.open(this.#exchange)
    const key = this.#prefix + state
    if (session.id === undefined || !Object.hasOwn(session.data, key)) return undefined
    let taken: FlowEntry | undefined
    try {
      await session.update((newest) => {
        const data = newest as Record<string, unknown>
        taken = Object.hasOwn(data, key) ? (data[key] as FlowEntry) : undefined
        delete data[key]
      })
    } catch (error) {
      // Another request with this state was faster, and its login moved the session on.
      if (error instanceof ProtocolError && error.code === 'ERR_SESSION_ENDED') return undefined
      throw error
    }
    return taken
  }
}

/** The flow of a Passport without sessions. A strategy that needs a flow cannot work there. */
export const flowWithoutSessions: Omit<LoginFlow, 'intent'> = {
  unknown: false,
  async start(): Promise<string> {
    throw new UsageError('ERR_PASSPORT_NO_SESSIONS', 'This strategy must remember something between two requests', {
      hint: 'Give `sessions` to Passport.',
    })
  },
  async finish(): Promise<undefined> {
    return undefined
  },
  async linking(): Promise<undefined> {
    return undefined
  },
}

/** The cookies of unfinished logins, for a cookie notice. */
export function flowCookieOf(exchange: Exchange): AnyCookie {
  const { description, ...attributes } = flowAttributes(exchange)
  return { name: flowName(exchange, '*'), attributes, purpose: 'necessary', description }
}

/** Eight characters tell the flows of one browser apart. The value contains the whole state. */
function flowName({ secure }: Exchange, state: string): string {
  return `${secure ? '__Host-' : ''}gp-tx-${state.slice(0, 8)}`
}

function sizeOf(entry: FlowEntry): number {
  return Buffer.byteLength(jsonEncode('gp-tx', entry))
}

function flowAttributes({ secure }: Exchange) {
  const description = 'Remembers a login with another provider until you come back from there.'
  return { secure, httpOnly: true, sameSite: 'lax', path: '/', maxAge: LONGEST_LOGIN, description } as const
}

const FLOW_KEY = sha256Hex('gatepass:flow key') as SessionId

async function keptKey(sessions: SessionManager<object>): Promise<string | undefined> {
  const { key } = (await hooksOf(sessions).noted(FLOW_KEY)) ?? {}
  return typeof key === 'string' ? key : undefined
}
