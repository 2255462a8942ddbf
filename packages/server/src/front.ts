import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Awaitable, type Exchange, GatepassError } from 'gatepass'
import { crossSite, malformedRequest, type Problem, problemOf } from './problem.ts'
import { refuse } from './refusal.ts'
import { headProblem, hostProblem } from './request-check.ts'
import { securityHeaders, setHeaders } from './security-headers.ts'
import { send } from './send.ts'
import type { Site } from './site.ts'
import { Visit } from './visit.ts'

export interface FrontOptions {
  readonly origins: readonly [string, ...string[]]
  /** The routes. */
  readonly answer: (visit: Visit) => Awaitable<Response>
}

/** How the library handed a request on. */
interface Entry {
  /** What it found wrong with the request, or, `again`, with saving its session. */
  readonly error: unknown
  readonly again: boolean
}

/** What every request passes before a route sees it, and every answer before it leaves. */
export class Front {
  readonly #site: Site
  readonly #options: FrontOptions
  readonly #headers: Readonly<Record<string, string>>

  constructor(site: Site, options: FrontOptions) {
    this.#site = site
    this.#options = options
    this.#headers = securityHeaders({ https: site.origin.startsWith('https:') })
  }

  handle(req: IncomingMessage, res: ServerResponse): void {
    setHeaders(res, this.#headers)
    if (this.#site.stopping()) res.setHeader('Connection', 'close')
    let visit: Visit | undefined
    this.#site.auth(req, res, (error) => {
      // Called again when the session could not be saved: then nothing has left, and the answer is made anew.
      const again = visit !== undefined
      visit ??= this.#visit(req)
      void this.#respond(visit, res, { error, again })
    })
  }

  #visit(req: IncomingMessage): Visit {
    const exchange = this.#site.auth.exchange(req)
    const url = URL.parse(this.#site.origin + exchange.target) ?? new URL(this.#site.origin)
    return new Visit(req, exchange, url)
  }

  async #respond(visit: Visit, res: ServerResponse, entry: Entry): Promise<void> {
    try {
      // The answer that failed took its caching fields with it.
      if (entry.again) setHeaders(res, this.#headers)
      await send(res, await this.#answerOrRefusal(visit, entry))
    } catch (error) {
      // Not even the refusal could be made.
      this.#site.errors.record(error, visit.requestId)
      res.destroy()
    }
  }

  async #answerOrRefusal(visit: Visit, { error, again }: Entry): Promise<Response> {
    if (again || (error !== undefined && !isCrossOrigin(error))) return this.#failed(visit, error)
    try {
      return await this.#answer(visit)
    } catch (thrown) {
      return this.#failed(visit, thrown)
    }
  }

  async #answer(visit: Visit): Promise<Response> {
    const problem = this.#misdirection(visit)
    if (problem !== undefined) return refuse(this.#site, visit, problem)
    if (!(await this.#isFirstParty(visit))) {
      this.#site.audit.record('malicious_csrf', visit, { reason: 'cross_origin' })
      return refuse(this.#site, visit, crossSite)
    }
    return this.#options.answer(visit)
  }

  #failed(visit: Visit, error: unknown): Promise<Response> {
    this.#site.errors.record(error, visit.requestId)
    return refuse(this.#site, visit, problemOf(error))
  }

  #misdirection(visit: Visit): Problem | undefined {
    const tooMuch = headProblem(visit.request)
    if (tooMuch !== undefined) return tooMuch
    const { target } = visit.exchange
    if (!target.startsWith('/') || !URL.canParse(this.#site.origin + target)) return malformedRequest
    // Whoever watches over this server asks by its number.
    if (visit.path === '/healthz' || visit.path === '/readyz') return undefined
    return hostProblem(visit.request, {
      origins: this.#options.origins,
      host: this.#site.auth.exchange(visit.request).host,
    })
  }

  /** The library's rule, also for visitors without cookies: they could be logged in to another person's account. */
  async #isFirstParty({ exchange, path }: Visit): Promise<boolean> {
    if (isReadCrossSite(exchange, path)) return false
    // A provider's page that posts its answer: it carries no session, and ours posts it once more.
    if (this.#site.auth.passport.takesForeignPost(exchange)) return true
    try {
      await this.#site.auth.gatepass.requireOwnForm(exchange)
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

/** Another site's page that embeds what only its owner may read; following a link is no such thing. */
function isReadCrossSite(exchange: Exchange, path: string): boolean {
  const site = exchange.header('sec-fetch-site')
  return (
    path.startsWith('/auth/') &&
    (site === 'cross-site' || site === 'same-site') &&
    exchange.header('sec-fetch-dest') !== 'document' &&
    (exchange.method === 'GET' || exchange.method === 'HEAD')
  )
}
