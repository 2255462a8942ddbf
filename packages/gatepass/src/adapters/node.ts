import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Awaitable, andThen, orElse } from '../awaitable.ts'
import { checkOptions, type ErrorCode, type OptionKinds, UsageError } from '../error.ts'
import { describeFailure, keepFromCaches, writeCookies } from '../http/answer.ts'
import { errorReply } from '../http/error-reply.ts'
import type { Reply } from '../http/exchange.ts'
import {
  exchangeOf,
  type NodeExchange,
  NodeHead,
  type NodeOptions,
  type NodeSettings,
  nodeOptions,
  nodeSettings,
  sendReply,
} from '../http/node.ts'
import type { Answerer } from '../http/promises.ts'
import { beforeResponse } from '../http/response-gate.ts'
import { Gatepass, type GatepassOptions, gatepassOptions } from '../passport/gatepass.ts'
import type { Success, UserObject } from '../passport/outcome.ts'
import type { LoginOptions, Passport, Verdict } from '../passport/passport.ts'
import { checkUsers } from '../passport/users.ts'
import type { SessionData } from '../register.ts'
import type { SessionManager } from '../session/manager.ts'
import type { Session } from '../session/session.ts'
import { makerOf, type NoMore, noHandler } from './route-steps.ts'

export { type LocationOptions, safeLocation } from '../http/location.ts'
export type { NodeOptions } from '../http/node.ts'
export { allowCrossOrigin, csrfFormField } from '../passport/gatepass.ts'
export type { Register } from '../register.ts'

export interface NodeGatepassOptions<User, Name extends string = string>
  extends GatepassOptions<User, Name>,
    NodeOptions {
  /**
   * Leaves sessions and users alone until they are asked for by `await auth.session(req)`, `await auth.user(req)` or a
   * guard: a page that needs neither then costs no store call on any store. Default false: both are there before the next
   * handler runs, unless both answer at once and say so (`synchronous`): then they are asked for at their first use.
   */
  lazy?: boolean
  /**
   * Told about errors that become a 5xx answer of {@link NodeGatepass.handler} or of `errors()`, and about those that no answer
   * tells: a session that could not be saved while an error was answered, a login begun after the answer. Default:
   * `console.error`.
   */
  onError?: (error: unknown, req: IncomingMessage) => void
}

const nodeGatepassOptions: OptionKinds<NodeGatepassOptions<unknown>> = {
  ...gatepassOptions,
  ...nodeOptions,
  lazy: 'boolean',
  onError: 'function',
}

/** What the request carries behind the middleware. */
export interface GatepassRequest<User> {
  readonly session: Session<SessionData>
  user?: User | undefined
  /** Keeps the login in the session, under a new token. */
  login(user: User, options?: UserLoginOptions<User>): Promise<void>
  /** Ends this session, or with `everywhere` all of its subject's. */
  logout(options?: { everywhere?: boolean }): Promise<void>
}

/** How a login by hand was proved, and whether it is remembered. */
export type UserLoginOptions<User> = LoginOptions & Pick<Success<User>, 'amr' | 'at'>

/** Goes on with the next handler, or with an error to whoever handles those. */
export type NextFunction = (error?: unknown) => void

/** What the middleware knows about a request, for handlers, guards and tests of your own. */
export interface RequestAccess<User, Name extends string = string, Req = IncomingMessage> {
  /** The request as the core sees it: what `passport`, `sessions` and `gatepass` take. */
  exchange(req: Req): NodeExchange
  session(req: Req): Awaitable<Session<SessionData>>
  user(req: Req): Awaitable<User | undefined>
  /** A token for a form or a script; see {@link Gatepass.csrfToken}. */
  csrfToken(req: Req): Awaitable<string>
  readonly gatepass: Gatepass<User, Name>
  readonly sessions: SessionManager<object>
  readonly passport: Passport<User, Name>
}

