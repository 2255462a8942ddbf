import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Awaitable } from '../awaitable.ts'
import { GatepassError } from '../error.ts'
import { type AnswerHead, describeFailure, describesAnswer, writeReply } from '../http/answer.ts'
import { bytesRead } from '../http/body.ts'
import { errorReply } from '../http/error-reply.ts'
import type { Reply } from '../http/exchange.ts'
import { NodeExchange, sendReply } from '../http/node.ts'
import type { UserObject } from '../passport/outcome.ts'
import type { RegisteredUser, SessionData } from '../register.ts'
import type { Session } from '../session/session.ts'
import {
  asError,
  beginAndAdmit,
  type NodeGatepassOptions,
  type NodeVisit,
  type NodeVisits,
  nodeVisits,
  type RequestAccess,
  replaceProperty,
} from './node-visits.ts'
import { makerOf, type NoMore, type RouteMakers, routeMakers } from './route-steps.ts'
import { kVisit, type UserLoginOptions, type Visited } from './visit.ts'

export { type LocationOptions, safeLocation } from '../http/location.ts'
export { allowCrossOrigin, csrfFormField } from '../passport/own-pages.ts'
export type { Register } from '../register.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** This browser's session; its `data` is yours to change. */
    readonly session: Session<SessionData>
    user?: RegisteredUser | undefined
    /** Keeps the login in the session, under a new token. */
    login(user: RegisteredUser, options?: UserLoginOptions<RegisteredUser>): Promise<void>
    /** Ends this session. With `everywhere` it ends all sessions of its subject. */
    logout(options?: { everywhere?: boolean }): Promise<void>
  }
}

/** Without `onError`: errors are logged to Fastify's own log. */
export type FastifyGatepassOptions<User, Name extends string = string> = Omit<
  NodeGatepassOptions<User, Name>,
  'onError'
>

/** A hook (`preHandler`), after which the request continues. As a route's handler it then answers 204. */
export type FastifyStep = (request: FastifyRequest, reply: FastifyReply, done?: (error?: Error) => void) => void

/** A plugin for `app.register`, and handlers and hooks for routes. */
export interface FastifyGatepass<User, Name extends string = string>
  extends RequestAccess<User, Name, FastifyRequest>,
    RouteMakers<Name, FastifyStep> {
  (app: FastifyInstance, options: object, done: () => void): void
  /**
   * Answers errors of Gatepass in the same form as guards: JSON with code and hint, or text for a browser that asks for a
   * page. Other errors go to the outer error handler. Use it with `app.setErrorHandler`, or call it from your own handler.
   */
  errors(...none: NoMore): (error: unknown, request: FastifyRequest, reply: FastifyReply) => void
}

/**
 * Sessions and users in Fastify 5.
 *
 * ```ts
 * import fastify from 'fastify'
 * import { gatepass } from 'gatepass/fastify'
 * import { memoryStore } from 'gatepass/stores/memory'
 *
 * const auth = gatepass({
 *   sessions: { store: memoryStore() },
 *   users: { find: (id) => ({ id }), subject: (user) => user.id },
 * })
 * const app = fastify()
 * await app.register(auth)
 * app.setErrorHandler(auth.errors())
 * app.get('/me', { preHandler: auth.requireLogin() }, (request) => request.user)
 * ```
 *
 * @throws {UsageError} `ERR_PASSPORT_OPTIONS`, `ERR_SESSION_OPTIONS`, `ERR_HTTP_ORIGIN`, `ERR_HTTP_PROXY`
 */
export function gatepass<User extends UserObject, const Name extends string = string>(
  options: FastifyGatepassOptions<User, Name>,
): FastifyGatepass<User, Name> {
  const visits = nodeVisits(options, report)
  const access = visits.access<IncomingMessage>()
  return Object.assign((app: FastifyInstance, _options: object, done: () => void) => install(app, visits, done), {
    ...asPlugin,
    ...routeMakers(
      visits.core,
      (step): FastifyStep =>
        (request, reply, done) => {
          const proceed = (decided: Reply | undefined): void => {
            if (decided !== undefined) send(reply, decided)
            else if (done !== undefined) done()
            else reply.code(204).send()
          }
          const run = (): Awaitable<Reply | undefined> => step(visits.of(withBody(request)).exchange)
          settle(run, proceed, (error) => void reply.send(failureFor(reply, error)))
        },
    ),
    errors: makerOf('errors', () => (error: unknown, { raw }: FastifyRequest, reply: FastifyReply) => {
      if (!(error instanceof GatepassError)) throw error
      const exchange = (raw as VisitedRequest)[kVisit]?.exchange ?? new NodeExchange(raw, reply.raw, visits.settings)
      const decided = errorReply(exchange, error)
      if (decided.status >= 500) visits.report(error, exchange)
      describeFailure(headOf(reply), error)
      send(reply, decided)
    }),
    ...access,
    exchange: (request: FastifyRequest) => access.exchange(withBody(request)),
    session: (request: FastifyRequest) => access.session(request.raw),
    user: (request: FastifyRequest) => access.user(request.raw),
    csrfToken: (request: FastifyRequest) => access.csrfToken(request.raw),
  })
}

type VisitedRequest = IncomingMessage & Visited<NodeExchange> & { body?: unknown; [kLog]?: FastifyBaseLogger }

/** As fastify-plugin does: makes Fastify add our hooks to the application that registers us, and not to a new scope. */
const asPlugin: Readonly<Record<symbol, unknown>> = {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'gatepass',
  [Symbol.for('plugin-meta')]: { name: 'gatepass', fastify: '5.x' },
}

