import { GatepassError } from '../../error.ts'
import { bodilessMethods } from '../../http/body.ts'
import type { NodeExchange } from '../../http/node.ts'

/**
 * The request as strategies made for Passport expect it: that of Node or of the framework, and over it what middleware
 * would have put there. What a strategy writes to it stays there.
 */
export async function requestFor(exchange: NodeExchange, session: object | undefined): Promise<object> {
  const { request, response, target } = exchange
  const given = request as { query?: unknown; body?: unknown }
  const over: Record<string, unknown> = { session, res: response, originalUrl: target, ...placeOf(exchange) }
  if (typeof given.query !== 'object') over.query = queryOf(target)
  const body = await bodyOf(exchange)
  if (body !== undefined) over.body = body
  return Object.assign(Object.create(request, own(Object.keys(over))) as object, over)
}

/**
 * Where the request is and whose it is, in every place where strategies look for it: as `gatepass()` knows it by `origin` and
 * `trustProxy`, and not as Host and the forwarded fields say. What proxies wrote has been judged, and is left out.
 */
function placeOf(exchange: NodeExchange): Record<string, unknown> {
  const { request, target, secure, remoteAddress } = exchange
  const { host, hostname } = new URL(exchange.origin)
  const kept = Object.entries(request.headers).filter(([name]) => !saysWhere.test(name))
  const headers = { ...Object.fromEntries(kept), host }
  const socket = request.socket && Object.create(request.socket, own(['encrypted', 'remoteAddress']))
  if (socket) Object.assign(socket, { encrypted: secure, remoteAddress })
  return {
    ...{ headers, host, hostname, secure, socket, ip: remoteAddress },
    protocol: secure ? 'https' : 'http',
    connection: socket,
    rawHeaders: Object.entries(headers).flatMap(([name, value]) => [name, String(value)]),
    url: request.url?.startsWith('/') ? request.url : target,
  }
}

/** Not `X-Forwarded-User` and its like, in which a proxy says who asks. */
const saysWhere = /^(?::authority|forwarded|x-forwarded-(?:by|for|host|port|prefix|proto|protocol|scheme|server|ssl))$/

/** Members of its own, whatever the framework's accessors of these names would do. */
function own(names: readonly string[]): PropertyDescriptorMap {
  return Object.fromEntries(names.map((name) => [name, { writable: true, configurable: true, enumerable: true }]))
}

function queryOf(target: string): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = {}
  const { searchParams } = new URL(target, 'http://here.invalid')
  for (const name of new Set(searchParams.keys())) {
    const [only = '', ...more] = searchParams.getAll(name)
    query[name] = more.length === 0 ? only : [only, ...more]
  }
  return query
}

/** Fields of a form or of JSON; another body is none of a login's business. */
async function bodyOf(exchange: NodeExchange): Promise<object | undefined> {
  if (bodilessMethods.has(exchange.method)) return undefined
  try {
    return { ...(await exchange.fields()) }
  } catch (error) {
    if (error instanceof GatepassError && error.code === 'ERR_BODY_TYPE') return undefined
    throw error
  }
}
