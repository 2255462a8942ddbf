import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Exchange } from 'gatepass'
import type { HonoEnv } from 'gatepass/hono'
import type { Context } from 'hono'
import type { Account } from '../accounts/accounts.ts'
import type { AuditOrigin } from '../operation/audit.ts'
import type { Auth } from '../services.ts'

/** One request, as the routes see it. */
export class ServerRequest implements AuditOrigin {
  /** Names this request in the log, and on the page that reports an error. */
  readonly requestId: string = randomBytes(9).toString('base64url')
  readonly node: IncomingMessage
  readonly exchange: ReturnType<Auth['exchange']>
  readonly url: URL
  /** As the router reads it: a path is the same if it is percent-encoded without need. */
  readonly path: string
  /** Whether a person looks at the answer in a browser. Otherwise a program reads it. */
  readonly wantsPage: boolean

  constructor(node: IncomingMessage, exchange: ReturnType<Auth['exchange']>, url: URL) {
    this.node = node
    this.exchange = exchange
    this.url = url
    this.path = decoded(url.pathname)
    this.wantsPage = wantsPage(exchange, this.path)
    exchange.memory.set(REQUEST, this)
  }

  get address(): string | undefined {
    return this.exchange.remoteAddress
  }

  get userAgent(): string | undefined {
    return this.exchange.header('user-agent')
  }

  /** The first query parameter of this name. */
  query(name: string): string | undefined {
    return this.url.searchParams.get(name) ?? undefined
  }
}

/** A path as the router reads it. */
export function decoded(path: string): string {
  try {
    return decodeURI(path)
  } catch {
    return path
  }
}

function wantsPage(exchange: Exchange, path: string): boolean {
  if (/^\/(?:auth\/sessions?|healthz|readyz)(?:$|\/)/.test(path)) return false
  const contentType = exchange.header('content-type')?.split(';', 1)[0]?.trim().toLowerCase()
  if (contentType === 'application/x-www-form-urlencoded') return true
  if (contentType === 'application/json') return false
  const accept = exchange.header('accept')
  return accept?.includes('text/html') || (!path.startsWith('/auth/') && !accept?.includes('json'))
}

/** The key under which an exchange remembers its request. */
const REQUEST: object = {}

/** The request of this exchange, if `requestOf` has made it. */
export function knownRequest(exchange: Exchange): ServerRequest | undefined {
  return exchange.memory.get(REQUEST) as ServerRequest | undefined
}

/** What Hono knows of a request. */
export interface ServerEnv extends HonoEnv<Account> {
  readonly Bindings: { readonly incoming: IncomingMessage }
}

export function requestOf(c: Context<ServerEnv>, auth: Auth): ServerRequest {
  const exchange = auth.exchange(c)
  return knownRequest(exchange) ?? new ServerRequest(c.env.incoming, exchange, new URL(c.req.url))
}
