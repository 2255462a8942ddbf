import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Exchange } from 'gatepass'
import type { AuditOrigin } from './audit.ts'

/** One request, as the routes see it. */
export class Visit implements AuditOrigin {
  /** Names this request in the log, and on the page that says that something broke. */
  readonly requestId: string = randomBytes(9).toString('base64url')
  readonly request: IncomingMessage
  readonly exchange: Exchange
  readonly url: URL

  constructor(request: IncomingMessage, exchange: Exchange, url: URL) {
    this.request = request
    this.exchange = exchange
    this.url = url
    exchange.memory.set(VISIT, this)
  }

  get address(): string | undefined {
    return this.exchange.remoteAddress
  }

  get userAgent(): string | undefined {
    return this.exchange.header('user-agent')
  }

  /** As the router reads it: what is percent-encoded without need is the same address. */
  get path(): string {
    const { pathname } = this.url
    if (!pathname.includes('%')) return pathname
    try {
      return decodeURI(pathname)
    } catch {
      return pathname
    }
  }

  /** The first query parameter of this name. */
  query(name: string): string | undefined {
    return this.url.searchParams.get(name) ?? undefined
  }

  /** Whether a person looks at the answer, in a browser, rather than a program. */
  get wantsPage(): boolean {
    if (/^\/(?:auth\/sessions?|healthz|readyz)(?:$|\/)/.test(this.path)) return false
    const contentType = this.exchange.header('content-type')?.split(';', 1)[0]?.trim().toLowerCase()
    if (contentType === 'application/x-www-form-urlencoded') return true
    if (contentType === 'application/json') return false
    const accept = this.exchange.header('accept')
    if (accept?.includes('text/html')) return true
    return !this.path.startsWith('/auth/') && accept?.includes('json') !== true
  }
}

/** Where an exchange keeps the visit it belongs to. */
const VISIT: object = {}

export function visitOf(exchange: Exchange): Visit | undefined {
  return exchange.memory.get(VISIT) as Visit | undefined
}
