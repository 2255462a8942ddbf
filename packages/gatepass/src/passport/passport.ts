import { type Awaitable, andThen, settled } from '../awaitable.ts'
import { sha256Hex } from '../crypto/random.ts'
import { checkOptions, kindOf, type OptionKinds, ProtocolError, UsageError } from '../error.ts'
import { authorizationOf, challenge } from '../http/authorization.ts'
import type { Exchange } from '../http/exchange.ts'
import { type LoginProof, readAbout } from '../session/about.ts'
import { hooksOf, type SessionHooks } from '../session/hooks.ts'
import type { SessionManager } from '../session/manager.ts'
import type { Session } from '../session/session.ts'
import type { SessionId, SessionRecord, Timestamp } from '../session/store.ts'
import { BrowserLoginFlow } from './flow.ts'
import { type Linking, LOGIN, type LoginIntent } from './intent.ts'
import {
  ageOf,
  CLOCKS_APART,
  type Failure,
  type Outcome,
  type Redirect,
  type Respond,
  requireUser,
  type Success,
} from './outcome.ts'
import type { Attempt, EndedLogin, LoginFlow, Strategy } from './strategy.ts'
import { checkUsers, hasCurrentStamp, stampOf, subjectOf, type Users } from './users.ts'

/** Every strategy that was asked refused, or none felt concerned; what each said is kept in the order of asking. */
export interface Rejection {
  readonly type: 'rejection'
  readonly failures: readonly (Failure & { readonly strategy: string })[]
  /** That of the first failure which has one, else 401. */
  readonly status: number
  readonly challenges: readonly string[]
  /** What the login was begun for, in an earlier request. */
  readonly intent?: LoginIntent
}

