import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Awaitable } from '../awaitable.ts'
import { GatepassError } from '../error.ts'
import { addVary } from '../http/answer.ts'
import type { Fields } from '../http/body.ts'
import { errorReply } from '../http/error-reply.ts'
import type { Reply } from '../http/exchange.ts'
import { bytesRead } from '../http/fields.ts'
import { describesAnswer } from '../http/head.ts'
import { exchangeOf, NodeHead, sendReply } from '../http/node.ts'
import type { RequireLoginOptions } from '../passport/guard.ts'
import type { LinkRouteOptions, LoginRouteOptions } from '../passport/login-route.ts'
import type { BackChannelLogoutOptions, LogoutRouteOptions } from '../passport/logout-route.ts'
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
import { makerOf, type NoMore, type RouteStep, routeSteps } from './route-steps.ts'
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
    /** Ends this session, or with `everywhere` all of its subject's. */
    logout(options?: { everywhere?: boolean }): Promise<void>
  }
}

/** What a failed save is logged to is Fastify's own log. */
export type FastifyGatepassOptions<User, Name extends string = string> = Omit<
  NodeGatepassOptions<User, Name>,
  'onError'
>

/** A hook (`preHandler`), after which the request goes on, or a route's handler, which then answers 204. */
export type FastifyStep = (request: FastifyRequest, reply: FastifyReply, done?: (error?: Error) => void) => void

/** A plugin for `app.register`, and handlers and hooks for routes. */
export interface FastifyGatepass<User, Name extends string = string> extends RequestAccess<User, Name, FastifyRequest> {
  (app: FastifyInstance, options: object, done: () => void): void
  /** Logs in with the first of the named strategies that concludes, and keeps the login in the session. */
  login(names: Name | readonly Name[], options?: LoginRouteOptions): FastifyStep
  /** Adds a way to log in to the account of who is logged in, by a recent login; for a POST route. */
  link(name: Name, options: LinkRouteOptions): FastifyStep
  /** Ends the session; for a POST route. */
  logout(options?: LogoutRouteOptions, ...none: NoMore): FastifyStep
  /** Ends the sessions whose login a provider says has ended; for a POST route that the provider knows. */
  backChannelLogout(name: Name, options: BackChannelLogoutOptions): FastifyStep
  /** Lets in who proves by this very request who it is (Bearer, Basic), and keeps nothing. */
  authenticate(names: Name | readonly Name[], options?: Readonly<Record<string, unknown>>): FastifyStep
  /** Lets in who is logged in; everyone else gets 401 with the reason, or is sent to the login page. */
  requireLogin(options?: RequireLoginOptions, ...none: NoMore): FastifyStep
  /**
   * Lets in what comes from our own pages, with or without cookies: for routes of your own that log in. Unsafe requests
   * with cookies are checked by the plugin itself.
   */
  requireSameOrigin(...none: NoMore): FastifyStep
  /**
   * Answers errors of Gatepass as guards answer refusals: JSON with code and hint, or a text for a browser that asks for a
   * page. Other errors go on to the handler around. For `app.setErrorHandler`, or called by a handler of your own.
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
  const steps = routeSteps(core)
  const maker = <Given extends unknown[]>(name: string, stepOf: (...given: Given) => RouteStep) =>
    makerOf(name, (...given: Given): FastifyStep => {
      const step = stepOf(...given)
      return (request, reply, done) =>
        run(
          () => step(find(request).exchange),
          (decided) => proceed(reply, decided, done),
          (error) => void reply.send(failure(reply, error)),
        )
    })

  return Object.assign((app: FastifyInstance, _options: object, done: () => void) => install(app, visits, done), {
    ...asPlugin,
    login: maker('login', steps.login),
    link: maker('link', steps.link),
    logout: maker('logout', steps.logout),
    backChannelLogout: maker('backChannelLogout', steps.backChannelLogout),
    authenticate: maker('authenticate', steps.authenticate),
    requireLogin: maker('requireLogin', steps.requireLogin),
    requireSameOrigin: maker('requireSameOrigin', steps.requireSameOrigin),
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

/** What fastify-plugin says: that the hooks are those of whoever registers, not of a scope of our own. */
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
  // First of all a request's hooks, because the response is held from here on.
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
    () => visits.begin(request.raw, reply.raw, (error) => answerAnew(visits.of(request.raw), reply, error)),
    () => next(),
    (error) => next(failure(reply, error)),
  )
}

