import { type Awaitable, andThen, remembered } from '../awaitable.ts'
import { sha256Hex } from '../crypto/random.ts'
import { checkOptions, kindOf, type OptionKinds, ProtocolError, subjectText, UsageError } from '../error.ts'
import { challenge } from '../http/authorization.ts'
import { type Exchange, pathOf } from '../http/exchange.ts'
import { readAbout } from '../session/about.ts'
import { hooksOf, type SessionHooks } from '../session/hooks.ts'
import type { SessionManager } from '../session/manager.ts'
import type { Session } from '../session/session.ts'
import type { SessionId, Timestamp } from '../session/store.ts'
import { currentLogin, type LoginSource, linkingOf } from './current-login.ts'
import { BrowserLoginFlow, flowWithoutSessions } from './flow.ts'
import {
  ageOf,
  type Failure,
  PROVIDER_BEHIND,
  type Redirect,
  type Respond,
  requireUser,
  type Success,
} from './outcome.ts'
import {
  type Attempt,
  type EndedLogin,
  LOGIN,
  LONGEST_LOGIN,
  type LoginFlow,
  type LoginIntent,
  type Strategy,
  strategiesByName,
} from './strategy.ts'
import { checkUsers, hasCurrentStamp, stampOf, type Users } from './users.ts'

/** Every strategy that was asked refused or passed. The failures stand in the order of asking. */
export interface Rejection {
  readonly type: 'rejection'
  readonly failures: readonly (Failure & { readonly strategy: string })[]
  /** The status of the first failure that has one, else 401. */
  readonly status: number
  readonly challenges: readonly string[]
  /** The intent of the earlier request that began this login. */
  readonly intent?: LoginIntent
}

/** What `authenticate` concluded. Read it with an exhaustive `switch` on `type`. */
export type Verdict<User> =
  | (Success<User> & {
      readonly strategy: string
      /** The intent of the earlier request that began this login. If it was begun to link an account, log in no user. */
      readonly intent?: LoginIntent
    })
  | Redirect
  | Respond
  | Rejection

/** Why a request has no user. */
export type Anonymity =
  | NonNullable<Session['absence']>
  | 'not-logged-in'
  | 'user-gone'
  | 'credentials-changed'
  | 'no-sessions'
  /** The credentials in `Authorization` were refused. */
  | 'refused'

export interface PassportOptions<User, Name extends string = string> {
  users: Users<User>
  /** Routes name them, so their names must differ. */
  strategies: readonly Strategy<NoInfer<User>, Name>[]
  /** Where logins are kept. Leave it out when every request carries its own credentials. */
  sessions?: SessionManager<object>
  /**
   * Keys of the session data that survive a login, such as a cart or a language. Default none, because an attacker who planted
   * a session in the browser chose its data. Flash messages always survive.
   */
  carry?: readonly string[]
  clock?: () => Timestamp
}

export const passportOptions: OptionKinds<PassportOptions<unknown>> = {
  users: 'object',
  strategies: 'any',
  sessions: 'object',
  carry: 'list',
  clock: 'function',
}

export interface LoginOptions {
  /** Keeps the login across restarts of the browser, under the session's `remember` timeouts. Default false. */
  remember?: boolean
}

/** What this Passport knows about one exchange, so that a user is looked up at most once. */
interface Decision<User> {
  user: User | undefined
  anonymity: Anonymity | undefined
  /** The verdict on the credentials that the request itself carries. */
  credentials?: (Success<User> & { readonly strategy?: string }) | Rejection
  /** This request logged in, and the store does not have the login yet. */
  loggedInHere?: true
}

/** The decision, or the look-up that it will come from. */
type Known<User> = Decision<User> | Promise<User | undefined> | undefined

/** Decides who is making a request, and keeps that in the session. */
export class Passport<User, Name extends string = string> {
  readonly #users: Users<User>
  readonly #source: LoginSource<User>
  readonly #strategies: ReadonlyMap<string, Strategy<User>>
  /** The paths to which a page of another site may post. */
  readonly #foreignPosts: ReadonlySet<string>
  readonly #sessions: SessionManager<object> | undefined
  readonly #carry: readonly string[]
  readonly #clock: () => Timestamp

