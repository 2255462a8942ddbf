import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Awaitable, type Exchange, GatepassError } from 'gatepass'
import { Hono } from 'hono'
import type { Services } from '../services.ts'
import { securityHeaders, seeOther, setHeaders } from './answer.ts'
import { headProblem, hostProblem, receive, send, urlOf } from './node.ts'
import { crossSite, malformedRequest, methodNotAllowed, notFound, type Problem, problemOf } from './problem.ts'
import { requestOf, type ServerEnv, type ServerRequest } from './request.ts'

/** The named segments of a route's path. */
export type Parameters = Readonly<Record<string, string>>

/** One method of one address. GET answers HEAD as well. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  /** The page that has the form of this address. A person who opens the address itself, by a reload for example, is sent there. */
  readonly page?: string
  readonly answer: (request: ServerRequest, parameters: Parameters) => Awaitable<Response>
}

/** What every request passes before a route sees it, and every answer before it leaves. */
export function requestHandler(
  {
    auth,
    pages,
    audit,
    errors,
    origins,
    stopping,
  }: Pick<Services, 'auth' | 'pages' | 'audit' | 'errors' | 'origins' | 'stopping'>,
  routes: readonly Route[],
): (req: IncomingMessage, res: ServerResponse) => void {
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
  for (const { method, path, answer } of routes)
    app.on(method, path, (c) => answer(requestOf(c, auth), c.req.param() as Parameters))
  for (const [path, group] of Map.groupBy(routes, (route) => route.path)) {
    const methods = group.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
    const page = group[0]?.page
    app.all(path, (c) => {
      const request = requestOf(c, auth)
      return page !== undefined && request.exchange.method === 'GET' && request.wantsPage
        ? seeOther(page + request.url.search)
        : pages.refuse(request, methodNotAllowed(methods))
    })
  }
  app.notFound((c) => pages.refuse(requestOf(c, auth), notFound))
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
      // Even the refusal failed.
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
    return hostProblem(node, origins, exchange.host)
  }

  /** A request for another host is answered with that, whichever page it comes from. */
  function refuseCrossSite(request: ServerRequest): Promise<Response> {
    const problem = misdirection(request)
    if (problem !== undefined) return pages.refuse(request, problem)
    audit.record('malicious_csrf', request, { reason: 'cross_origin' })
    return pages.refuse(request, crossSite)
  }

  /** Applies the library's rule also to visitors without cookies: another site could log them in to its own account. */
  async function isFirstParty({ exchange, path }: ServerRequest): Promise<boolean> {
    if (isReadCrossSite(exchange, path)) return false
    // A provider's page posts its answer. The post carries no session, and our page posts it again.
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