function install<User, Name extends string>(
  app: FastifyInstance,
  visits: NodeVisits<User, Name>,
  done: () => void,
): void {
  equip(app, visits)
  // The first hook of every request, because from here on the response is held.
  app.addHook('onRequest', (request, reply, next) => {
    const raw: VisitedRequest = request.raw
    raw[kLog] = request.log
    const failed = (error: unknown): void => answerWithError(visits.of(raw), reply, error)
    settle(
      () => beginAndAdmit(visits, raw, reply.raw, failed),
      () => next(),
      (error) => next(failureFor(reply, error)),
    )
  })
  // Fastify would wait forever for a body that an earlier check has read.
  app.addHook('preParsing', ({ raw }, _reply, _payload, next) => {
    const bytes = bytesRead(raw)
    next(null, bytes && Readable.from([bytes]))
  })
  // Fastify has no parser for login forms. It reads the body itself, with the route's limit.
  if (!app.hasContentTypeParser(formType)) {
    app.addContentTypeParser(formType, { parseAs: 'buffer' }, async ({ raw }: FastifyRequest, body: Buffer) => {
      Object.assign(raw, { body })
      // A copy, because handlers and schemas may change a body.
      return Object.assign(Object.create(null), await visits.of(raw).exchange.fields())
    })
  }
  done()
}

const formType = 'application/x-www-form-urlencoded'
const kLog: unique symbol = Symbol('gatepass.log')

function report(error: unknown, req: IncomingMessage): void {
  ;(req as VisitedRequest)[kLog]?.error({ err: error }, error instanceof Error ? error.message : undefined)
}

/** Awaits only promises: with a synchronous store, Fastify's hooks run without one. */
function settle<T>(step: () => Awaitable<T>, settled: (value: T) => void, failed: (error: unknown) => void): void {
  let value: Awaitable<T>
  try {
    value = step()
  } catch (error) {
    failed(error)
    return
  }
  if (value instanceof Promise) value.then(settled).catch(failed)
  else settled(value)
}

// ── what the request has ─────────────────────────────────────────────────────────────────────────────────────────────

const kEquipped: unique symbol = Symbol('gatepass.equipped')

/** Decorates requests once for all `gatepass()` of an application. The properties are those of the latest visit. */
function equip<User, Name extends string>(app: FastifyInstance, visits: NodeVisits<User, Name>): void {
  if (app.hasDecorator(kEquipped)) return
  app.decorate(kEquipped, true)
  const latest = ({ raw }: { raw: VisitedRequest }): NodeVisit<unknown, string> => {
    return raw[kVisit] ?? (visits.of(raw) as NodeVisit<unknown, string>)
  }
  app.decorateRequest('session', {
    getter(this: FastifyRequest) {
      return latest(this).session
    },
  })
  app.decorateRequest('user', {
    getter(this: FastifyRequest) {
      return latest(this).user as RegisteredUser | undefined
    },
    setter(this: FastifyRequest, value: RegisteredUser | undefined) {
      replaceProperty(this, 'user', value)
    },
  })
  app.decorateRequest('login', function (user, options) {
    return latest(this).loginUser(user, options as UserLoginOptions<unknown>)
  })
  app.decorateRequest('logout', function (options) {
    return latest(this).logout(options)
  })
}

/** Puts the parsed body where the core looks for it: where Node's body parsers leave it. */
function withBody({ raw, body }: FastifyRequest): VisitedRequest {
  const request: VisitedRequest = raw
  if (body !== undefined) request.body ??= body
  return request
}

// ── answers: through Fastify, so that its hooks and its error handler see them ───────────────────────────────────────

/** The head of a reply, which Fastify writes over that of `raw`. */
function headOf(reply: FastifyReply): AnswerHead {
  return {
    get statusCode() {
      return reply.statusCode
    },
    set statusCode(status) {
      reply.code(status)
    },
    getHeader: (name) => reply.getHeader(name),
    // `header()` alone would add to the cookies that are there.
    setHeader: (name, value) => reply.removeHeader(name).header(name, value),
    removeHeader: (name) => reply.removeHeader(name),
    getHeaderNames: () => Object.keys(reply.getHeaders()),
  }
}

function send(reply: FastifyReply, decided: Reply): void {
  writeReply(headOf(reply), decided)
  reply.send(decided.body)
}

/** Sets the error's header fields, and returns an `Error`: Fastify would send any other object as the answer. */
function failureFor(reply: FastifyReply, thrown: unknown): Error {
  describeFailure(headOf(reply), thrown)
  return asError(thrown)
}

/** Sends an error in place of the answer, because the session could not be saved. Nothing of the answer was sent. */
function answerWithError<User, Name extends string>(
  visit: NodeVisit<User, Name>,
  reply: FastifyReply,
  error: unknown,
): void {
  // The gate has removed the failed answer's fields from `raw`.
  for (const name of String(reply.getHeader('trailer') ?? '').split(' ')) reply.removeTrailer(name)
  for (const name of Object.keys(reply.getHeaders())) if (describesAnswer(name)) reply.removeHeader(name)
  if (!reply.sent) reply.send(failureFor(reply, error))
  else {
    // Fastify leaves a hijacked reply alone.
    visit.report(error)
    describeFailure(reply.raw, error)
    sendReply(reply.raw, errorReply(visit.exchange, error))
  }
}
