import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Exchange } from 'gatepass'
import type { HonoEnv } from 'gatepass/hono'
import type { Context } from 'hono'
import type { Account } from '../accounts/accounts.ts'
import type { Auth } from '../auth.ts'
import type { AuditOrigin } from '../operation/audit.ts'

type ServerExchange = ReturnType<Auth['exchange']>

/** One request, as the routes see it. */
export class ServerRequest implements AuditOrigin {
  /** Names this request in the log, and on the page that says that something broke. */
  readonly requestId: string = randomBytes(9).toString('base64url')
  readonly node: IncomingMessage
  readonly exchange: ServerExchange
  readonly url: URL

  constructor(node: IncomingMessage, exchange: ServerExchange, url: URL) {
    this.node = node
    this.exchange = exchange
    this.url = url
    exchange.memory.set(REQUEST, this)
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

/** Where an exchange keeps the request it belongs to. */
const REQUEST: object = {}

/** The request of this exchange, if a route or a check has asked for it already. */
export function knownRequest(exchange: Exchange): ServerRequest | undefined {
  return exchange.memory.get(REQUEST) as ServerRequest | undefined
}

/** What Hono knows of a request here. */
export interface ServerEnv extends HonoEnv<Account> {
  readonly Bindings: { readonly incoming: IncomingMessage }
}

export function requestOf(c: Context<ServerEnv>, auth: Auth): ServerRequest {
  const exchange = auth.exchange(c)
  return knownRequest(exchange) ?? new ServerRequest(c.env.incoming, exchange, new URL(c.req.url))
}