  /** @throws {UsageError} `ERR_PASSPORT_OPTIONS` if two strategies share a name or a callback, or one has no name */
  constructor(options: PassportOptions<User, Name>) {
    checkOptions('new Passport()', options, passportOptions, 'ERR_PASSPORT_OPTIONS')
    checkUsers(options.users)
    this.#users = options.users
    this.#source = { users: options.users, sessions: options.sessions }
    this.#strategies = strategiesByName(options.strategies)
    this.#foreignPosts = new Set(options.strategies.flatMap(({ foreignPost }) => foreignPost ?? []))
    this.#sessions = options.sessions
    this.#carry = options.carry ?? []
    this.#clock = options.clock ?? Date.now
  }

  /**
   * Asks the strategies in order until one concludes. It changes only the strategies' own login flows.
   *
   * @param requested what a login that begins here is for; default: to log in
   * @throws {UsageError} `ERR_PASSPORT_UNKNOWN_STRATEGY`; `ERR_PASSPORT_OPTIONS` if no strategy is named
   */
  async authenticate(
    exchange: Exchange,
    names: Name | readonly Name[],
    options: Readonly<Record<string, unknown>> = {},
    requested: LoginIntent = LOGIN,
  ): Promise<Verdict<User>> {
    const failures: Rejection['failures'][number][] = []
    const sessions = this.#sessions
    let bound = requested
    if (requested.purpose === 'link' && sessions !== undefined) {
      // A link is bound to the session and the credentials that it begins with.
      const { handle: session, login } = await sessions.open(exchange)
      const stamp = login?.stamp
      bound = { ...requested, ...(session !== undefined && { session }), ...(stamp !== undefined && { stamp }) }
    }
    let current = bound
    const asked = this.strategies(names)
    for (const strategy of asked) {
      const owner = { strategy: strategy.name, intent: current, clock: this.#clock }
      const flow: LoginFlow =
        sessions === undefined
          ? { ...flowWithoutSessions, intent: current }
          : new BrowserLoginFlow(exchange, sessions, {
              ...owner,
              linking: (link) => linkingOf(this.#source, exchange, link),
            })
      const stillStands = (): Awaitable<boolean> => this.#arrivedLoginStands(exchange, flow)
      const alone = asked.length === 1
      const attempt: Attempt = { flow, options, alone, sessions, clock: this.#clock, stillStands }
      let outcome = await strategy.authenticate(exchange, attempt)
      if (outcome.type === 'success' && outcome.session !== undefined && this.#users.stamp !== undefined) {
        // Credentials that name a session end as it does when the password changes.
        const { login } = readAbout(outcome.session.about)
        if (!hasCurrentStamp(this.#users, outcome.user, login)) outcome = OUTDATED
      }
      // The strategy finished a flow: the browser has just come back from the provider, so the login was proved now.
      const finished = flow.intent !== current
      current = flow.intent
      switch (outcome.type) {
        case 'success':
          requireUser(`The strategy "${strategy.name}"`, outcome.user)
          if (!(await this.#mayFollow(exchange, outcome, flow))) {
            failures.push({ ...LINK_ENDED, strategy: strategy.name })
            break
          }
          return {
            ...outcome,
            strategy: strategy.name,
            ...(finished && outcome.at === undefined && { at: this.#clock() }),
            ...(current !== bound && { intent: current }),
          }
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
    return { ...rejection(failures), ...(current !== bound && { intent: current }) }
  }

  /**
   * Keeps the login in the session, under a new token. A success with `persist: false` counts for this exchange only.
   *
   * @returns false if the provider has ended this login in the meantime; then no user is logged in
   * @throws {UsageError} `ERR_PASSPORT_NO_SESSIONS`, `ERR_PASSPORT_SUBJECT`; `ERR_PASSPORT_OPTIONS` for a success that was
   *   begun to link
   */
  async login(
    exchange: Exchange,
    success: Success<User> & { strategy?: string; intent?: LoginIntent },
    options: LoginOptions = {},
  ): Promise<boolean> {
    const { user, intent } = success
    if (intent?.purpose === 'link') {
      throw new UsageError('ERR_PASSPORT_OPTIONS', 'A login that was begun to link an identity must not log in', {
        hint: 'Check `verdict.intent.purpose` before you call login().',
      })
    }
    requireUser('login()', user)
    if (success.persist !== false) {
      if (this.#sessions === undefined) {
        throw new UsageError('ERR_PASSPORT_NO_SESSIONS', 'A login cannot be kept without sessions', {
          hint: 'Give `sessions` to Passport, or let the strategy return `persist: false`.',
        })
      }
      const session = await this.#sessions.open(exchange)
      const now = this.#clock()
      // A login that is kept begins now, unless it says when it was proved. A login of unknown age is one of 1970.
      const { ageUnknown = false } = this.#strategies.get(success.strategy ?? '') ?? {}
      const age = success.at === undefined && !ageUnknown ? 0 : ageOf(success.at, now)
      const at = Number.isFinite(age) ? now - age : 0
      const stamp = this.#users.stamp && stampOf(this.#users, user)
      const proof = {
        at,
        amr: success.amr ?? [],
        ...(success.strategy !== undefined && { by: success.strategy }),
        ...(success.sid !== undefined && { sid: success.sid }),
        ...(stamp !== undefined && { stamp }),
        ...(options.remember === true && { remembered: true }),
      }
      const subject = subjectText('users.subject', this.#users.subject(user))
      session.assign(subject, proof, { carry: this.#carry })
      if (success.strategy !== undefined && success.sid !== undefined) {
        // The provider may have ended this login meanwhile. The session is stored first: from then on a logout message finds
        // it in `list`, and an earlier message has left a note.
        await session.update(() => {})
        const { at: endedAt } = (await this.#hooks?.noted(endedLoginId(success.strategy, success.sid))) ?? {}
        if (typeof endedAt === 'number' && this.#clock() <= endedAt + PROVIDER_BEHIND) {
          session.destroy()
          this.#noUser(exchange, 'not-logged-in')
          return false
        }
      }
    }
    const own = success.persist === false ? { credentials: success } : { loggedInHere: true as const }
    exchange.memory.set(this, { user, anonymity: undefined, ...own } satisfies Decision<User>)
    return true
  }

  /**
   * Takes user and session from the `Authorization` field of this request, and not from its cookie. Call it before the session
   * is opened. If the credentials are refused, the request has no user.
   */
  async identify(exchange: Exchange, names: Name | readonly Name[]): Promise<void> {
    const verdict = await this.authenticate(exchange, names)
    if (verdict.type === 'success') {
      this.#hooks?.adopt(exchange, verdict.session)
      await this.login(exchange, { ...verdict, persist: false })
      return
    }
    this.#hooks?.adopt(exchange, undefined)
    const credentials = verdict.type === 'rejection' ? verdict : rejection([])
    exchange.memory.set(this, { user: undefined, anonymity: 'refused', credentials } satisfies Decision<User>)
  }

  /**
   * The verdict on the credentials that the request itself carries: the success with its `scope` and `info`, or why they were
   * refused. `undefined` if the user comes from a session, or if there is no user.
   */
  credentials(exchange: Exchange): (Success<User> & { readonly strategy?: string }) | Rejection | undefined {
    return this.#decided(exchange)?.credentials
  }

  /**
   * Ends this session; `everywhere` ends all sessions of its subject. Harmless if no user is logged in.
   *
   * @throws {ProtocolError} `ERR_TOKEN_SCOPE` (403) for a token or an API key without a session: it would stay valid
   */
  async logout(exchange: Exchange, options: { everywhere?: boolean } = {}): Promise<void> {
    if (this.#sessions !== undefined) {
      const session = await this.#sessions.open(exchange)
      if (session.subject === undefined && this.credentials(exchange)?.type === 'success') throw noSessionToEnd()
      const everywhere = options.everywhere === true
      session.destroy({ everywhere })
      if (everywhere) await hooksOf(this.#sessions).endNow(exchange)
    }
    exchange.memory.set(this, { user: undefined, anonymity: 'not-logged-in' } satisfies Decision<User>)
  }

  /** The logged-in user. It is looked up at most once per exchange, without waiting if store and `users.find` answer at once. */
  user(exchange: Exchange): Awaitable<User | undefined> {
    const { memory } = exchange
    const known = memory.get(this) as Known<User>
    if (known !== undefined) return known instanceof Promise ? known : known.user
    if (this.#sessions === undefined) return this.#noUser(exchange, 'no-sessions')
    const opened = this.#sessions.open(exchange)
    const user =
      opened instanceof Promise ? opened.then((session) => this.#find(exchange, session)) : this.#find(exchange, opened)
    if (!(user instanceof Promise)) return user
    return remembered(memory, this, user)
  }

  /** Looks up the user of the session. The login ends if the user is gone or the credentials have changed. */
  #find(exchange: Exchange, session: Session<object>): Awaitable<User | undefined> {
    const { subject, absence = 'not-logged-in' } = session
    if (subject === undefined) return this.#noUser(exchange, absence)
    const found = this.#users.find(subject)
    // A query builder is not a Promise, but has a `then`.
    if (typeof found !== 'object' || found === null || !('then' in found)) return this.#found(exchange, session, found)
    return Promise.resolve(found as PromiseLike<User>).then((user) => this.#found(exchange, session, user))
  }

  #found(exchange: Exchange, session: Session<object>, found: User | undefined | null | false): User | undefined {
    // A logout or another login may have happened during the lookup.
    const decided = exchange.memory.get(this) as Known<User>
    if (decided !== undefined && !(decided instanceof Promise)) return decided.user
    if (found === undefined || found === null || found === false) return this.#ended(exchange, session, 'user-gone')
    requireUser('users.find', found)
    // Without stamps, the session's login need not be parsed.
    if (this.#users.stamp !== undefined && !hasCurrentStamp(this.#users, found, session.login)) {
      return this.#ended(exchange, session, 'credentials-changed')
    }
    exchange.memory.set(this, { user: found, anonymity: undefined } satisfies Decision<User>)
    return found
  }

  /**
   * Whether the login of this exchange still stands. Session and user are looked up again, since a body may have taken long to
   * arrive. If the login has ended, `user` gives `undefined` from here on.
   */
  stillStands(exchange: Exchange): Awaitable<boolean> {
    const looking = exchange.memory.get(this)
    if (looking instanceof Promise) return looking.then(() => this.stillStands(exchange))
    const known = this.#decided(exchange)
    if (known?.loggedInHere === true) return true
    if (this.#sessions?.opened(exchange)?.id === undefined) return known?.user !== undefined
    return andThen(currentLogin(this.#source, exchange), (now) => {
      if (now === undefined) this.#noUser(exchange, 'unknown')
      return now !== undefined
    })
  }

  /** Why `user` gave no user. `undefined` if it gave one, or was not asked. */
  anonymity(exchange: Exchange): Anonymity | undefined {
    return this.#decided(exchange)?.anonymity
  }

  get #hooks(): SessionHooks | undefined {
    return this.#sessions && hooksOf(this.#sessions)
  }

  /** What was found; `undefined` while the user is looked up, and before. */
  #decided(exchange: Exchange): Decision<User> | undefined {
    const known = exchange.memory.get(this) as Known<User>
    return known instanceof Promise ? undefined : known
  }

  #ended(exchange: Exchange, session: Session<object>, anonymity: Anonymity): undefined {
    try {
      session.destroy()
    } catch (error) {
      // The response has begun, so the next request ends the session.
      if (!(error instanceof UsageError && error.code === 'ERR_RESPONSE_STARTED')) throw error
    }
    return this.#noUser(exchange, anonymity)
  }

  #noUser(exchange: Exchange, anonymity: Anonymity): undefined {
    exchange.memory.set(this, { user: undefined, anonymity } satisfies Decision<User>)
    return undefined
  }

  /**
   * Notes that a login has ended at its provider, for callbacks that arrive later. Call it before you end the sessions of that
   * login.
   */
  async noteEndedLogin(strategy: string, { sid, issuedAt }: EndedLogin): Promise<void> {
    if (sid === undefined) return
    await this.#hooks?.note(endedLoginId(strategy, sid), { at: issuedAt }, this.#clock() + LONGEST_LOGIN * 1000)
  }

  /** Whether the login that the request arrived with still stands, also where its session has moved; true if it had none. */
  #arrivedLoginStands(exchange: Exchange, flow: LoginFlow): Awaitable<boolean> {
    if (flow.intent.purpose === 'link') return flow.linking().then((linking) => linking !== undefined)
    const subject = this.#sessions?.opened(exchange)?.subject
    if (subject === undefined) return true
    return andThen(this.user(exchange), (user) => {
      // A login that was over when the request arrived shows no user to the strategy.
      if (user === undefined || this.#decided(exchange)?.loggedInHere === true) return true
      return andThen(
        currentLogin(this.#source, exchange, 'rotation or login'),
        (now) => now?.record.subject === subject,
      )
    })
  }

  /**
   * Whether a login or a link may follow from this success. A strategy may have taken its user from the login that the request
   * arrived with, or have linked an identity to it, and have waited since: that login must not have ended meanwhile.
   */
  #mayFollow(exchange: Exchange, { user, persist }: Success<User>, flow: LoginFlow): Awaitable<boolean> {
    if (flow.intent.purpose === 'link') return this.#arrivedLoginStands(exchange, flow)
    const subject = this.#sessions?.opened(exchange)?.subject
    if (subject === undefined || persist === false) return true
    if (subjectText('users.subject', this.#users.subject(user)) !== subject) return true
    return this.#arrivedLoginStands(exchange, flow)
  }

  /**
   * Whether a page of another site may post to this path. With `names`, every named strategy must allow it; without, one
   * strategy is enough. Such a strategy only sends the browser on.
   */
  takesForeignPost(exchange: Exchange, names?: Name | readonly Name[]): boolean {
    if (exchange.method !== 'POST' || this.#foreignPosts.size === 0) return false
    const path = pathOf(exchange)
    if (!this.#foreignPosts.has(path)) return false
    return names === undefined || this.strategies(names).every(({ foreignPost }) => foreignPost === path)
  }

  /** Whether a strategy leads to a provider and back. */
  get leavesTheSite(): boolean {
    return [...this.#strategies.values()].some(({ callback }) => callback !== undefined)
  }

  /**
   * The strategy of this name; `undefined` if it was removed.
   *
   * @param name as `LoginProof.by` has it
   */
  strategy(name: string): Strategy<User> | undefined {
    return this.#strategies.get(name)
  }

  /**
   * The strategies of these names, at least one.
   *
   * @throws {UsageError} `ERR_PASSPORT_UNKNOWN_STRATEGY`, `ERR_PASSPORT_OPTIONS`
   */
  strategies(names: Name | readonly Name[] | undefined): readonly Strategy<User>[] {
    const list = typeof names === 'string' ? [names] : names
    if (!Array.isArray(list) || list.length === 0) {
      throw new UsageError('ERR_PASSPORT_OPTIONS', `A strategy is named by a text, not by ${kindOf(names)}`, {
        hint: "Name one, 'local', or several: ['local', 'google'].",
      })
    }
    const named: Strategy<User>[] = []
    for (const name of list) {
      const strategy = this.#strategies.get(name)
      if (strategy === undefined) {
        throw new UsageError('ERR_PASSPORT_UNKNOWN_STRATEGY', `No strategy is named "${name}"`, {
          hint: `Known strategies: ${[...this.#strategies.keys()].join(', ') || 'none'}.`,
        })
      }
      named.push(strategy)
    }
    return named
  }
}

function endedLoginId(strategy: string, sid: string): SessionId {
  return sha256Hex(`gatepass:ended-login:${JSON.stringify([strategy, sid])}`) as SessionId
}

/** A strategy may have linked something a moment before the session ended. The failure does not say whether it did. */
const LINK_ENDED: Failure = {
  type: 'failure',
  reason: 'expired',
  code: 'ERR_OAUTH_LINK_ENDED',
  message: 'The login with which you began this has ended. Log in again.',
}

const OUTDATED: Failure = {
  type: 'failure',
  reason: 'expired',
  message: 'The credentials have changed since this token was issued.',
  challenge: challenge('Bearer', { error: 'invalid_token' }),
}

function noSessionToEnd(): ProtocolError {
  return new ProtocolError(
    'ERR_TOKEN_SCOPE',
    'These credentials do not belong to a session, so they cannot log out of one',
    {
      status: 403,
      hint: 'Revoke the API key, let the token expire, or log out with the session cookie and without Authorization.',
    },
  )
}

/** The verdict on failures, in the order of asking. */
export function rejection(failures: Rejection['failures']): Rejection {
  return {
    type: 'rejection',
    failures,
    status: failures.find((failure) => failure.status !== undefined)?.status ?? 401,
    challenges: [...new Set(failures.flatMap((failure) => failure.challenge ?? []))],
  }
}
