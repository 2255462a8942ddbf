import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Awaitable } from '../awaitable.ts'
import { describeFailure } from '../http/answer.ts'
import { errorReply } from '../http/error-reply.ts'
import type { Reply } from '../http/exchange.ts'
import { NodeExchange, sendReply } from '../http/node.ts'
import { beforeResponse, headInFinish } from '../http/response-gate.ts'
import type { RouteStep } from './route-steps.ts'
import {
  kVisit,
  type UserLoginOptions,
  Visit,
  type VisitAccess,
  type Visited,
  type VisitOptions,
  Visits,
} from './visit.ts'

/** The options of `gatepass()` on Node servers. */
export type NodeGatepassOptions<User, Name extends string = string> = VisitOptions<User, Name, IncomingMessage>

/** Continues with the next handler, or with the next error handler if there is an error. */
export type NextFunction = (error?: unknown) => void

/** A handler for frameworks that call `(req, res, next)`. */
export type NodeHandler = (req: IncomingMessage, res: ServerResponse, next: NextFunction) => void

/** {@link VisitAccess}, found by a request of `node:http` or of a framework. */
export type RequestAccess<User, Name extends string = string, Req = IncomingMessage> = VisitAccess<
  User,
  Name,
  Req,
  NodeExchange
>

/** The visits of one `gatepass()` on a Node server. They are found by the request, and the response gate holds their answers. */
export type NodeVisits<User, Name extends string> = Visits<User, Name, NodeExchange>
export type NodeVisit<User, Name extends string> = Visit<User, Name, NodeExchange>
type VisitedRequest = IncomingMessage & Visited<NodeExchange>

/** @param report logs an error that the answer does not show; default: the option `onError` */
export function nodeVisits<User, Name extends string>(
  options: NodeGatepassOptions<User, Name>,
  report: (error: unknown, req: IncomingMessage) => void = options.onError ?? ((error) => console.error(error)),
): NodeVisits<User, Name> {
  return new Visits(options, {
    mounted: 'app.use(auth), await app.register(auth), or createServer(auth.handler(…))',
    report: (error, { request }) => report(error, request as IncomingMessage),
  })
}

/** Middleware that begins visits, and gives requests `session`, `user`, `login` and `logout`. */
export function middleware<User, Name extends string>(visits: NodeVisits<User, Name>): NodeHandler {
  return (req: VisitedRequest, res, next) => {
    const failed = (error: unknown): void => passOn(error, res, nearestNext(req, next))
    let ready: Awaitable<unknown>
    try {
      if (req[kVisit] === undefined) giveProperties(req)
      ready = beginAndAdmit(visits, req, res, failed)
    } catch (error) {
      failed(error)
      return
    }
    // An error of `next` itself is answered here: it must not call `next` again, or end the process.
    if (ready instanceof Promise) ready.then(() => next(), failed).catch((error) => sendError(visits, req, res, error))
    else next()
  }
}

/**
 * Begins the visit of a request, unless it has begun. No handler may run before the returned value settles.
 *
 * @param failed called with the error if the session could not be saved; nothing of the response was sent then
 */
export function beginAndAdmit<User, Name extends string>(
  visits: NodeVisits<User, Name>,
  req: VisitedRequest,
  res: ServerResponse,
  failed: NextFunction,
): Awaitable<unknown> {
  const earlier = req[kVisit]
  if (earlier !== undefined && visits.has(req)) return undefined
  const exchange = earlier?.exchange ?? new NodeExchange(req, res, visits.settings)
  const visit = new Visit(visits, exchange, req, failed)
  const finish = (): Awaitable<void> => {
    const saved = visit.save(res.statusCode)
    if (saved instanceof Promise) return saved.then(() => visit.writeHead(headInFinish(res)))
    visit.writeHead(headInFinish(res))
  }
  // Now and not at the first use of the session, because in `res.end(req.user.name)` JavaScript looks up `end` first.
  beforeResponse(res, finish, failed)
  if (visits.inDevelopment) beforeResponse(res, () => warnOfLateChanges(visit, res), failed)
  return visits.admit(exchange)
}

