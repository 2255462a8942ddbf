import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Awaitable, andThen } from '../awaitable.ts'
import { describeFailure } from '../http/answer.ts'
import { errorReply } from '../http/error-reply.ts'
import type { Reply } from '../http/exchange.ts'
import { exchangeOf, type NodeExchange, NodeHead, sendReply } from '../http/node.ts'
import type { Answerer } from '../http/promises.ts'
import { beforeResponse } from '../http/response-gate.ts'
import { notMounted, type UserLoginOptions, Visit, type VisitAccess, type VisitOptions, Visits } from './visit.ts'

export interface NodeGatepassOptions<User, Name extends string = string> extends VisitOptions<User, Name> {
  /**
   * Receives errors that {@link NodeGatepass.handler} or `errors()` answers with 5xx, and errors that no answer shows, such as
   * a session that could not be saved while an error was answered, or a login after the answer. Default: `console.error`.
   */
  onError?: (error: unknown, req: IncomingMessage) => void
}

/** Continues with the next handler, or with the next error handler if there is an error. */
export type NextFunction = (error?: unknown) => void

/** What the middleware knows about a request, for your own handlers, guards and tests. */
export type RequestAccess<User, Name extends string = string, Req = IncomingMessage> = VisitAccess<
  User,
  Name,
  Req,
  NodeExchange
>

const kVisit: unique symbol = Symbol('gatepass.visit')
type Visited = IncomingMessage & { [kVisit]?: NodeVisit<unknown, string> }
/** The visit of a request to a Node server. */
export type NodeVisit<User, Name extends string> = Visit<User, Name, NodeExchange>

/** What a framework can do in its own way. */
export interface Framework {
  /** Gives a request its `session`, `user`, `login` and `logout`. */
  equip?: (req: IncomingMessage) => void
  /** Logs an error that the answer does not show. */
  report?: (error: unknown, req: IncomingMessage) => void
}

/** The visits of one `gatepass()` on a Node server. They are found by the request, and the response gate holds their answers. */
export class NodeVisits<User, Name extends string> {
  readonly visits: Visits<User, Name>
  readonly #equip: (req: IncomingMessage) => void
  /** Logs an error that the answer does not show. */
  readonly report: (error: unknown, req: IncomingMessage) => void
  readonly #inDevelopment = process.env.NODE_ENV !== 'production'

  constructor(options: NodeGatepassOptions<User, Name>, framework: Framework = {}) {
    this.visits = new Visits(options, { onError: 'function' })
    this.#equip = framework.equip ?? equip
    this.report = framework.report ?? options.onError ?? ((error) => console.error(error))
  }

  /** The visit that the middleware began for the request. */
  of(req: IncomingMessage): NodeVisit<User, Name> {
    const visit = this.#find(req)
    if (visit === undefined) throw notMounted(MOUNTED)
    return visit
  }

  access(): RequestAccess<User, Name> {
    return this.visits.access((req) => this.of(req))
  }

  enter(req: IncomingMessage, res: ServerResponse, next: NextFunction): void {
    const failed = (error: unknown): void => {
      describeIn(res, error)
      nearestNext(req, next)(asError(error))
    }
    let ready: Awaitable<unknown>
    try {
      ready = this.begin(req, res, failed)
    } catch (error) {
      failed(error)
      return
    }
    if (ready instanceof Promise) ready.then(() => next(), failed)
    else next()
  }

