import { ProtocolError } from '../error.ts'
import type { Exchange } from './exchange.ts'
import { originOf } from './origin.ts'

/** Whose unsafe requests are taken. */
export interface OriginRule {
  /** The application's own origins. */
  origins: readonly string[]
  /** Other origins whose pages may send requests with our cookies. */
  trustedOrigins?: readonly string[]
  /** Whether a token belongs to this session; asked only when the browser says nothing about where the request is from. */
  token?: (presented: string) => boolean
}

/** The request fields that decide, for the `Vary` of a response that depends on them. */
export const originVary = 'Sec-Fetch-Site, Origin'

/** The field in which a script presents its token. */
export const csrfTokenField = 'x-csrf-token'

/**
 * Why the request may not proceed: it is unsafe (RFC 9110 §9.2.1) and not known to come from our own pages or a trusted
 * origin's. `undefined` when it may.
 *
 * @param presented the token, if not in the field `x-csrf-token`: from a form
 */
export function crossOriginReason(
  exchange: Exchange,
  rule: OriginRule,
  presented: string | undefined = exchange.header(csrfTokenField),
): string | undefined {
  if (isSafe(exchange.method)) return undefined
  const site = exchange.header('sec-fetch-site')
  const origin = exchange.header('origin')
  if (site !== undefined) return reasonBySite(site, origin, rule)
  if (origin !== undefined) return reasonByOrigin(origin, [...rule.origins, ...(rule.trustedOrigins ?? [])], rule)
  return reasonByToken(presented, rule)
}

/** @throws {ProtocolError} `ERR_CROSS_ORIGIN` (403) when the request may not proceed */
export function requireSameOrigin(exchange: Exchange, rule: OriginRule, presented?: string): void {
  const reason = crossOriginReason(exchange, rule, presented)
  if (reason === undefined) return
  throw new ProtocolError('ERR_CROSS_ORIGIN', `This request was refused: ${reason}`, {
    status: 403,
    hint: hintFor(exchange),
  })
}

/** Behind a proxy that is not known, what a browser takes for our address is another one than the request names. */
function hintFor({ originConfigured, origin }: Exchange): string {
  const place = originConfigured
    ? 'its address is the option `origin`'
    : `its address was taken for ${origin}. If browsers know it by another, set \`origin\` to that, or \`trustProxy\` where a proxy stands in front`
  return `Send it from a page of this application; ${place}. Other senders belong in \`trustedOrigins\`.`
}

/** Whether a request with this method changes nothing (RFC 9110 §9.2.1). */
export function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'TRACE'
}

/** Whether the browser itself says which page a request comes from. */
export function saysWhereFrom(exchange: Exchange): boolean {
  return exchange.header('sec-fetch-site') !== undefined || exchange.header('origin') !== undefined
}

/** W3C Fetch Metadata §2.4; a value it does not define is refused. */
function reasonBySite(site: string, origin: string | undefined, rule: OriginRule): string | undefined {
  switch (site) {
    case 'same-origin':
      // A page under `Referrer-Policy: no-referrer` sends `Origin: null` to itself as well (Fetch §3.2.2).
      return origin === undefined || origin === 'null' ? undefined : reasonByOrigin(origin, rule.origins, rule)
    case 'none':
      return origin === undefined ? undefined : reasonByOrigin(origin, rule.origins, rule)
    case 'same-site':
    case 'cross-site':
      if (origin === undefined) return `Sec-Fetch-Site is ${site}, and there is no Origin`
      return prefixed(`Sec-Fetch-Site is ${site}`, reasonByOrigin(origin, rule.trustedOrigins ?? [], rule))
    default:
      return 'Sec-Fetch-Site has an unknown value'
  }
}

function prefixed(seen: string, reason: string | undefined): string | undefined {
  return reason === undefined ? undefined : `${seen}, and ${reason}`
}

function reasonByOrigin(sent: string, accepted: readonly string[], { origins }: OriginRule): string | undefined {
  const origin = originOf(sent)
  const expected = origins.join(' or ')
  if (origin === undefined) return `Origin is ${sent === 'null' ? 'null' : 'malformed'}, and not ${expected}`
  return accepted.some((own) => originOf(own) === origin) ? undefined : `Origin is ${origin}, and not ${expected}`
}

function reasonByToken(presented: string | undefined, rule: OriginRule): string | undefined {
  const missing = 'it has neither Sec-Fetch-Site nor Origin'
  if (rule.token === undefined) return missing
  if (presented === undefined) return `${missing}, and no token`
  return rule.token(presented) ? undefined : `${missing}, and its token is not this session's`
}