/** A handler that runs a step of a route: it answers the request or lets it continue to the next handler. */
export function handlerOf<User, Name extends string>(visits: NodeVisits<User, Name>, step: RouteStep): NodeHandler {
  return (req, res, next) => {
    const failed = (error: unknown): void => passOn(error, res, next)
    const proceed = (decided: Reply | undefined): void => {
      if (decided === undefined) next()
      else {
        try {
          sendReply(res, decided)
        } catch (error) {
          failed(error)
        }
      }
    }
    let reply: Awaitable<Reply | undefined>
    try {
      reply = step(visits.of(req).exchange)
    } catch (error) {
      failed(error)
      return
    }
    if (reply instanceof Promise) reply.then(proceed, failed).catch((error) => sendError(visits, req, res, error))
    else proceed(reply)
  }
}

/** Answers with an error. */
export function sendError<User, Name extends string>(
  visits: NodeVisits<User, Name>,
  req: VisitedRequest,
  res: ServerResponse,
  error: unknown,
): void {
  const exchange = req[kVisit]?.exchange ?? new NodeExchange(req, res, visits.settings)
  const reply = errorReply(exchange, error)
  if (reply.status >= 500) visits.report(error, exchange)
  if (res.headersSent) res.destroy()
  else {
    describeFailure(res, error)
    sendReply(res, reply)
  }
}

/** Passes an error on, and adds to the answer what frameworks leave out of it: they set only its status. */
function passOn(error: unknown, res: ServerResponse, next: NextFunction): void {
  if (!res.headersSent) describeFailure(res, error)
  // `undefined` would let the request pass, and Express reads some strings as commands.
  next(typeof error === 'object' && error !== null ? error : asError(error))
}

/** Wraps a thrown value that is not an error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error('A value that is not an error was thrown', { cause: thrown })
}

/** The `next` of the router that answers, so that its error handlers come before those of the router with our middleware. */
function nearestNext(req: IncomingMessage, ours: NextFunction): NextFunction {
  const { next } = req as { next?: unknown }
  return typeof next === 'function' ? (next as NextFunction) : ours
}

/** Warns about changes after the session was saved. They are lost, and nothing else shows it. */
function warnOfLateChanges<User, Name extends string>(
  { visits, exchange }: NodeVisit<User, Name>,
  res: ServerResponse,
): void {
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

/** `undefined` for data that JSON cannot write. Such data was not saved either. */
function textOf(data: object): string | undefined {
  try {
    return JSON.stringify(data)
  } catch {
    return undefined
  }
}

/** Gives a request `session`, `user`, `login` and `logout`, from its latest visit. */
function giveProperties(req: VisitedRequest): void {
  Object.defineProperty(req, 'session', sessionProperty)
  Object.defineProperty(req, 'user', userProperty)
  Object.assign(req, loginMethods)
}

type RequestProperty = PropertyDescriptor & ThisType<VisitedRequest>

const sessionProperty: RequestProperty = {
  configurable: true,
  get() {
    return this[kVisit]?.session
  },
  set(value: unknown) {
    replaceProperty(this, 'session', value)
  },
}

const userProperty: RequestProperty = {
  configurable: true,
  get() {
    return this[kVisit]?.user
  },
  set(value: unknown) {
    replaceProperty(this, 'user', value)
  },
}

const loginMethods = {
  login(this: VisitedRequest, user: unknown, options?: UserLoginOptions<unknown>) {
    return this[kVisit]?.loginUser(user, options)
  },
  logout(this: VisitedRequest, options?: { everywhere?: boolean }) {
    return this[kVisit]?.logout(options)
  },
}

/** Puts a value that the application assigned in place of a property of ours. */
export function replaceProperty(request: object, name: string, value: unknown): void {
  Object.defineProperty(request, name, { value, configurable: true, enumerable: true, writable: true })
}
