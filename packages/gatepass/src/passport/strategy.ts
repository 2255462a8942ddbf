import type { Awaitable } from '../awaitable.ts'
import type { Exchange } from '../http/exchange.ts'
import type { Outcome } from './outcome.ts'

/** One-time memory bound to this browser: OAuth state and PKCE verifier, OIDC nonce, WebAuthn challenge. */
export interface LoginFlow {
  /** Remembers `value` for `lifetime` seconds; the handle returned is unguessable and serves as OAuth `state`. */
  start(value: unknown, lifetime: number): Promise<string>
  /** The value, once; `undefined` if the handle is unknown, used, expired, or another browser's or strategy's. */
  finish<Value>(handle: string): Promise<Value | undefined>
}

/** What one call of `authenticate` hands to a strategy. */
export interface Attempt {
  readonly flow: LoginFlow
  /** Options of this call of `authenticate`, over the strategy's own. */
  readonly options: Readonly<Record<string, unknown>>
}

/** One way to prove who is making a request. Holds no request state: one instance serves all requests. */
export interface Strategy<User, Name extends string = string> {
  readonly name: Name
  authenticate(exchange: Exchange, attempt: Attempt): Awaitable<Outcome<User>>
}