/** What `authenticate` concluded; read it with an exhaustive `switch` on `type`. */
export type Verdict<User> =
  | (Success<User> & {
      readonly strategy: string
      /** What the login was begun for, in an earlier request; of one that was begun to link, nobody is to be logged in. */
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
interface Finding<User> {
  user: User | undefined
  anonymity: Anonymity | undefined
  /** What came of the credentials that the request itself carries. */
  own?: (Success<User> & { readonly strategy?: string }) | Rejection
  /** The login is this request's own: no store knows of it yet. */
  ownLogin?: true
}

/** Decides who is making a request, and keeps that in the session. */
export class Passport<User, Name extends string = string> {
  readonly #users: Users<User>
  readonly #strategies: ReadonlyMap<string, Strategy<User>>
  readonly #sessions: SessionManager<object> | undefined
  readonly #carry: readonly string[]
  readonly #clock: () => Timestamp

  /** @throws {UsageError} `ERR_PASSPORT_OPTIONS` if two strategies share a name or a callback, or one has no name */
  constructor(options: PassportOptions<User, Name>) {
    checkOptions('new Passport()', options, passportOptions, 'ERR_PASSPORT_OPTIONS')
    checkUsers(options.users)
    this.#users = options.users
    this.#strategies = strategiesByName(options.strategies)
    requireOwnCallbacks(options.strategies)
    this.#sessions = options.sessions
    this.#carry = options.carry ?? []
    this.#clock = options.clock ?? Date.now
  }

  /**
   * Asks the strategies in order until one concludes. Changes nothing but the strategies' own login flows.
   *
   * @param wish what a login that begins here is for; default to log in, and nothing else
   * @throws {UsageError} `ERR_PASSPORT_UNKNOWN_STRATEGY`
   */
  async authenticate(
    exchange: Exchange,
    names: Name | readonly Name[],
    options: Readonly<Record<string, unknown>> = {},
    wish: LoginIntent = LOGIN,
  ): Promise<Verdict<User>> {
    const failures: Rejection['failures'][number][] = []
    const begun = wish.purpose === 'link' ? await this.#begun(exchange, wish) : wish
    let intent = begun
    for (const strategy of this.#named(names)) {
      const flow = this.#flow(exchange, strategy.name, intent)
      const attempt: Attempt = { flow, options, sessions: this.#sessions, clock: this.#clock }
      const concluded = settled(strategy.authenticate(exchange, attempt))
      const outcome = this.#standing(concluded instanceof Promise ? await concluded : concluded)
      intent = flow.intent
      switch (outcome.type) {
        case 'success':
          requireUser(`The strategy "${strategy.name}"`, outcome.user)
          // Also for an application that links by the verdict, and not in its strategy.
          if (intent.purpose === 'link' && (await flow.linking()) === undefined) {
            failures.push({ ...LINK_ENDED, strategy: strategy.name })
            break
          }
          return { ...outcome, strategy: strategy.name, ...(intent !== begun && { intent }) }
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
    return { ...rejection(failures), ...(intent !== begun && { intent }) }
  }

  /**
   * Keeps the login in the session, under a new token; a success that does not persist counts for this exchange alone.
   *
   * @throws {UsageError} `ERR_PASSPORT_NO_SESSIONS`, `ERR_PASSPORT_SUBJECT`; `ERR_PASSPORT_OPTIONS` for a success that was
   *   begun to link
   */
  async login(
    exchange: Exchange,
    success: Success<User> & { strategy?: string; intent?: LoginIntent },
    options: LoginOptions = {},
  ): Promise<void> {
    const { user, intent } = success
    if (intent?.purpose === 'link') {
      throw new UsageError('ERR_PASSPORT_OPTIONS', 'What was begun to link an identity is no login', {
        hint: 'Look at `verdict.intent.purpose` before you call login().',
      })
    }
    requireUser('login()', user)
    if (success.persist !== false) {
      const session = await this.#required(exchange)
      const stamp = stampOf(this.#users, user)
      const proof = {
        at: this.#provedAt(exchange, success),
        amr: success.amr ?? [],
        ...(success.strategy !== undefined && { by: success.strategy }),
        ...(success.sid !== undefined && { sid: success.sid }),
        ...(stamp !== undefined && { stamp }),
        ...(options.remember === true && { remembered: true }),
      }
      session.assign(subjectOf(this.#users, user), proof, { carry: this.#carry })
      if (await this.#endedAtProvider(session, success)) {
        session.destroy()
        this.#nobody(exchange, 'not-logged-in')
        return
      }
    }
    const own = success.persist === false ? { own: success } : { ownLogin: true as const }
    exchange.memory.set(this, { user, anonymity: undefined, ...own } satisfies Finding<User>)
  }

  /**
   * Believes what this request says of itself in `Authorization`, and not its cookie: the user, and the session that the
   * credentials name. To be called before anybody opens the session. Credentials that are refused leave nobody.
   */
  async identify(exchange: Exchange, names: Name | readonly Name[]): Promise<void> {
    const verdict = await this.authenticate(exchange, names)
    if (verdict.type === 'success') {
      this.#hooks?.adopt(exchange, verdict.session)
      return this.login(exchange, { ...verdict, persist: false })
    }
    this.#hooks?.adopt(exchange, undefined)
    const own = verdict.type === 'rejection' ? verdict : rejection([])
    exchange.memory.set(this, { user: undefined, anonymity: 'refused', own } satisfies Finding<User>)
  }

  /**
   * What came of the credentials that the request itself carries: the success, with its `scope` and `info`, or why they were
   * refused. `undefined` where a session says who it is, or nobody does.
   */
  credentials(exchange: Exchange): (Success<User> & { readonly strategy?: string }) | Rejection | undefined {
    const known = this.#known(exchange)
    return known instanceof Promise ? undefined : known?.own
  }

  /**
   * Ends this session; `everywhere` ends all sessions of its subject. Harmless when nobody is logged in.
   *
   * @throws {ProtocolError} `ERR_TOKEN_SCOPE` (403) for a token or an API key that belongs to no session: it would go on
   */
  async logout(exchange: Exchange, options: { everywhere?: boolean } = {}): Promise<void> {
    if (this.#sessions !== undefined) {
      const session = await this.#sessions.open(exchange)
      if (session.subject === undefined && this.credentials(exchange)?.type === 'success') throw withoutSession()
      const everywhere = options.everywhere === true
      session.destroy({ everywhere })
      if (everywhere) await hooksOf(this.#sessions).endNow(exchange)
    }
    exchange.memory.set(this, { user: undefined, anonymity: 'not-logged-in' } satisfies Finding<User>)
  }

  /**
   * When a login that is kept was proved. A strategy that does not say proved it now, by a form or by a way to a provider and
   * back. With a token in `Authorization` it did not: 1970, since its age is unknown.
   */
  #provedAt(exchange: Exchange, { at, strategy }: { at?: Timestamp | undefined; strategy?: string }): Timestamp {
    const now = this.#clock()
    if (at === undefined) return strategy === undefined || authorizationOf(exchange) === undefined ? now : 0
    const age = ageOf(at, now)
    return Number.isFinite(age) ? now - age : 0
  }

  /** The logged-in user; looked up at most once per exchange, and at once where store and `users.find` answer at once. */
  user(exchange: Exchange): Awaitable<User | undefined> {
    const known = this.#known(exchange)
    if (known !== undefined) return known instanceof Promise ? known : known.user
    if (this.#sessions === undefined) return this.#nobody(exchange, 'no-sessions')
    const user = andThen(this.#sessions.open(exchange), (session) => this.#userOf(exchange, session))
    return user instanceof Promise ? this.#looking(exchange, user) : user
  }

  /**
   * Whether the login of this exchange still stands: session and user are looked up again, since a body may have been on its way
   * for long. If it has ended, `user` gives nobody from here on.
   */
  stillStands(exchange: Exchange): Awaitable<boolean> {
    const known = this.#known(exchange)
    if (known instanceof Promise || known?.ownLogin === true) return true
    if (this.#sessions?.opened(exchange)?.id === undefined) return known?.user !== undefined
    return andThen(this.#lookAgain(exchange), (now) => {
      if (now === undefined) this.#nobody(exchange, 'unknown')
      return now !== undefined
    })
  }

  /** Why `user` gave nobody; `undefined` when it gave somebody or was not asked. */
  anonymity(exchange: Exchange): Anonymity | undefined {
    const known = this.#known(exchange)
    return known instanceof Promise ? undefined : known?.anonymity
  }

  get #hooks(): SessionHooks | undefined {
    return this.#sessions && hooksOf(this.#sessions)
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
    requireUser('users.find', user)
    if (!hasCurrentStamp(this.#users, user, session.login)) return this.#ended(exchange, session, 'credentials-changed')
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

  /** Credentials that name a session end as it does when the password changes. */
  #standing(outcome: Outcome<User>): Outcome<User> {
    if (outcome.type !== 'success' || outcome.session === undefined || this.#users.stamp === undefined) return outcome
    const { login } = readAbout(outcome.session.about)
    return hasCurrentStamp(this.#users, outcome.user, login) ? outcome : OUTDATED
  }

  /**
   * Whether the provider has said meanwhile that this login has ended there. The session is stored first: of a word that comes
   * from then on `list` tells, and an earlier one has left a note.
   */
  async #endedAtProvider(session: Session<object>, { strategy, sid }: LoginAtProvider): Promise<boolean> {
    if (strategy === undefined || sid === undefined) return false
    await session.update(() => {})
    const { at } = (await this.#hooks?.noted(endedLoginId(strategy, sid))) ?? {}
    return typeof at === 'number' && this.#clock() <= at + CLOCKS_APART
  }

  /**
   * Notes that a login has ended at its provider, for logins that are on their way back from there. To be called before the
   * sessions that it began are ended.
   */
  async noteEndedLogin(strategy: string, { sid, issuedAt }: EndedLogin): Promise<void> {
    if (sid === undefined) return
    await this.#hooks?.note(endedLoginId(strategy, sid), { at: issuedAt }, this.#clock() + LONGEST_LOGIN)
  }

  #required(exchange: Exchange): Awaitable<Session<object>> {
    if (this.#sessions !== undefined) return this.#sessions.open(exchange)
    throw new UsageError('ERR_PASSPORT_NO_SESSIONS', 'A login cannot be kept without sessions', {
      hint: 'Give `sessions` to Passport, or let the strategy return `persist: false`.',
    })
  }

  #flow(exchange: Exchange, strategy: string, intent: LoginIntent): LoginFlow {
    if (this.#sessions === undefined) return { ...withoutSessions, intent }
    const linking = (begun: LoginIntent) => this.#linking(exchange, begun)
    return new BrowserLoginFlow(exchange, this.#sessions, { strategy, intent, linking, clock: this.#clock })
  }

  /** A link is bound to the session and the credentials that it begins with. */
  async #begun(exchange: Exchange, wish: LoginIntent): Promise<LoginIntent> {
    if (this.#sessions === undefined) return wish
    const { handle: session, login } = await this.#sessions.open(exchange)
    return {
      ...wish,
      ...(session !== undefined && { session }),
      ...(login?.stamp !== undefined && { stamp: login.stamp }),
    }
  }

  /** Asks store and application anew: what this exchange knows may be older than the provider's answer. */
  async #linking(exchange: Exchange, begun: LoginIntent): Promise<Linking | undefined> {
    const { purpose, subject, session, stamp } = begun
    if (purpose !== 'link' || subject === undefined || session === undefined) return undefined
    const now = await this.#lookAgain(exchange)
    if (now?.record.handle !== session || now.record.subject !== subject || now.login?.stamp !== stamp) return undefined
    const stillStands = async () => (await this.#linking(exchange, begun)) !== undefined
    return { subject, stamp: this.#users.stamp?.(now.user), sessionId: now.record.id, stillStands }
  }

  /** The login of this exchange's session as store and application have it now; `undefined`: it has ended. */
  #lookAgain(exchange: Exchange): Awaitable<{ record: SessionRecord; login?: LoginProof; user: User } | undefined> {
    const { id = '' } = this.#sessions?.opened(exchange) ?? {}
    return andThen(this.#hooks?.record(id), (record) => {
      const subject = record?.subject
      if (record === undefined || typeof subject !== 'string') return undefined
      const { login } = readAbout(record.about)
      return andThen(settled(this.#users.find(subject)), (user) => {
        if (user === undefined || user === null || user === false) return undefined
        requireUser('users.find', user)
        return hasCurrentStamp(this.#users, user, login) ? { record, user, ...(login && { login }) } : undefined
      })
    })
  }

  /**
   * Whether another site's page may post to this address, on behalf of the browser: all of the named strategies say so, or
   * any if none is named. They send the browser on, and do nothing else.
   */
  takesForeignPost(exchange: Exchange, names?: Name | readonly Name[]): boolean {
    const path = exchange.target.split('?', 1)[0]
    const expected = (strategy: Strategy<User>) => strategy.foreignPost !== undefined && strategy.foreignPost === path
    return names === undefined ? [...this.#strategies.values()].some(expected) : this.#named(names).every(expected)
  }

  /** Whether a strategy leads to a provider and back. */
  get leavesTheSite(): boolean {
    return [...this.#strategies.values()].some(({ callback }) => callback !== undefined)
  }

  /**
   * The strategy of this name; `undefined` if there is none any more.
   *
   * @param name as `LoginProof.by` has it
   */
  strategy(name: string): Strategy<User> | undefined {
    return this.#strategies.get(name)
  }

  /**
   * The strategies of these names, one at least.
   *
   * @throws {UsageError} `ERR_PASSPORT_UNKNOWN_STRATEGY`, `ERR_PASSPORT_OPTIONS`
   */
  strategies(names: Name | readonly Name[] | undefined): readonly Strategy<User>[] {
    const list: unknown = typeof names === 'string' ? [names] : names
    if (!Array.isArray(list) || list.length === 0) {
      throw new UsageError('ERR_PASSPORT_OPTIONS', `A strategy is named by its text, and not by ${kindOf(names)}`, {
        hint: "Name one, 'local', or several: ['local', 'google'].",
      })
    }
    return this.#named(list as Name[])
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

/** How long a login may take to come back from its provider, in milliseconds. */
const LONGEST_LOGIN = 600_000

interface LoginAtProvider {
  readonly strategy?: string
  readonly sid?: string
}

function endedLoginId(strategy: string, sid: string): SessionId {
  return sha256Hex(`gatepass:ended-login:${JSON.stringify([strategy, sid])}`) as SessionId
}

/** Says nothing of what a strategy may have linked a moment before the session ended. */
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

function withoutSession(): ProtocolError {
  return new ProtocolError('ERR_TOKEN_SCOPE', 'There is no session to log out of: these credentials belong to none', {
    status: 403,
    hint: 'Revoke the API key, let the token expire, or log out with the session cookie and without Authorization.',
  })
}

/** The flow of a Passport without sessions: a strategy that needs one cannot work there. */
const withoutSessions: Omit<LoginFlow, 'intent'> = {
  unknown: false,
  async start(): Promise<string> {
    throw new UsageError('ERR_PASSPORT_NO_SESSIONS', 'This strategy has to remember something between two requests', {
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

function strategiesByName<User>(strategies: readonly Strategy<User>[]): ReadonlyMap<string, Strategy<User>> {
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

function rejection(failures: Rejection['failures']): Rejection {
  return {
    type: 'rejection',
    failures,
    status: failures.find((failure) => failure.status !== undefined)?.status ?? 401,
    challenges: [...new Set(failures.flatMap((failure) => failure.challenge ?? []))],
  }
}
