import type { IncomingMessage, ServerResponse } from 'node:http'
import { GatepassError } from '../error.ts'
import type { Success, UserObject } from '../passport/outcome.ts'
import type { LoginOptions } from '../passport/passport.ts'
import type { RegisteredUser, RequestSession } from '../register.ts'
import type { Session } from '../session/session.ts'
import {
  handlerOf,
  middleware,
  type NextFunction,
  type NodeGatepassOptions,
  nodeVisits,
  type RequestAccess,
  sendError,
} from './node-visits.ts'
import { makerOf, type NoMore, type RouteMakers, routeMakers } from './route-steps.ts'

export { type LocationOptions, safeLocation } from '../http/location.ts'
export { allowCrossOrigin, csrfFormField } from '../passport/own-pages.ts'
export type { Register } from '../register.ts'

declare module '../register.ts' {
  interface RequestSessions {
    gatepass: Session
  }
}

declare global {
  namespace Express {
    interface User extends RegisteredUser {}
    interface Request {
      /** This browser's session; its `data` is yours to change. */
      session: RequestSession
      user?: User | undefined
      /** Keeps the login in the session, under a new token. */
      login(user: User, options?: LoginOptions & Pick<Success<User>, 'amr' | 'at'>): Promise<void>
      /** Ends this session. With `everywhere` it ends all sessions of its subject. */
      logout(options?: { everywhere?: boolean }): Promise<void>
    }
  }
}

/** A handler for Express 5 and 4, and for other frameworks that call `(req, res, next)`. */
export type ExpressHandler = (req: IncomingMessage, res: ServerResponse, next: NextFunction) => void

/** An error handler for Express 5 and 4. */
export type ExpressErrorHandler = (
  error: unknown,
  req: IncomingMessage,
  res: ServerResponse,
  next: NextFunction,
) => void

/** Middleware for `app.use`, and handlers for routes. */
export interface ExpressGatepass<User, Name extends string = string>
  extends RequestAccess<User, Name>,
    RouteMakers<Name, ExpressHandler> {
  (req: IncomingMessage, res: ServerResponse, next: NextFunction): void
  /**
   * Answers errors of Gatepass in the same form as guards: JSON with code and hint, or text for a browser that asks for a
   * page, without a stack. Other errors go to the next error handler. Mount it with `app.use` after the routes and after your
   * own error handlers.
   */
  errors(...none: NoMore): ExpressErrorHandler
}

/**
 * Sessions and users in Express 5 and 4.
 *
 * ```ts
 * import express from 'express'
 * import { gatepass } from 'gatepass/express'
 * import { memoryStore } from 'gatepass/stores/memory'
 *
 * const auth = gatepass({
 *   sessions: { store: memoryStore() },
 *   users: { find: (id) => ({ id }), subject: (user) => user.id },
 * })
 * const app = express()
 * app.use(auth)
 * app.get('/me', auth.requireLogin(), (req, res) => {
 *   res.json(req.user)
 * })
 * app.use(auth.errors())
 * ```
 *
 * @throws {UsageError} `ERR_PASSPORT_OPTIONS`, `ERR_SESSION_OPTIONS`, `ERR_HTTP_ORIGIN`, `ERR_HTTP_PROXY`
 */
export function gatepass<User extends UserObject, const Name extends string = string>(
  options: NodeGatepassOptions<User, Name>,
): ExpressGatepass<User, Name> {
  const visits = nodeVisits(options)
  return Object.assign(middleware(visits), {
    ...routeMakers(visits.core, (step): ExpressHandler => handlerOf(visits, step)),
    errors: makerOf(
      'errors',
      (): ExpressErrorHandler => (error, req, res, next) => {
        if (error instanceof GatepassError && !res.headersSent) sendError(visits, req, res, error)
        else next(error)
      },
    ),
    ...visits.access<IncomingMessage>(),
  })
}