  /**
   * Begins the visit of a request, unless it has begun. No handler may run before the returned value settles.
   *
   * @param failed called with the error if the session could not be saved; nothing of the response was sent then
   */
  begin(req: Visited, res: ServerResponse, failed: NextFunction): Awaitable<unknown> {
    if (this.#find(req) !== undefined) return undefined
    const exchange = exchangeOf(req, res, this.visits.settings)
    const visit: NodeVisit<User, Name> = new Visit(this.visits, exchange, new NodeAnswerer(this, req, res, failed))
    // With several gatepass() on one request, `req.session` and `req.user` are those of the latest one.
    const earlier = req[kVisit]
    if (earlier !== undefined) {
      this.visits.mustDiffer(exchange, earlier.visits)
      exchange.memory.set(earlier.visits, earlier)
    }
    req[kVisit] = visit as NodeVisit<unknown, string>
    this.#equip(req)
    const finish = (): Awaitable<void> => {
      const finished = visit.finish(new NodeHead(res))
      return this.#inDevelopment ? andThen(finished, () => this.#warnOfLateChanges(visit, res)) : finished
    }
    // Now and not at the first use of the session, because in `res.end(req.user.name)` JavaScript looks up `end` first.
    beforeResponse(res, finish, failed)
    return this.visits.admit(visit)
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

  fail(req: IncomingMessage, res: ServerResponse, error: unknown): void {
    const reply = errorReply(exchangeOf(req, res, this.visits.settings), error)
    if (reply.status >= 500) this.report(error, req)
    if (res.headersSent) res.destroy()
    else sendReply(res, reply)
  }

  #find(req: Visited): NodeVisit<User, Name> | undefined {
    const latest = req[kVisit]
    const visit = latest?.visits === (this.visits as unknown) ? latest : latest?.exchange.memory.get(this.visits)
    return visit as NodeVisit<User, Name> | undefined
  }

  /** Warns about changes after the session was saved. They are lost, and nothing else shows it. */
  #warnOfLateChanges({ visits, exchange }: NodeVisit<User, Name>, res: ServerResponse): void {
    if (visits.warned('ERR_RESPONSE_STARTED')) return
    const session = visits.core.sessions.opened(exchange)
    if (session === undefined || session.absence === 'stateless') return
    const saved = textOf(session.data)
    const compare = (): void => {
      if (textOf(session.data) === saved) return
      visits.warnOnce(
        'ERR_RESPONSE_STARTED',
        'The data of a session was changed after the response began. The change is not saved',
        'Change `session.data` before the first byte of the response. This warning is printed once, and never in production.',
      )
    }
    res.once('close', () => setImmediate(compare))
  }
}

/** Adds to the answer what frameworks leave out of an error, then passes the error on. */
function failing(res: ServerResponse, next: NextFunction): (error: unknown) => void {
  return (error) => {
    describeIn(res, error)
    next(asError(error))
  }
}

/** The `next` of the router that answers, so that its error handlers come before those of the router with our middleware. */
function nearestNext(req: IncomingMessage, ours: NextFunction): NextFunction {
  const { next } = req as { next?: unknown }
  return typeof next === 'function' ? (next as NextFunction) : ours
}

/** Sets the header fields of an error. The framework sets only its status. */
export function describeIn(res: ServerResponse, error: unknown): void {
  if (!res.headersSent) describeFailure(new NodeHead(res), error)
}

/** Makes an object for `next`: `undefined` would let the request pass, and Express reads some strings as commands. */
function asError(thrown: unknown): object {
  return typeof thrown === 'object' && thrown !== null
    ? thrown
    : new Error('A value that is not an error was thrown', { cause: thrown })
}

/** Answers with an error as the framework does, or reports it. */
class NodeAnswerer implements Answerer {
  readonly #visits: Pick<NodeVisits<never, never>, 'report'>
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  readonly next: NextFunction

  constructor(
    visits: Pick<NodeVisits<never, never>, 'report'>,
    req: IncomingMessage,
    res: ServerResponse,
    next: NextFunction,
  ) {
    this.#visits = visits
    this.#req = req
    this.#res = res
    this.next = next
  }

  get answered(): boolean {
    return this.#res.headersSent
  }

  report(error: unknown): void {
    this.#visits.report(error, this.#req)
  }
}

/** `undefined` for data that JSON cannot write. Such data was not saved either. */
function textOf(data: object): string | undefined {
  try {
    return JSON.stringify(data)
  } catch {
    return undefined
  }
}

/** Runs a step that answers the request or lets it continue to the next handler. */
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
export function visitOf(req: Visited): NodeVisit<unknown, string> {
  const visit = req[kVisit]
  if (visit === undefined) throw notMounted(MOUNTED)
  return visit
}

const MOUNTED = 'app.use(auth), await app.register(auth), or createServer(auth.handler(…))'

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
 * The prototype of all requests of a framework, so that every Express application has our properties, also one that is mounted
 * in another. Node's own prototypes must not be changed: there each request gets its own properties, which costs 0.2 µs. A new
 * prototype for the request would cost 1 to 2 µs.
 */
function ownedByFramework(req: object): object {
  const prototype = Object.getPrototypeOf(req) as object
  return Object.hasOwn(prototype, 'constructor') ? req : ownedByFramework(prototype)
}
