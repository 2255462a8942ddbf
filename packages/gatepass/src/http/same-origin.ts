import { ProtocolError } from '../error.ts'
import type { Exchange } from './exchange.ts'
import { originOf } from './origin.ts'

/** Which origins may send unsafe requests. */
export interface OriginRule {
  /** The application's own origins. */
  origins: readonly string[]
  /** Other origins whose pages may send requests with our cookies. */
  trustedOrigins?: readonly string[]
  /** Whether a token belongs to this session. Called only if the request has neither Sec-Fetch-Site nor Origin. */
  token?: (presented: string) => boolean
}

/** The request fields that the rule reads, for the `Vary` of a response that depends on them. */
export const originVary = 'Sec-Fetch-Site, Origin'

/** The header field in which a script sends its token. */
export const csrfTokenField = 'x-csrf-token'

/**
 * Why a request is refused: it is unsafe (RFC 9110 §9.2.1), and nothing shows that a page of our own or of a trusted origin
 * sent it. `undefined` if it is allowed.
 *
 * @param presented the token of a form; default: the field `x-csrf-token`
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

/** @throws {ProtocolError} `ERR_CROSS_ORIGIN` (403) if {@link crossOriginReason} has a reason */
export function requireSameOrigin(exchange: Exchange, rule: OriginRule, presented?: string): void {
  const reason = crossOriginReason(exchange, rule, presented)
  if (reason === undefined) return
  throw new ProtocolError('ERR_CROSS_ORIGIN', `This request was refused: ${reason}`, {
    status: 403,
    hint: hintFor(exchange),
  })
}

/** Behind a proxy that is not configured, the browser's address for us differs from the one that the request names. */
function hintFor({ originConfigured, origin }: Exchange): string {
  const place = originConfigured
    ? 'its address is set by the option `origin`'
    : `its address is assumed to be ${origin}. If browsers use another address, set \`origin\` to it, or set \`trustProxy\` if a proxy stands in front`
  return `Send it from a page of this application; ${place}. List other senders in \`trustedOrigins\`.`
}

/** Whether the method is safe: a request with it changes nothing (RFC 9110 §9.2.1). */
export function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'TRACE'
}

/** Whether the browser sent a field that names the request's source: Sec-Fetch-Site or Origin. */
export function saysWhereFrom(exchange: Exchange): boolean {
  return exchange.header('sec-fetch-site') !== undefined || exchange.header('origin') !== undefined
}

/** Decides by Sec-Fetch-Site (W3C Fetch Metadata §2.4). A value that the specification does not define is refused. */
function reasonBySite(site: string, origin: string | undefined, rule: OriginRule): string | undefined {
  switch (site) {
    case 'same-origin':
      // A page with `Referrer-Policy: no-referrer` sends `Origin: null` to its own origin, too (Fetch §3.2.2).
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