/** Sessions and users for `node:http` and for whatever calls `(req, res, next)`. */
export interface NodeGatepass<User, Name extends string = string> extends RequestAccess<User, Name> {
  (req: IncomingMessage, res: ServerResponse, next: NextFunction): void
  /** Wraps a listener: it finds `req.session` and `req.user`, and an error it throws or rejects with is answered. */
  handler<Req extends IncomingMessage, Res extends ServerResponse>(
    listener: (req: Req & GatepassRequest<User>, res: Res) => unknown,
  ): (req: Req, res: Res) => void
  authenticate(
    req: IncomingMessage,
    names: Name | readonly Name[],
    options?: Readonly<Record<string, unknown>>,
  ): Promise<Verdict<User>>
  /** Keeps the login in the session, under a new token. */
  login(req: IncomingMessage, success: Success<User> & { strategy?: string }, options?: LoginOptions): Promise<void>
  logout(req: IncomingMessage, options?: { everywhere?: boolean }, ...none: NoMore): Promise<void>
  /**
   * Refuses a request that does not come from our own pages, with or without cookies: for login routes. Unsafe requests
   * with cookies are checked by the middleware itself. To be awaited: with `csrfKeys` it may have to load the session.
   *
   * @throws {ProtocolError} `ERR_CROSS_ORIGIN` (403)
   */
  requireSameOrigin(req: IncomingMessage, presented?: unknown, ...none: NoMore): Awaitable<void>
  /** Answers with what {@link Gatepass.login} and its like decided. */
  reply(req: IncomingMessage, reply: Reply): void
}

/**
 * Sessions and users on a Node server.
 *
 * ```ts
 * import { createServer } from 'node:http'
 * import { gatepass } from 'gatepass/node'
 * import { memoryStore } from 'gatepass/stores/memory'
 *
 * const auth = gatepass({
 *   sessions: { store: memoryStore() },
 *   users: { find: (id) => ({ id }), subject: (user) => user.id },
 * })
 * createServer(auth.handler((req, res) => res.end(req.user?.id ?? 'nobody'))).listen(3000)
 * ```
 *
 * @throws {UsageError} `ERR_PASSPORT_OPTIONS`, `ERR_SESSION_OPTIONS`, `ERR_HTTP_ORIGIN`, `ERR_HTTP_PROXY`
 */
export function gatepass<User extends UserObject, const Name extends string = string>(
  options: NodeGatepassOptions<User, Name>,
): NodeGatepass<User, Name> {
  const visits = new Visits<User, Name>(options)
  const { core } = visits
  const middleware = (req: IncomingMessage, res: ServerResponse, next: NextFunction): void =>
    visits.enter(req, res, next)
  return Object.assign(middleware, {
    handler: makerOf(
      'handler',
      <Req extends IncomingMessage, Res extends ServerResponse>(
        listener: (req: Req & GatepassRequest<User>, res: Res) => unknown,
      ) =>
        (req: Req, res: Res): void =>
          visits.serve(req, res, () => listener(req as Req & GatepassRequest<User>, res)),
    ),
    authenticate: noHandler(
      'authenticate',
      (req: IncomingMessage, names: Name | readonly Name[], strategy?: Readonly<Record<string, unknown>>) => {
        const { exchange } = visits.of(req)
        // Nothing changes by it, so no answer waits for it: a strategy from npm may answer by itself, and never conclude.
        return exchange.reading(core.passport.authenticate(exchange, names, strategy))
      },
    ),
    login: noHandler(
      'login',
      (req: IncomingMessage, success: Success<User> & { strategy?: string }, login?: LoginOptions) =>
        visits.of(req).login(success, login),
    ),
    logout: noHandler('logout', (req: IncomingMessage, logout?: { everywhere?: boolean }) =>
      visits.of(req).logout(logout),
    ),
    requireSameOrigin: noHandler('requireSameOrigin', (req: IncomingMessage, presented?: unknown) => {
      const { exchange } = visits.of(req)
      const checked = core.requireSameOrigin(exchange, presented)
      return checked instanceof Promise ? exchange.promised(checked) : checked
    }),
    reply: (req: IncomingMessage, reply: Reply) => sendReply(visits.of(req).res, reply),
    ...visits.access(),
  })
}

