import type { Awaitable } from '../awaitable.ts'
import { kindOf, UsageError } from '../error.ts'
import type { Exchange } from '../http/exchange.ts'
import type { SessionManager } from '../session/manager.ts'
import type { SessionId, Timestamp } from '../session/store.ts'
import type { Outcome } from './outcome.ts'

/**
 * What a login was begun for. A flow keeps it, so that it is there again when the browser comes back from elsewhere: the
 * strategy in between neither sees to it nor can change it.
 */
export interface LoginIntent {
  /** `link`: who is logged in wants to log in this way, too. */
  readonly purpose: 'login' | 'link'
  /** Who was logged in when linking began. */
  readonly subject?: string
  /** Handle of the session in which linking began; Passport sets it. */
  readonly session?: string
  /** Fingerprint of the credentials with which that session was logged in; Passport sets it. */
  readonly stamp?: string
  /** Where to go afterwards: a path here, or what the application lists. */
  readonly next?: string
  /** Where to go when it is refused, a path here. */
  readonly failure?: string
  readonly remember?: boolean
}

/** Who began to link, found unchanged a moment ago: what a statement that links makes its condition. */
export interface Linking {
  readonly subject: string
  /** What `users.stamp` gives for this user: the credentials that linking began with. `undefined` without `users.stamp`. */
  readonly stamp: string | undefined
  /** The session that linking began in. */
  readonly sessionId: SessionId
  /** Looks at session and user again: ask inside your transaction, before it commits. */
  stillStands(): Promise<boolean>
}

/** What a login is for unless the route says otherwise. */
export const LOGIN: LoginIntent = { purpose: 'login' }

/** One-time memory bound to this browser: OAuth state and PKCE verifier, OIDC nonce, WebAuthn challenge. */
export interface LoginFlow {
  /** Remembers `value`, which must be JSON, for `lifetime` seconds; the handle returned is unguessable and serves as OAuth `state`. */
  start(value: unknown, lifetime: number): Promise<string>
  /** The value, once; `undefined` if the handle is unknown, used, expired, or another browser's or strategy's. */
  finish<Value>(handle: string): Promise<Value | undefined>
  /** What this login is for; once `finish` has given something, what the flow was begun for. */
  readonly intent: LoginIntent
  /** Whether `finish` was asked for a handle that this browser does not have: used before, dropped by a login, or never begun. */
  readonly unknown: boolean
  /**
   * Who began to link, if their session lives and their credentials are those it began with. Both are looked up at each call:
   * call it after the last wait and before the identity is linked. `undefined`: it has ended, or this is not a link.
   */
  linking(): Promise<Linking | undefined>
}

/** What one call of `authenticate` hands to a strategy. */
export interface Attempt {
  readonly flow: LoginFlow
  /** Options of this call of `authenticate`, over the strategy's own. */
  readonly options: Readonly<Record<string, unknown>>
  /** False where other strategies are asked as well, so that `options` may hold theirs. */
  readonly alone?: boolean
  /** Where logins are kept, if they are: for strategies that keep more there than a flow, and for tokens that name a session. */
  readonly sessions?: SessionManager<object> | undefined
  /**
   * Whether the login that the request arrived with still stands; true if there was none. A strategy that acts for the user of
   * that login asks after its last wait.
   */
  readonly stillStands?: () => Awaitable<boolean>
  /** For a strategy that knows when it was proved: a password is proved by this request, a token was at some other time. */
  readonly clock?: () => Timestamp
}

/** A login that has ended where it was proved. */
export interface EndedLogin {
  readonly issuer: string
  /** Whose; all logins of this subject where there is no `sid`. */
  readonly subject: string | undefined
  /** Which. */
  readonly sid: string | undefined
  readonly issuedAt: Timestamp
}

/** One way to prove who is making a request. Holds no request state: one instance serves all requests. */
export interface Strategy<User, Name extends string = string> {
  readonly name: Name
  /**
   * Path to which another site's page posts on behalf of the browser (OAuth 2.0 Form Post Response Mode): such a request
   * carries no session, so the strategy must do no more than send the browser on.
   */
  readonly foreignPost?: string
  /**
   * Whether a success that does not say when it was proved is of unknown age even where the login is kept, unless the strategy
   * has finished a flow: for strategies of others. Default false.
   */
  readonly ageUnknown?: boolean
  /** Where a provider sends the browser back to, a path here or a whole address: of this strategy alone. */
  readonly callback?: string
  authenticate(exchange: Exchange, attempt: Attempt): Awaitable<Outcome<User>>
  /**
   * Reads a provider's word that a login has ended there (OpenID Connect Back-Channel Logout 1.0), and has `end` end it here.
   * Once `end` has succeeded the same word counts no more; until then the provider may repeat it.
   *
   * @throws {ProtocolError} if it is not the provider's
   */
  endedLogin?(exchange: Exchange, end: (ended: EndedLogin) => Promise<void>): Promise<void>
  /** Where the browser has to go to log out at the provider, too; `undefined` if nowhere. */
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
          hint: 'Call what makes the strategy: local({ find }). A strategy made for Passport goes into fromPassport().',
        },
      )
    }
    if (typeof strategy.name !== 'string' || strategy.name === '' || byName.has(strategy.name)) {
      throw new UsageError('ERR_PASSPORT_OPTIONS', `Strategy name "${strategy.name}" is empty or used twice`, {
        hint: 'Give every strategy a name of its own.',
      })
    }
    byName.set(strategy.name, strategy)
  }
  requireOwnCallbacks(strategies)
  return byName
}

/** Where `iss` is not sent, the callback alone tells which provider answers (mix-up, RFC 9700 §4.4.2.2). */
function requireOwnCallbacks(strategies: readonly Strategy<unknown>[]): void {
  const known: { name: string; callback: string }[] = []
  for (const { name, callback } of strategies) {
    if (callback === undefined) continue
    const other = known.find((one) => samePlace(one.callback, callback))
    if (other !== undefined) {
      throw new UsageError('ERR_PASSPORT_OPTIONS', `Strategies "${other.name}" and "${name}" share ${callback}`, {
        hint: `Give each a callback of its own: '/auth/${other.name}/callback', '/auth/${name}/callback'.`,
      })
    }
    known.push({ name, callback })
  }
}

/** Of a path only a request says where it is, so it may be any address with that path. */
function samePlace(one: string, other: string): boolean {
  return one === other || pathOf(one) === other || one === pathOf(other)
}

function pathOf(address: string): string | undefined {
  return address.startsWith('/') ? address : URL.parse(address)?.pathname
}
