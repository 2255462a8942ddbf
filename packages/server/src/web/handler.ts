import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Awaitable, type Exchange, GatepassError } from 'gatepass'
import type { Auth } from '../auth.ts'
import type { Audit } from '../operation/audit.ts'
import type { ErrorLog } from '../operation/error-log.ts'
import { send } from './answer.ts'
import type { Pages } from './pages.ts'
import { crossSite, malformedRequest, type Problem, problemOf } from './problem.ts'
import { ServerRequest } from './request.ts'
import { headProblem, hostProblem } from './request-check.ts'
import { securityHeaders, setHeaders } from './security-headers.ts'

export interface HandlerOptions {
  readonly auth: Auth
  readonly pages: Pages
  readonly audit: Audit
  readonly errors: ErrorLog
  /** As browsers see this server, the main one first. */
  readonly origins: readonly [string, ...string[]]
  /** The routes. */
  readonly answer: (request: ServerRequest) => Awaitable<Response>
  /** Whether the server is about to end, and new work should go elsewhere. */
  readonly stopping: () => boolean
}

/** How the library handed a request on. */
interface Entry {
  /** What it found wrong with the request, or, `again`, with saving its session. */
  readonly error: unknown
  readonly again: boolean
}

/** What every request passes before a route sees it, and every answer before it leaves. */
export class RequestHandler {
  readonly #options: HandlerOptions
  readonly #headers: Readonly<Record<string, string>>

  constructor(options: HandlerOptions) {
    this.#options = options
    this.#headers = securityHeaders({ https: options.origins[0].startsWith('https:') })
  }

  handle(req: IncomingMessage, res: ServerResponse): void {
    const { auth, stopping } = this.#options
    setHeaders(res, this.#headers)
    if (stopping()) res.setHeader('Connection', 'close')
    let request: ServerRequest | undefined
    auth(req, res, (error) => {
      // Called again when the session could not be saved: then nothing has left, and another answer is made.
      const again = request !== undefined
      request ??= this.#request(req)
      void this.#respond(request, res, { error, again })
    })
  }

  #request(req: IncomingMessage): ServerRequest {
    const { auth, origins } = this.#options
    const exchange = auth.exchange(req)
    return new ServerRequest(req, exchange, URL.parse(origins[0] + exchange.target) ?? new URL(origins[0]))
  }

  async #respond(request: ServerRequest, res: ServerResponse, entry: Entry): Promise<void> {
    try {
      // The answer that failed took its caching fields with it.
      if (entry.again) setHeaders(res, this.#headers)
      await send(res, await this.#answerOrRefusal(request, entry))
    } catch (error) {
      // Not even the refusal could be made.
      this.#options.errors.record(error, request.requestId)
      res.destroy()
    }
  }

  async #answerOrRefusal(request: ServerRequest, { error, again }: Entry): Promise<Response> {
    if (again || (error !== undefined && !isCrossOrigin(error))) return this.#failed(request, error)
    try {
      return await this.#answer(request)
    } catch (thrown) {
      return this.#failed(request, thrown)
    }
  }

  async #answer(request: ServerRequest): Promise<Response> {
    const { pages, audit, answer } = this.#options
    const problem = this.#misdirection(request)
    if (problem !== undefined) return pages.refuse(request, problem)
    if (!(await this.#isFirstParty(request))) {
      audit.record('malicious_csrf', request, { reason: 'cross_origin' })
      return pages.refuse(request, crossSite)
    }
    return answer(request)
  }

  #failed(request: ServerRequest, error: unknown): Promise<Response> {
    const { pages, errors } = this.#options
    errors.record(error, request.requestId)
    return pages.refuse(request, problemOf(error))
  }

  #misdirection({ node, exchange, path }: ServerRequest): Problem | undefined {
    const { auth, origins } = this.#options
    const tooMuch = headProblem(node)
    if (tooMuch !== undefined) return tooMuch
    if (!exchange.target.startsWith('/') || !URL.canParse(origins[0] + exchange.target)) return malformedRequest
    // A program that watches this server asks for it by its address.
    if (path === '/healthz' || path === '/readyz') return undefined
    return hostProblem(node, { origins, host: auth.exchange(node).host })
  }

  /** The library's rule, also for visitors without cookies: they could be logged in to another person's account. */
  async #isFirstParty({ exchange, path }: ServerRequest): Promise<boolean> {
    const { auth } = this.#options
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