/** Says of an answer to an error what frameworks, which answer with its status alone, do not. */
function failing(res: ServerResponse, next: NextFunction): (error: unknown) => void {
  return (error) => {
    describeIn(res, error)
    next(asError(error))
  }
}

/** That of the router which answers: its error handlers come before those of the router that has our middleware. */
function nearestNext(req: IncomingMessage, ours: NextFunction): NextFunction {
  const { next } = req as { next?: unknown }
  return typeof next === 'function' ? (next as NextFunction) : ours
}

/** The framework answers with the status alone; the rest of what an error says is set here. */
export function describeIn(res: ServerResponse, error: unknown): void {
  if (!res.headersSent) describeFailure(new NodeHead(res), error)
}

/** To `next`, `undefined` says that all is well and a guard is passed, and Express reads some words as directions. */
function asError(thrown: unknown): object {
  return typeof thrown === 'object' && thrown !== null
    ? thrown
    : new Error('Something that is no error was thrown', { cause: thrown })
}

const kVisit: unique symbol = Symbol('gatepass.visit')
type Visited = IncomingMessage & { [kVisit]?: Visit<unknown, string> }

/** What a framework does in its own way. */
export interface Framework {
  /** Gives a request its `session`, `user`, `login` and `logout`. */
  equip?: (req: IncomingMessage) => void
  /** Logs an error that the answer does not tell. */
  report?: (error: unknown, req: IncomingMessage) => void
}

/** All that one `gatepass()` shares between requests. */
export class Visits<User, Name extends string> {
  readonly core: Gatepass<User, Name>
  readonly settings: NodeSettings
  /** Whether sessions and users can wait until they are asked for. */
  readonly #onDemand: boolean
  readonly #equip: (req: IncomingMessage) => void
  readonly #report: (error: unknown, req: IncomingMessage) => void
  readonly #inDevelopment = process.env.NODE_ENV !== 'production'
  readonly #warned = new Set<string>()

  constructor(options: NodeGatepassOptions<User, Name>, framework: Framework = {}) {
    checkOptions('gatepass()', options, nodeGatepassOptions, 'ERR_PASSPORT_OPTIONS')
    if (options.users !== undefined) checkUsers(options.users)
    this.#equip = framework.equip ?? equip
    this.#report = framework.report ?? options.onError ?? ((error) => console.error(error))
    this.settings = nodeSettings(options)
    this.core = new Gatepass(options, this.settings.origins)
    this.#onDemand = options.lazy === true || (this.core.sessions.synchronous && options.users.synchronous === true)
  }

  /** The request's visit, which the middleware began. */
  of(req: IncomingMessage): Visit<User, Name> {
    const visit = this.#find(req)
    if (visit === undefined) throw notMounted()
    return visit
  }

  access(): RequestAccess<User, Name> {
    const { core } = this
    return {
      exchange: (req) => this.of(req).exchange,
      session: (req) => this.of(req).reading((visit) => visit.open()),
      user: (req) => this.of(req).reading((visit) => visit.findUser()),
      csrfToken: (req) => this.of(req).reading(({ exchange }) => core.csrfToken(exchange)),
      gatepass: core,
      sessions: core.sessions,
      passport: core.passport,
    }
  }