const kLog: unique symbol = Symbol('gatepass.log')
type Logged = IncomingMessage & { [kLog]?: FastifyBaseLogger }

function report(error: unknown, req: IncomingMessage): void {
  ;(req as Logged)[kLog]?.error({ err: error }, error instanceof Error ? error.message : undefined)
}

/** Does not wait for what is there already: with a store that answers at once, Fastify's hooks run without a promise. */
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

/** Once for all `gatepass()` of an application, which look for the visit that began last. */
function equip(app: FastifyInstance): void {
  if (app.hasDecorator(kEquipped)) return
  app.decorate(kEquipped, true)
  app.decorateRequest('session', { getter: sessionOf })
  app.decorateRequest('user', { getter: userOf, setter: setUser })
  app.decorateRequest('login', login)
  app.decorateRequest('logout', logout)
}

/** Fastify's requests have it all; those of Node, below them, do not need it. */
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

/** Login forms need a parser, and Fastify has none; it is Fastify that reads, under the route's own limit. */
function readForms<User, Name extends string>(app: FastifyInstance, visits: NodeVisits<User, Name>): void {
  if (app.hasContentTypeParser(formType)) return
  app.addContentTypeParser(formType, { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
    const raw: WithBody = request.raw
    raw.body = body
    return thawed(await visits.of(raw).exchange.fields())
  })
}

/** A copy, because handlers and schemas may change a body. */
function thawed(fields: Fields): Record<string, unknown> {
  return Object.assign(Object.create(null), fields)
}

/** The core looks for a parsed body where Node's body parsers leave it. */
function withBody({ raw, body }: FastifyRequest): WithBody {
  const request: WithBody = raw
  if (body !== undefined) request.body ??= body
  return request
}

/** What the check of cross-site requests, or a step in `onRequest`, has read: Fastify would wait for it forever. */
function bodyAgain(raw: IncomingMessage): Readable | undefined {
  const bytes = bytesRead(raw)
  return bytes === undefined ? undefined : Readable.from([bytes])
}

// ── answers: through Fastify, so that its hooks and its handler of errors see them ───────────────────────────────────

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

/** What Fastify answers to an error thrown here; to Fastify, an object that is no `Error` would be an answer. */
function failure(reply: FastifyReply, thrown: unknown): Error {
  describeIn(reply.raw, thrown)
  keepVary(reply)
  return thrown instanceof Error ? thrown : new Error('A value that is not an error was thrown', { cause: thrown })
}

/** Fastify writes its header fields over those of `raw`; this one must have both. */
function keepVary(reply: FastifyReply): void {
  const raw: ServerResponse = reply.raw
  const ours = raw.getHeader('vary')
  const theirs = reply.getHeader('vary')
  if (ours === undefined || ours === theirs) return
  addVary(new NodeHead(raw), String(theirs))
  reply.header('vary', raw.getHeader('vary'))
}

/** The session could not be saved, and nothing of the answer has left. */
function answerAnew<User, Name extends string>(
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

/** Takes back what Fastify remembers of it, as the gate has for `raw`. */
function forgetAnswer(reply: FastifyReply): void {
  const trailers = String(reply.getHeader('trailer') ?? '')
  for (const name of trailers.split(' ')) reply.removeTrailer(name)
  for (const name of Object.keys(reply.getHeaders())) if (describesAnswer(name)) reply.removeHeader(name)
}
