import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Awaitable } from '../awaitable.ts'
import type { Reply } from '../http/exchange.ts'
import { sendReply } from '../http/node.ts'
import type { Success, UserObject } from '../passport/outcome.ts'
import type { LoginOptions, Verdict } from '../passport/passport.ts'
import type { SessionData } from '../register.ts'
import type { Session } from '../session/session.ts'
import {
  middleware,
  type NextFunction,
  type NodeGatepassOptions,
  nodeVisits,
  type RequestAccess,
  sendError,
} from './node-visits.ts'
import { makerOf, type NoMore, noHandler } from './route-steps.ts'
import type { UserLoginOptions } from './visit.ts'

export { type LocationOptions, safeLocation } from '../http/location.ts'
export type { HttpOptions as NodeOptions } from '../http/settings.ts'
export { allowCrossOrigin, csrfFormField } from '../passport/own-pages.ts'
export type { Register } from '../register.ts'
export type { NextFunction, NodeGatepassOptions, RequestAccess } from './node-visits.ts'
export type { UserLoginOptions } from './visit.ts'

/** The properties of a request after the middleware. */
export interface GatepassRequest<User> {
  readonly session: Session<SessionData>
  user?: User | undefined
  /** Keeps the login in the session, under a new token. */
  login(user: User, options?: UserLoginOptions<User>): Promise<void>
  /** Ends this session. With `everywhere` it ends all sessions of its subject. */
  logout(options?: { everywhere?: boolean }): Promise<void>
}

/** Sessions and users for `node:http` and for frameworks that call `(req, res, next)`. */
export interface NodeGatepass<User, Name extends string = string> extends RequestAccess<User, Name> {
  (req: IncomingMessage, res: ServerResponse, next: NextFunction): void
  /** Wraps a listener. It gets `req.session` and `req.user`, and its errors and rejections are answered. */
  handler<Req extends IncomingMessage, Res extends ServerResponse>(
    listener: (req: Req & GatepassRequest<User>, res: Res) => unknown,
  ): (req: Req, res: Res) => void
  authenticate(
    req: IncomingMessage,
    names: Name | readonly Name[],
    options?: Readonly<Record<string, unknown>>,
  ): Promise<Verdict<User>>
  /** Keeps the login in the session, under a new token. @returns false if its provider has ended it in the meantime */
  login(req: IncomingMessage, success: Success<User> & { strategy?: string }, options?: LoginOptions): Promise<boolean>
  logout(req: IncomingMessage, options?: { everywhere?: boolean }, ...none: NoMore): Promise<void>
  /**
   * Refuses a request that does not come from our own pages, with or without cookies. Use it in login routes; the middleware
   * itself checks unsafe requests with cookies. Await it, because with `csrfKeys` it may have to load the session.
   *
   * @throws {ProtocolError} `ERR_CROSS_ORIGIN` (403)
   */
  requireSameOrigin(req: IncomingMessage, presented?: unknown, ...none: NoMore): Awaitable<void>
  /** Sends a reply that {@link Gatepass.login} or a similar method decided. */
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
  const visits = nodeVisits(options)
  const { core } = visits
  const enter = middleware(visits)
  type Request<Req> = Req & GatepassRequest<User>
  const handler =
    <Req extends IncomingMessage, Res extends ServerResponse>(listener: (req: Request<Req>, res: Res) => unknown) =>
    (req: Req, res: Res): void => {
      const failed = (error: unknown): void => sendError(visits, req, res, error)
      enter(req, res, (error) => {
        if (error !== undefined) return failed(error)
        try {
          const answer = listener(req as Request<Req>, res)
          if (answer instanceof Promise) answer.catch(failed)
        } catch (thrown) {
          failed(thrown)
        }
      })
    }
  return Object.assign(enter, {
    handler: makerOf('handler', handler),
    authenticate: noHandler(
      'authenticate',
      (req: IncomingMessage, names: Name | readonly Name[], strategy?: Readonly<Record<string, unknown>>) => {
        const { exchange } = visits.of(req)
        // It changes nothing, so no answer waits for it: a strategy from npm may send its own answer and never finish.
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
    reply: (req: IncomingMessage, reply: Reply) => sendReply(visits.of(req).exchange.response, reply),
    ...visits.access<IncomingMessage>(),
  })
}