  #find(req: Visited): Visit<User, Name> | undefined {
    const latest = req[kVisit]
    const visit = latest?.visits === (this as unknown) ? latest : latest?.exchange.memory.get(this)
    return visit as Visit<User, Name> | undefined
  }

  #begin(req: Visited, res: ServerResponse, next: NextFunction): Visit<User, Name> {
    const visit = new Visit<User, Name>(this, exchangeOf(req, res, this.settings), res, next)
    // With several gatepass() on one request, its properties are those of the latest; the others are found by themselves.
    const earlier = req[kVisit]
    if (earlier !== undefined) {
      this.#mustDiffer(earlier)
      earlier.exchange.memory.set(earlier.visits, earlier)
    }
    req[kVisit] = visit as Visit<unknown, string>
    visit.exchange.answerer = visit
    this.#equip(req)
    // At once, not at the first use of the session: in `res.end(req.user.name)` JavaScript looks up `end` first.
    beforeResponse(res, () => visit.finish(), visit.next)
    return visit
  }

  /** Each would write its own token over the other's. */
  #mustDiffer({ visits, exchange }: Visit<unknown, string>): void {
    const [ours, theirs] = [this.core.sessions, visits.core.sessions]
    const { name } = ours.cookieOf(exchange)
    if (ours === theirs || theirs.cookieOf(exchange).name !== name) return
    throw new UsageError('ERR_SESSION_OPTIONS', `Two gatepass() of one application use the cookie ${name}`, {
      hint: 'Give one of them a `cookie` of its own in `sessions`, or both the same SessionManager.',
    })
  }

  enter(req: IncomingMessage, res: ServerResponse, next: NextFunction): void {
    const failed = (error: unknown): void => {
      describeIn(res, error)
      nearestNext(req, next)(asError(error))
    }
    let ready: Awaitable<unknown>
    try {
      ready = this.admit(req, res, failed)
    } catch (error) {
      failed(error)
      return
    }
    if (ready instanceof Promise) ready.then(() => next(), failed)
    else next()
  }

  /**
   * Begins the request's visit, unless it has begun; no handler may run before what comes back.
   *
   * @param failed told why the session could not be saved, when nothing of the response has left
   */
  admit(req: IncomingMessage, res: ServerResponse, failed: (error: unknown) => void): Awaitable<unknown> {
    if (this.#find(req) !== undefined) return undefined
    const visit = this.#begin(req, res, failed)
    return andThen(this.core.admit(visit.exchange), () => this.#prepare(visit))
  }

  serve(req: IncomingMessage, res: ServerResponse, listener: () => unknown): void {
    const failed = failing(res, (error) => this.fail(req, res, error))
    this.enter(req, res, (error) => {
      if (error !== undefined) return failed(error)
      try {
        const answer = listener()
        if (answer instanceof Promise) answer.catch(failed)
      } catch (thrown) {
        failed(thrown)
      }
    })
  }

  /** Says of an error what the answer does not. */
  report(error: unknown, req: IncomingMessage): void {
    this.#report(error, req)
  }

  fail(req: IncomingMessage, res: ServerResponse, error: unknown): void {
    const reply = errorReply(exchangeOf(req, res, this.settings), error)
    if (reply.status >= 500) this.#report(error, req)
    if (res.headersSent) res.destroy()
    else sendReply(res, reply)
  }

  /** Behind a proxy that takes HTTPS off, and is not known, cookies are set without Secure, and nothing else shows it. */
  warnOfProxy(exchange: NodeExchange): void {
    if (this.settings.trust !== undefined || exchange.originConfigured || exchange.secure) return
    const byHttps =
      /^[ \t]*https\b/i.test(exchange.header('x-forwarded-proto') ?? '') ||
      /\bproto="?https\b/i.test(exchange.header('forwarded') ?? '')
    if (!byHttps) return
    this.#warnOnce(
      'ERR_HTTP_PROXY',
      'A request came by HTTPS to a proxy that is not trusted: its cookies are set without Secure',
      'Give gatepass() `origin`, the address that browsers see, and `trustProxy`: how many proxies stand in front.',
    )
  }

  /** What changes in a session after it was saved is lost, and nothing else shows it. In production nothing is compared. */
  warnOfLateChanges(session: Session<object>, res: ServerResponse): void {
    if (!this.#inDevelopment || session.absence === 'stateless' || this.#warned.has('ERR_RESPONSE_STARTED')) return
    const saved = textOf(session.data)
    const compare = (): void => {
      if (textOf(session.data) === saved) return
      this.#warnOnce(
        'ERR_RESPONSE_STARTED',
        'The data of a session was changed after the response began, and the change is not saved',
        'Change `session.data` before the first byte of the response. This is said once, and in production never.',
      )
    }
    res.once('close', () => setImmediate(compare))
  }

  #warnOnce(code: ErrorCode, message: string, detail: string): void {
    if (this.#warned.has(code)) return
    this.#warned.add(code)
    process.emitWarning(message, { type: 'GatepassWarning', code, detail })
  }

  /** What `req.session` and `req.user` need before a handler can read them without waiting. */
  #prepare(visit: Visit<User, Name>): Awaitable<unknown> {
    if (this.#onDemand || visit.exchange.header('cookie') === undefined) return undefined
    return visit.findUser()
  }
}

