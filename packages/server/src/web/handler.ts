import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Exchange, GatepassError } from 'gatepass'
import { Hono } from 'hono'
import type { Auth } from '../auth.ts'
import type { Audit } from '../operation/audit.ts'
import type { ErrorLog } from '../operation/error-log.ts'
import { receive, send } from './node.ts'
import type { Pages } from './pages.ts'
import { crossSite, malformedRequest, type Problem, problemOf } from './problem.ts'
import { requestOf, type ServerEnv, type ServerRequest } from './request.ts'
import { headProblem, hostProblem, urlOf } from './request-check.ts'
import { addRoutes, type Route } from './router.ts'
import { securityHeaders, setHeaders } from './security-headers.ts'

export interface HandlerOptions {
  readonly auth: Auth
  readonly pages: Pages
  readonly audit: Audit
  readonly errors: ErrorLog
  /** As browsers see this server, the main one first. */
  readonly origins: readonly [string, ...string[]]
  readonly routes: readonly Route[]
  /** Whether the server is about to end, and new work should go elsewhere. */
  readonly stopping: () => boolean
}

/** What every request passes before a route sees it, and every answer before it leaves. */
export function requestHandler(options: HandlerOptions): (req: IncomingMessage, res: ServerResponse) => void {
  const { auth, pages, audit, errors, origins, routes, stopping } = options
  const headers = securityHeaders({ https: origins[0].startsWith('https:') })
  const app = new Hono<ServerEnv>()
  // Sessions and users. It refuses what another site sends with our cookies, and saves the session before an answer leaves.
  app.use(auth)
  app.use(async (c, next) => {
    await next()
    for (const [name, value] of Object.entries(headers)) if (!c.res.headers.has(name)) c.res.headers.set(name, value)
  })
  app.use(async (c, next) => {
    const request = requestOf(c, auth)
    const problem = misdirection(request)
    if (problem !== undefined) return pages.refuse(request, problem)
    return (await isFirstParty(request)) ? next() : refuseCrossSite(request)
  })
  addRoutes(app, routes, { auth, pages })
  app.onError((error, c) => {
    const request = requestOf(c, auth)
    if (isCrossOrigin(error)) return refuseCrossSite(request)
    errors.record(error, request.requestId)
    return pages.refuse(request, problemOf(error))
  })

  return (req, res) => {
    setHeaders(res, headers)
    if (stopping()) res.setHeader('Connection', 'close')
    answer(req, res).catch((error: unknown) => {
      // Not even the refusal could be made.
      errors.record(error, undefined)
      res.destroy()
    })
  }

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { request, halfRead } = receive(req, urlOf(req, origins) ?? new URL(origins[0]))
    const response = await app.fetch(request, { incoming: req })
    if (halfRead()) res.setHeader('Connection', 'close')
    await send(res, response)
  }

  function misdirection({ node, exchange, path }: ServerRequest): Problem | undefined {
    const tooMuch = headProblem(node)
    if (tooMuch !== undefined) return tooMuch
    if (urlOf(node, origins) === undefined) return malformedRequest
    // A program that watches this server asks for it by its address.
    if (path === '/healthz' || path === '/readyz') return undefined
    return hostProblem(node, { origins, host: exchange.host })
  }

  /** A request that is not for this server at all is told that, whichever page it comes from. */
  function refuseCrossSite(request: ServerRequest): Promise<Response> {
    const problem = misdirection(request)
    if (problem !== undefined) return pages.refuse(request, problem)
    audit.record('malicious_csrf', request, { reason: 'cross_origin' })
    return pages.refuse(request, crossSite)
  }

  /** The library's rule, also for visitors without cookies: they could be logged in to another person's account. */
  async function isFirstParty({ exchange, path }: ServerRequest): Promise<boolean> {
    if (isReadCrossSite(exchange, path)) return false
    // A provider's page that posts its answer: it carries no session, and ours posts it once more.
    if (auth.passport.takesForeignPost(exchange)) return true
    try {
      await auth.gatepass.requireOwnForm(exchange)
      return true
    } catch (error) {
      if (!isCrossOrigin(error)) throw error
      return false
    }
  }
}

function isCrossOrigin(error: unknown): boolean {
  return error instanceof GatepassError && error.code === 'ERR_CROSS_ORIGIN'
}

/** Whether another site's page embeds what only its owner may read. A link that a person follows does not. */
function isReadCrossSite(exchange: Exchange, path: string): boolean {
  const site = exchange.header('sec-fetch-site')
  return (
    path.startsWith('/auth/') &&
    (site === 'cross-site' || site === 'same-site') &&
    exchange.header('sec-fetch-dest') !== 'document' &&
    (exchange.method === 'GET' || exchange.method === 'HEAD')
  )
}
