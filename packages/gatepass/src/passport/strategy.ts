import type { Awaitable } from '../awaitable.ts'
import { kindOf, UsageError } from '../error.ts'
import type { Exchange } from '../http/exchange.ts'
import type { SessionManager } from '../session/manager.ts'
import type { SessionId, Timestamp } from '../session/store.ts'
import type { Outcome } from './outcome.ts'

/**
 * The purpose of a login. A flow keeps it until the browser comes back from the provider. The strategy cannot change it.
 */
export interface LoginIntent {
  /** `link`: a logged-in user adds this way to log in. */
  readonly purpose: 'login' | 'link'
  /** The subject that was logged in when linking began. */
  readonly subject?: string
  /** Handle of the session in which linking began; Passport sets it. */
  readonly session?: string
  /** The stamp of the credentials of that login; Passport sets it. */
  readonly stamp?: string
  /** Where to go afterwards: a path here, or a listed address. */
  readonly next?: string
  /** Where to go when it is refused, a path here. */
  readonly failure?: string
  readonly remember?: boolean
}

/** The user who began to link, looked up a moment ago. The statement that links has these values in its condition. */
export interface Linking {
  readonly subject: string
  /** The `users.stamp` of the credentials that linking began with. `undefined` without `users.stamp`. */
  readonly stamp: string | undefined
  /** The session in which linking began. */
  readonly sessionId: SessionId
  /** Looks up session and user again. Call it inside your transaction, before it commits. */
  stillStands(): Promise<boolean>
}

/** How long a login at a provider may take, in seconds. */
export const LONGEST_LOGIN = 600

/** The purpose unless the route sets another. */
export const LOGIN: LoginIntent = { purpose: 'login' }

/** One-time memory bound to this browser: OAuth state and PKCE verifier, OIDC nonce, WebAuthn challenge. */
export interface LoginFlow {
  /** Remembers `value`, which must be JSON, for `lifetime` seconds. The returned state cannot be guessed: use it as OAuth `state`. */
  start(value: unknown, lifetime: number): Promise<string>
  /** Returns the value, once. `undefined` if the state is unknown, used, expired, or of another browser or strategy. */
  finish<Value>(state: string): Promise<Value | undefined>
  /** The purpose of this login. After `finish` has returned a value, the purpose that the flow began with. */
  readonly intent: LoginIntent
  /** Whether `finish` was called with a state that this browser does not have: used, dropped by a later login, or never begun. */
  readonly unknown: boolean
  /**
   * The user who began to link, if session and credentials are unchanged. Each call looks both up: call it after the last wait
   * and before the identity is linked. `undefined` if the session has ended, or this is not a link.
   */
  linking(): Promise<Linking | undefined>
}

/** What a strategy gets for one call of `authenticate`. */
export interface Attempt {
  readonly flow: LoginFlow
  /** Options of this call. They override the strategy's own. */
  readonly options: Readonly<Record<string, unknown>>
  /** False if the route asks several strategies: `options` may then hold options of the others. */
  readonly alone: boolean
  /** The sessions, if there are any: for tokens that name a session, and for strategies that store more than a flow. */
  readonly sessions: SessionManager<object> | undefined
  /**
   * Whether the login that the request came with still stands; true if there was none. A strategy that acts for that user calls
   * it after its last wait.
   */
  readonly stillStands: () => Awaitable<boolean>
  /** The time, for a strategy whose proof is this request: a password is proved now, a token was proved earlier. */
  readonly clock: () => Timestamp
}

/** A login that has ended at the provider. */
export interface EndedLogin {
  readonly issuer: string
  /** The provider's subject. Without `sid` all its logins have ended. */
  readonly subject: string | undefined
  /** The session at the provider. */
  readonly sid: string | undefined
  readonly issuedAt: Timestamp
}

/** One way to prove who is making a request. Holds no request state: one instance serves all requests. */
export interface Strategy<User, Name extends string = string> {
  readonly name: Name
  /**
   * The path to which a page of the provider posts (OAuth 2.0 Form Post Response Mode). Such a request has no session cookie, so
   * the strategy must only send the browser on.
   */
  readonly foreignPost?: string
  /**
   * Set it if a success without `at` does not prove a login made now: its age then counts as unknown, unless a flow was just
   * finished. For third-party strategies. Default false.
   */
  readonly ageUnknown?: boolean
  /** Where a provider sends the browser back to: a path here or a whole address. No other strategy may have it. */
  readonly callback?: string
  authenticate(exchange: Exchange, attempt: Attempt): Awaitable<Outcome<User>>
  /**
   * Reads a provider's logout message (OpenID Connect Back-Channel Logout 1.0), and calls `end` to end the login here. After
   * `end` has succeeded the same message is refused; before, the provider may repeat it.
   *
   * @throws {ProtocolError} if the message is not from the provider
   */
  endedLogin?(exchange: Exchange, end: (ended: EndedLogin) => Promise<void>): Promise<void>
  /** Where the browser has to go to log out at the provider, too; `undefined` if the provider has no such address. */
  logoutLocation?(login: { sid: string | undefined; returnTo: string | undefined }): Promise<string | undefined>
}

/**
 * The strategies of an application under their names.
 *
 * @throws {UsageError} `ERR_PASSPORT_OPTIONS` if one is not a strategy or has no name, or two share a name or a callback
 */
export function strategiesByName<User>(strategies: readonly Strategy<User>[]): ReadonlyMap<string, Strategy<User>> {
  if (!Array.isArray(strategies)) {
    throw new UsageError('ERR_PASSPORT_OPTIONS', `\`strategies\` is ${kindOf(strategies)}, not a list`, {
      hint: 'strategies: [local({ find })]',
    })
  }
  const byName = new Map<string, Strategy<User>>()
  for (const strategy of strategies) {
    if (typeof strategy?.authenticate !== 'function') {
      throw new UsageError(
        'ERR_PASSPORT_OPTIONS',
        `\`strategies\` has ${kindOf(strategy)} that has no authenticate()`,
        {
          hint: 'Call the function that makes the strategy: local({ find }). Pass a strategy made for Passport to fromPassport().',
        },
      )
    }
    if (typeof strategy.name !== 'string' || strategy.name === '' || byName.has(strategy.name)) {
      throw new UsageError('ERR_PASSPORT_OPTIONS', `Strategy name "${strategy.name}" is empty or used twice`, {
        hint: 'Give every strategy its own name.',
      })
    }
    byName.set(strategy.name, strategy)
  }
  requireOwnCallbacks(strategies)
  return byName
}

/** Without `iss`, only the callback tells which provider answers (mix-up, RFC 9700 §4.4.2.2). */
function requireOwnCallbacks(strategies: readonly Strategy<unknown>[]): void {
  const known: { name: string; callback: string }[] = []
  for (const { name, callback } of strategies) {
    if (callback === undefined) continue
    const other = known.find((one) => samePlace(one.callback, callback))
    if (other !== undefined) {
      throw new UsageError('ERR_PASSPORT_OPTIONS', `Strategies "${other.name}" and "${name}" share ${callback}`, {
        hint: `Give each its own callback: '/auth/${other.name}/callback', '/auth/${name}/callback'.`,
      })
    }
    known.push({ name, callback })
  }
}

/** A path may be any address with that path, because only a request tells its origin. */
function samePlace(one: string, other: string): boolean {
  return one === other || pathOf(one) === other || one === pathOf(other)
}

function pathOf(address: string): string | undefined {
  return address.startsWith('/') ? address : URL.parse(address)?.pathname
}