/** One request of one `gatepass()`. */
export class Visit<User, Name extends string> implements Answerer {
  readonly visits: Visits<User, Name>
  readonly exchange: NodeExchange
  readonly res: ServerResponse
  /** Answers with an error, as the framework does. */
  readonly next: NextFunction
  constructor(visits: Visits<User, Name>, exchange: NodeExchange, res: ServerResponse, next: NextFunction) {
    this.visits = visits
    this.exchange = exchange
    this.res = res
    this.next = next
  }

  get answered(): boolean {
    return this.res.headersSent
  }

  report(error: unknown): void {
    this.visits.report(error, this.exchange.request as IncomingMessage)
  }

  /** What an application reads, and may forget to wait for. */
  reading<T>(read: (visit: this) => Awaitable<T>): Awaitable<T> {
    const value = read(this)
    return value instanceof Promise ? this.exchange.reading(value) : value
  }

  open(): Awaitable<Session<SessionData>> {
    return this.visits.core.sessions.open(this.exchange) as Awaitable<Session<SessionData>>
  }

  findUser(): Awaitable<User | undefined> {
    return this.visits.core.passport.user(this.exchange)
  }

  loginUser(user: User, { amr, at, ...options }: UserLoginOptions<User> = {}): Promise<void> {
    const success = { type: 'success', user, ...(amr && { amr }), ...(at !== undefined && { at }) } as const
    return this.login(success, options)
  }

  login(success: Success<User> & { strategy?: string }, options?: LoginOptions): Promise<void> {
    return this.#change(() => this.visits.core.passport.login(this.exchange, success, options))
  }

  logout(options?: { everywhere?: boolean }): Promise<void> {
    return this.#change(() => this.visits.core.passport.logout(this.exchange, options))
  }

  #change(change: () => Promise<void>): Promise<void> {
    const work = async (): Promise<void> => {
      this.#mustPrecedeResponse()
      return change()
    }
    return this.exchange.promised(work())
  }

  get session(): Session<SessionData> {
    const session = this.open()
    if (!(session instanceof Promise)) return session
    session.catch(() => {})
    throw new UsageError('ERR_SESSION_NOT_OPEN', 'The session has not been loaded yet', {
      hint: 'With `lazy: true`, use `await auth.session(req)`, or put auth.requireLogin() before this handler.',
    })
  }

  get user(): User | undefined {
    const user = this.findUser()
    if (!(user instanceof Promise)) return user
    user.catch(() => {})
    throw new UsageError('ERR_PASSPORT_USER_PENDING', 'The user has not been looked up yet', {
      hint: 'Leave out `users.synchronous` where `users.find` may answer later, or use `await auth.user(req)`; with `lazy: true`, put auth.requireLogin() before this handler.',
    })
  }

  #mustPrecedeResponse(): void {
    if (!this.res.headersSent) return
    throw new UsageError('ERR_RESPONSE_STARTED', 'The response has left already, so its cookie cannot change', {
      hint: 'Await login() and logout() before you send anything.',
    })
  }

  /**
   * Saves the session, and says so to the browser, when all is done that was promised. An answer of 400 or more does not say
   * that it was: it leaves as it is, and the failure is reported.
   */
  finish(): Awaitable<void> {
    const { promises } = this.exchange
    const saysFailed = this.res.statusCode >= 400
    if (promises === undefined && !saysFailed) return this.#save()
    const reported = (step: () => Awaitable<void>): Awaitable<void> =>
      saysFailed ? orElse(step, (error) => this.report(error)) : step()
    const kept = promises === undefined ? undefined : reported(() => promises.settle())
    return andThen(kept, () =>
      andThen(
        reported(() => this.#save()),
        () => (saysFailed ? this.#writeHeaders() : undefined),
      ),
    )
  }

  #save(): Awaitable<void> {
    return andThen(this.visits.core.sessions.commit(this.exchange), () => this.#writeHeaders())
  }

  /** A page for one person must not be kept for another (RFC 9111 §3.5): unless the application said who may keep it, nobody. */
  #writeHeaders(): void {
    const { cookies } = this.exchange
    if (cookies.changed) this.visits.warnOfProxy(this.exchange)
    const head = new NodeHead(this.res)
    writeCookies(head, cookies)
    const { sessions, passport } = this.visits.core
    // Also where it moved or ended while the handler was at work: the answer is made of it all the same.
    const session = sessions.opened(this.exchange)
    const ofSession = session !== undefined && (session.id !== undefined || session.absence === undefined)
    if (ofSession || passport.credentials(this.exchange)?.type === 'success') keepFromCaches(head)
    if (session !== undefined) this.visits.warnOfLateChanges(session, this.res)
  }
}

