import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Awaitable } from '../awaitable.ts'
import { GatepassError } from '../error.ts'
import { addVary } from '../http/answer.ts'
import { bytesRead, type Fields } from '../http/body.ts'
import { errorReply } from '../http/error-reply.ts'
import type { Reply } from '../http/exchange.ts'
import { describesAnswer } from '../http/head.ts'
import { exchangeOf, NodeHead, sendReply } from '../http/node.ts'
import type { UserObject } from '../passport/outcome.ts'
import type { RegisteredUser, SessionData } from '../register.ts'
import type { Session } from '../session/session.ts'
import {
  describeIn,
  type NodeGatepassOptions,
  type NodeVisit,
  NodeVisits,
  type RequestAccess,
  visitOf,
} from './node-visits.ts'
import { makerOf, type NoMore, type RouteMakers, routeMakers } from './route-steps.ts'
import type { UserLoginOptions } from './visit.ts'

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
  const visits = new NodeVisits<User, Name>(options, { equip: nothing, report })
  const { core } = visits.visits
  const find = (request: FastifyRequest): NodeVisit<User, Name> => visits.of(withBody(request))
  const access = visits.access()
  const makers = routeMakers(core, (step): FastifyStep => {
    return (request, reply, done) =>
      run(
        () => step(find(request).exchange),
        (decided) => proceed(reply, decided, done),
        (error) => void reply.send(failure(reply, error)),
      )
  })

  return Object.assign((app: FastifyInstance, _options: object, done: () => void) => install(app, visits, done), {
    ...asPlugin,
    ...makers,
    errors: makerOf('errors', () => (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
      if (!(error instanceof GatepassError)) throw error
      const decided = errorReply(exchangeOf(request.raw, reply.raw, visits.visits.settings), error)
      if (decided.status >= 500) report(error, request.raw)
      describeIn(reply.raw, error)
      send(reply, decided)
    }),
    ...access,
    exchange: (request: FastifyRequest) => find(request).exchange,
    session: (request: FastifyRequest) => access.session(request.raw),
    user: (request: FastifyRequest) => access.user(request.raw),
    csrfToken: (request: FastifyRequest) => access.csrfToken(request.raw),
  })
}

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
  equip(app)
  // The first hook of every request, because from here on the response is held.
  app.addHook('onRequest', (request, reply, next) => enter(visits, request, reply, next))
  app.addHook('preParsing', (request, _reply, _payload, next) => next(null, bodyAgain(request.raw)))
  readForms(app, visits)
  done()
}

function enter<User, Name extends string>(
  visits: NodeVisits<User, Name>,
  request: FastifyRequest,
  reply: FastifyReply,
  next: (error?: Error) => void,
): void {
  const raw: Logged = request.raw
  raw[kLog] = request.log
  run(
    () => visits.begin(request.raw, reply.raw, (error) => answerWithError(visits.of(request.raw), reply, error)),
    () => next(),
    (error) => next(failure(reply, error)),
  )
}

const kLog: unique symbol = Symbol('gatepass.log')
type Logged = IncomingMessage & { [kLog]?: FastifyBaseLogger }

function report(error: unknown, req: IncomingMessage): void {
  ;(req as Logged)[kLog]?.error({ err: error }, error instanceof Error ? error.message : undefined)
}

/** Awaits only promises: with a synchronous store, Fastify's hooks run without one. */
function run<T>(step: () => Awaitable<T>, settle: (value: T) => void, failed: (error: unknown) => void): void {
  let value: Awaitable<T>
  try {
    value = step()
  } catch (error) {
    failed(error)
    return
  }
  if (value instanceof Promise) value.then(settle).catch(failed)
  else settle(value)
}

// ── what the request has ─────────────────────────────────────────────────────────────────────────────────────────────

const kEquipped: unique symbol = Symbol('gatepass.equipped')

/** Decorates requests once for all `gatepass()` of an application. The properties are those of the latest visit. */
function equip(app: FastifyInstance): void {
  if (app.hasDecorator(kEquipped)) return
  app.decorate(kEquipped, true)
  app.decorateRequest('session', { getter: sessionOf })
  app.decorateRequest('user', { getter: userOf, setter: setUser })
  app.decorateRequest('login', login)
  app.decorateRequest('logout', logout)
}

/** Equips nothing: Fastify's requests have the properties, and the Node requests under them do not need any. */
function nothing(): void {}

function sessionOf(this: FastifyRequest): Session<SessionData> {
  return visitOf(this.raw).session
}

