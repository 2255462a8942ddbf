import { type Awaitable, andThen, settled } from '../awaitable.ts'
import { UsageError } from '../error.ts'
import type { Exchange } from '../http/exchange.ts'
import type { SessionManager } from '../session/manager.ts'
import type { Session } from '../session/session.ts'
import type { Timestamp } from '../session/store.ts'
import { SessionLoginFlow } from './flow.ts'
import type { Failure, Redirect, Respond, Success } from './outcome.ts'
import type { Attempt, LoginFlow, Strategy } from './strategy.ts'
import { stampOf, subjectOf, type Users } from './users.ts'

/** Every strategy that was asked refused, or none felt concerned; what each said is kept in the order of asking. */
export interface Rejection {
  readonly type: 'rejection'
  readonly failures: readonly (Failure & { readonly strategy: string })[]
  /** That of the first failure which has one, else 401. */
  readonly status: number
  readonly challenges: readonly string[]
}

/** What `authenticate` concluded; read it with an exhaustive `switch` on `type`. */
export type Verdict<User> = (Success<User> & { readonly strategy: string }) | Redirect | Respond | Rejection

/** Why a request has no user. */
export type Anonymity =
  | NonNullable<Session['absence']>
  | 'not-logged-in'
  | 'user-gone'
  | 'credentials-changed'
  | 'no-sessions'

export interface PassportOptions<User, Name extends string = string> {
  users: Users<User>
  /** Asked by name; names must differ. */
  strategies: readonly Strategy<NoInfer<User>, Name>[]
  /** Where logins are kept. Leave it out when every request carries its own credentials. */
  sessions?: SessionManager<object>
  /**
   * Keys of the session data that survive the login of a visitor: a cart, a language. Default none, since whoever planted
   * a session in the browser chose its data; flash messages survive always.
   */
  carry?: readonly string[]
  clock?: () => Timestamp
}

export interface LoginOptions {
  /** Keeps the login across restarts of the browser, under the session's `remember` timeouts. Default false. */
  remember?: boolean
}

/** What this Passport knows about one exchange, so that a user is looked up at most once. */
interface Finding<User> {
  user: User | undefined
  anonymity: Anonymity | undefined
}

/** Decides who is making a request, and keeps that in the session. */
export class Passport<User, Name extends string = string> {
  readonly #users: Users<User>
  readonly #strategies: ReadonlyMap<string, Strategy<User>>
  readonly #sessions: SessionManager<object> | undefined
  readonly #carry: readonly string[]
  readonly #clock: () => Timestamp

  /** @throws {UsageError} `ERR_PASSPORT_OPTIONS` if two strategies share a name or one has none */
  constructor(options: PassportOptions<User, Name>) {
    this.#users = options.users
    this.#strategies = strategiesByName(options.strategies)
    this.#sessions = options.sessions
    this.#carry = options.carry ?? []
    this.#clock = options.clock ?? Date.now
  }