/** `undefined` for what JSON cannot say, which was not saved either. */
function textOf(data: object): string | undefined {
  try {
    return JSON.stringify(data)
  } catch {
    return undefined
  }
}

/** Runs a step that answers the request, or lets it go on to the next handler. */
export function answer(res: ServerResponse, next: NextFunction, step: () => Awaitable<Reply | undefined>): void {
  const settle = (reply: Reply | undefined): void => (reply === undefined ? next() : sendReply(res, reply))
  const failed = failing(res, next)
  try {
    const reply = step()
    if (reply instanceof Promise) reply.then(settle).catch(failed)
    else settle(reply)
  } catch (error) {
    failed(error)
  }
}

const sessionProperty: PropertyDescriptor = {
  configurable: true,
  get(this: Visited): unknown {
    return this[kVisit]?.session
  },
  set(this: Visited, value: unknown): void {
    own(this, 'session', value)
  },
}

const userProperty: PropertyDescriptor = {
  configurable: true,
  get(this: Visited): unknown {
    return this[kVisit]?.user
  },
  set(this: Visited, value: unknown): void {
    own(this, 'user', value)
  },
}

function own(req: object, name: string, value: unknown): void {
  Object.defineProperty(req, name, { value, configurable: true, enumerable: true, writable: true })
}

function login(this: Visited, user: unknown, options?: UserLoginOptions<unknown>): Promise<void> {
  return visitOf(this).loginUser(user, options)
}

function logout(this: Visited, options?: { everywhere?: boolean }): Promise<void> {
  return visitOf(this).logout(options)
}

/** The visit whose session and user the request shows. */
export function visitOf(req: Visited): Visit<unknown, string> {
  const visit = req[kVisit]
  if (visit === undefined) throw notMounted()
  return visit
}

function notMounted(): UsageError {
  return new UsageError('ERR_SESSION_NOT_OPEN', 'This request did not pass through the gatepass middleware', {
    hint: 'Mount it before this handler: app.use(auth), await app.register(auth), or createServer(auth.handler(…)).',
  })
}

/** Prototypes of requests that have our properties. */
const equipped = new WeakSet<object>()

/** Gives the request `session`, `user`, `login` and `logout`. */
function equip(req: IncomingMessage): void {
  const prototype = Object.getPrototypeOf(req) as object
  if (equipped.has(prototype)) return
  const target = ownedByFramework(req) as IncomingMessage & { login?: unknown; logout?: unknown }
  Object.defineProperty(target, 'session', sessionProperty)
  Object.defineProperty(target, 'user', userProperty)
  target.login = login
  target.logout = logout
  if (target !== req) equipped.add(prototype)
}

/**
 * What all requests of a framework inherit from, so that every application of Express has our properties, mounted or called
 * by another one. The prototypes of Node belong to everyone: there each request gets its own, which costs 0.2 µs where
 * another prototype for the request would cost 1 to 2.
 */
function ownedByFramework(req: object): object {
  const prototype = Object.getPrototypeOf(req) as object
  return Object.hasOwn(prototype, 'constructor') ? req : ownedByFramework(prototype)
}