function userOf(this: FastifyRequest): RegisteredUser | undefined {
  return visitOf(this.raw).user as RegisteredUser | undefined
}

function setUser(this: FastifyRequest, value: RegisteredUser | undefined): void {
  Object.defineProperty(this, 'user', { value, configurable: true, enumerable: true, writable: true })
}

function login(this: FastifyRequest, user: RegisteredUser, options?: UserLoginOptions<RegisteredUser>): Promise<void> {
  return visitOf(this.raw).loginUser(user, options as UserLoginOptions<unknown>)
}

function logout(this: FastifyRequest, options?: { everywhere?: boolean }): Promise<void> {
  return visitOf(this.raw).logout(options)
}

// ── bodies: Fastify reads them, between our first hook and the handler ───────────────────────────────────────────────

type WithBody = IncomingMessage & { body?: unknown }

const formType = 'application/x-www-form-urlencoded'

/** Adds a parser for login forms, because Fastify has none. Fastify itself reads the body, with the route's limit. */
function readForms<User, Name extends string>(app: FastifyInstance, visits: NodeVisits<User, Name>): void {
  if (app.hasContentTypeParser(formType)) return
  app.addContentTypeParser(formType, { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
    const raw: WithBody = request.raw
    raw.body = body
    return thawed(await visits.of(raw).exchange.fields())
  })
}

/** Copies the fields, because handlers and schemas may change a body. */
function thawed(fields: Fields): Record<string, unknown> {
  return Object.assign(Object.create(null), fields)
}

/** Puts the parsed body where the core looks for it: where Node's body parsers leave it. */
function withBody({ raw, body }: FastifyRequest): WithBody {
  const request: WithBody = raw
  if (body !== undefined) request.body ??= body
  return request
}

/** A stream of the body if an earlier check has read it. Without it Fastify would wait forever for the body. */
function bodyAgain(raw: IncomingMessage): Readable | undefined {
  const bytes = bytesRead(raw)
  return bytes === undefined ? undefined : Readable.from([bytes])
}

// ── answers: through Fastify, so that its hooks and its error handler see them ───────────────────────────────────────

function proceed(reply: FastifyReply, decided: Reply | undefined, done: (() => void) | undefined): void {
  if (decided !== undefined) send(reply, decided)
  else if (done !== undefined) done()
  else reply.code(204).send()
}

function send(reply: FastifyReply, { status, headers, body }: Reply): void {
  for (const [name, value] of Object.entries(headers)) {
    if (name.toLowerCase() === 'vary') addVary(new NodeHead(reply.raw), String(value))
    else reply.header(name, value)
  }
  keepVary(reply)
  reply.code(status).send(body)
}

/** Turns a thrown value into an error for Fastify, which would send an object that is not an `Error` as the answer. */
function failure(reply: FastifyReply, thrown: unknown): Error {
  describeIn(reply.raw, thrown)
  keepVary(reply)
  return thrown instanceof Error ? thrown : new Error('A value that is not an error was thrown', { cause: thrown })
}

/** Merges `Vary`, because Fastify overwrites the header fields of `raw` with its own. */
function keepVary(reply: FastifyReply): void {
  const raw: ServerResponse = reply.raw
  const ours = raw.getHeader('vary')
  const theirs = reply.getHeader('vary')
  if (ours === undefined || ours === theirs) return
  addVary(new NodeHead(raw), String(theirs))
  reply.header('vary', raw.getHeader('vary'))
}

/** Sends an error in place of the answer, because the session could not be saved. Nothing of the answer was sent. */
function answerWithError<User, Name extends string>(
  visit: NodeVisit<User, Name>,
  reply: FastifyReply,
  thrown: unknown,
): void {
  forgetAnswer(reply)
  const error = failure(reply, thrown)
  if (!reply.sent) {
    reply.send(error)
    return
  }
  // Fastify leaves a hijacked reply alone.
  report(error, reply.request.raw)
  sendReply(reply.raw, errorReply(visit.exchange, error))
}

/** Removes the failed answer's fields from Fastify's reply. The gate has done so for `raw`. */
function forgetAnswer(reply: FastifyReply): void {
  const trailers = String(reply.getHeader('trailer') ?? '')
  for (const name of trailers.split(' ')) reply.removeTrailer(name)
  for (const name of Object.keys(reply.getHeaders())) if (describesAnswer(name)) reply.removeHeader(name)
}