  /**
   * Asks the strategies in order until one concludes. Changes nothing but the strategies' own login flows.
   *
   * @throws {UsageError} `ERR_PASSPORT_UNKNOWN_STRATEGY`
   */
  async authenticate(
    exchange: Exchange,
    names: Name | readonly Name[],
    options: Readonly<Record<string, unknown>> = {},
  ): Promise<Verdict<User>> {
    const failures: Rejection['failures'][number][] = []
    for (const strategy of this.#named(names)) {
      const attempt: Attempt = { flow: this.#flow(exchange, strategy.name), options }
      const outcome = await strategy.authenticate(exchange, attempt)
      switch (outcome.type) {
        case 'success':
          return { ...outcome, strategy: strategy.name }
        case 'redirect':
        case 'respond':
          return outcome
        case 'failure':
          failures.push({ ...outcome, strategy: strategy.name })
          break
        case 'pass':
          break
      }
    }
    return rejection(failures)
  }

  /**
   * Keeps the login in the session, under a new token; a success that does not persist counts for this exchange alone.
   *
   * @throws {UsageError} `ERR_PASSPORT_NO_SESSIONS`, `ERR_PASSPORT_SUBJECT`
   */
  async login(
    exchange: Exchange,
    success: Success<User> & { strategy?: string },
    options: LoginOptions = {},
  ): Promise<void> {
    const { user } = success
    if (success.persist !== false) {
      const session = await this.#required(exchange)
      const stamp = stampOf(this.#users, user)
      const proof = {
        at: this.#clock(),
        amr: success.amr ?? [],
        ...(success.strategy !== undefined && { by: success.strategy }),
        ...(stamp !== undefined && { stamp }),
        ...(options.remember === true && { remembered: true }),
      }
      session.assign(subjectOf(this.#users, user), proof, { carry: this.#carry })
    }
    exchange.memory.set(this, { user, anonymity: undefined } satisfies Finding<User>)
  }

  /** Ends this session; `everywhere` ends all sessions of its subject. Harmless when nobody is logged in. */
  async logout(exchange: Exchange, options: { everywhere?: boolean } = {}): Promise<void> {
    if (this.#sessions !== undefined) {
      const session = await this.#sessions.open(exchange)
      if (options.everywhere === true && session.subject !== undefined) await this.#sessions.revokeAll(session.subject)
      session.destroy()
    }
    exchange.memory.set(this, { user: undefined, anonymity: 'not-logged-in' } satisfies Finding<User>)
  }

  /** The logged-in user; looked up at most once per exchange, and at once where store and `users.find` answer at once. */
  user(exchange: Exchange): Awaitable<User | undefined> {
    const known = this.#known(exchange)
    if (known !== undefined) return known instanceof Promise ? known : known.user
    if (this.#sessions === undefined) return this.#nobody(exchange, 'no-sessions')
    const user = andThen(this.#sessions.open(exchange), (session) => this.#userOf(exchange, session))
    return user instanceof Promise ? this.#looking(exchange, user) : user
  }

  /** Why `user` gave nobody; `undefined` when it gave somebody or was not asked. */
  anonymity(exchange: Exchange): Anonymity | undefined {
    const known = this.#known(exchange)
    return known instanceof Promise ? undefined : known?.anonymity
  }

  #known(exchange: Exchange): Finding<User> | Promise<User | undefined> | undefined {
    return exchange.memory.get(this) as Finding<User> | Promise<User | undefined> | undefined
  }

  /** Whoever asks meanwhile shares the lookup; after a failure the next one tries again. */
  #looking(exchange: Exchange, user: Promise<User | undefined>): Promise<User | undefined> {
    const { memory } = exchange
    const looking = user.catch((error: unknown) => {
      if (memory.get(this) === looking) memory.delete(this)
      throw error
    })
    memory.set(this, looking)
    return looking
  }

  #userOf(exchange: Exchange, session: Session<object>): Awaitable<User | undefined> {
    const { subject } = session
    if (subject === undefined) return this.#nobody(exchange, session.absence ?? 'not-logged-in')
    return andThen(settled(this.#users.find(subject)), (user) => this.#checked(exchange, session, user))
  }

  #checked(exchange: Exchange, session: Session<object>, user: User | undefined | null | false): User | undefined {
    // A logout, or another login, may have come in while the application looked.
    const decided = this.#known(exchange)
    if (decided !== undefined && !(decided instanceof Promise)) return decided.user
    if (user === undefined || user === null || user === false) return this.#ended(exchange, session, 'user-gone')
    if (this.#users.stamp !== undefined && stampOf(this.#users, user) !== session.login?.stamp) {
      return this.#ended(exchange, session, 'credentials-changed')
    }
    exchange.memory.set(this, { user, anonymity: undefined } satisfies Finding<User>)
    return user
  }

  #ended(exchange: Exchange, session: Session<object>, anonymity: Anonymity): undefined {
    try {
      session.destroy()
    } catch (error) {
      // First asked for after the response began: the next request ends the session.
      if (!(error instanceof UsageError && error.code === 'ERR_RESPONSE_STARTED')) throw error
    }
    return this.#nobody(exchange, anonymity)
  }

  #nobody(exchange: Exchange, anonymity: Anonymity): undefined {
    exchange.memory.set(this, { user: undefined, anonymity } satisfies Finding<User>)
    return undefined
  }

  #required(exchange: Exchange): Awaitable<Session<object>> {
    if (this.#sessions !== undefined) return this.#sessions.open(exchange)
    throw new UsageError('ERR_PASSPORT_NO_SESSIONS', 'A login cannot be kept without sessions', {
      hint: 'Give `sessions` to Passport, or let the strategy return `persist: false`.',
    })
  }

  #flow(exchange: Exchange, strategy: string): LoginFlow {
    return this.#sessions === undefined
      ? withoutSessions
      : new SessionLoginFlow(exchange, this.#sessions, strategy, this.#clock)
  }

  #named(names: Name | readonly Name[]): Strategy<User>[] {
    const list: readonly string[] = typeof names === 'string' ? [names] : names
    return list.map((name) => {
      const strategy = this.#strategies.get(name)
      if (strategy !== undefined) return strategy
      throw new UsageError('ERR_PASSPORT_UNKNOWN_STRATEGY', `No strategy is named "${name}"`, {
        hint: `Known strategies: ${[...this.#strategies.keys()].join(', ') || 'none'}.`,
      })
    })
  }
}

/** The flow of a Passport without sessions: a strategy that needs one cannot work there. */
const withoutSessions: LoginFlow = {
  async start(): Promise<string> {
    throw new UsageError('ERR_PASSPORT_NO_SESSIONS', 'This strategy has to remember something between two requests', {
      hint: 'Give `sessions` to Passport.',
    })
  },
  async finish(): Promise<undefined> {
    return undefined
  },
}

function strategiesByName<User>(strategies: readonly Strategy<User>[]): ReadonlyMap<string, Strategy<User>> {
  const byName = new Map<string, Strategy<User>>()
  for (const strategy of strategies) {
    if (typeof strategy.name !== 'string' || strategy.name === '' || byName.has(strategy.name)) {
      throw new UsageError('ERR_PASSPORT_OPTIONS', `Strategy name "${strategy.name}" is empty or used twice`, {
        hint: 'Give every strategy a name of its own.',
      })
    }
    byName.set(strategy.name, strategy)
  }
  return byName
}

function rejection(failures: Rejection['failures']): Rejection {
  return {
    type: 'rejection',
    failures,
    status: failures.find((failure) => failure.status !== undefined)?.status ?? 401,
    challenges: failures.flatMap((failure) => failure.challenge ?? []),
  }
}
