import { isIP } from 'node:net'
import { ProtocolError, UsageError } from '../error.ts'
import type { Exchange } from './exchange.ts'

/**
 * The origin in the form of RFC 6454 §6.2: lower case, without a default port. `undefined` if `text` is not the origin of an
 * http or https address: `null`, a list, an address with a path.
 */
export function originOf(text: string): string | undefined {
  return plainOrigin.test(text) ? URL.parse(text)?.origin : undefined
}

const plainOrigin = /^https?:\/\/(?:\[[\da-f:.]+\]|[\p{L}\p{M}\p{N}_.-]+)(?::\d{1,5})?$/iu

/**
 * The origin of a request: with none configured, the one that it names; among several, the one that it names, or else the
 * first. `undefined` if none is configured and it names none.
 *
 * @param hosts the host and port that the browser asked for, from each source that may name it, the most trusted first
 */
export function findOrigin(
  configured: readonly string[],
  scheme: 'http' | 'https',
  hosts: readonly (string | undefined)[],
): string | undefined {
  let named: string | undefined
  for (const host of hosts) named ??= host === undefined ? undefined : originOf(`${scheme}://${host}`)
  return configured.find((own) => own === named) ?? configured[0] ?? named
}

/**
 * Checks the origins that a developer configured.
 *
 * @throws {UsageError} `ERR_HTTP_ORIGIN`; names the option and what to write
 */
export function configuredOrigins(option: string, value: string | readonly string[] | undefined): readonly string[] {
  const entries: readonly unknown[] = Array.isArray(value) ? value : value === undefined ? [] : [value]
  return entries.map((entry) => configuredOrigin(option, entry))
}

function configuredOrigin(option: string, entry: unknown): string {
  const origin = typeof entry === 'string' ? originOf(entry.replace(/\/$/, '')) : undefined
  if (origin !== undefined) return origin
  throw new UsageError('ERR_HTTP_ORIGIN', `\`${option}\` has ${shown(entry)}, which is not an origin`, {
    hint: `Write scheme, host and, unless it is the default, port: ${option}: 'https://app.example'.`,
  })
}

/** A configured value for a message, without the password that a URL may contain. */
function shown(entry: unknown): string {
  if (typeof entry !== 'string') return `a ${typeof entry}`
  return entry.includes('@') ? 'an address with a user name' : `"${entry.slice(0, 80)}"`
}

/** The methods with which a request changes nothing (RFC 9110 §9.2.1). */
export const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** Which origins may send unsafe requests. */
export interface OriginRule {
  /** The application's own origins, in the form of {@link originOf}. */
  origins: readonly string[]
  /** Other origins whose pages may send requests with our cookies, in the same form. */
  trustedOrigins?: readonly string[]
  /** Whether a token belongs to this session. Called only if the request has neither Sec-Fetch-Site nor Origin. */
  token?: (presented: string) => boolean
}

/** The request fields that the rule reads, for the `Vary` of a response that depends on them. */
export const originVary = 'Sec-Fetch-Site, Origin'

/** The header field in which a script sends its token. */
export const csrfTokenField = 'x-csrf-token'

/** Whether the browser sent a field that names the request's source: Sec-Fetch-Site or Origin. */
export function saysWhereFrom(exchange: Exchange): boolean {
  return exchange.header('sec-fetch-site') !== undefined || exchange.header('origin') !== undefined
}

/**
 * Why a request is refused: it is unsafe, and nothing shows that a page of our own or of a trusted origin sent it. `undefined`
 * if it is allowed. Sec-Fetch-Site decides (W3C Fetch Metadata §2.4), without it the Origin, without both a token.
 *
 * @param presented the token of a form; default: the field `x-csrf-token`
 */
export function crossOriginReason(exchange: Exchange, rule: OriginRule, presented?: string): string | undefined {
  if (safeMethods.has(exchange.method)) return undefined
  const { origins, trustedOrigins = [] } = rule
  const site = exchange.header('sec-fetch-site')
  const origin = exchange.header('origin')
  let accepted = origins
  let seen = ''
  switch (site) {
    case undefined:
      if (origin === undefined) return tokenReason(rule, presented ?? exchange.header(csrfTokenField))
      accepted = [...origins, ...trustedOrigins]
      break
    case 'same-origin':
      // A page with `Referrer-Policy: no-referrer` sends `Origin: null` to its own origin, too (Fetch §3.2.2).
      if (origin === undefined || origin === 'null') return undefined
      break
    case 'none':
      if (origin === undefined) return undefined
      break
    case 'same-site':
    case 'cross-site':
      seen = `Sec-Fetch-Site is ${site}, and `
      if (origin === undefined) return `${seen}there is no Origin`
      accepted = trustedOrigins
      break
    default:
      return 'Sec-Fetch-Site has an unknown value'
  }
  const named = originOf(origin)
  if (named !== undefined && accepted.includes(named)) return undefined
  return `${seen}Origin is ${named ?? (origin === 'null' ? 'null' : 'malformed')}, and not ${origins.join(' or ')}`
}

function tokenReason({ token }: OriginRule, presented: string | undefined): string | undefined {
  const missing = 'it has neither Sec-Fetch-Site nor Origin'
  if (token === undefined) return missing
  if (presented === undefined) return `${missing}, and no token`
  return token(presented) ? undefined : `${missing}, and its token is not this session's`
}

/** The error for a request that {@link crossOriginReason} refuses: `ERR_CROSS_ORIGIN` (403). */
export function crossOriginError({ originConfigured, origin }: Exchange, reason: string): ProtocolError {
  // Behind a proxy that is not configured, the browser's address for us differs from the one that the request names.
  const place = originConfigured
    ? 'its address is set by the option `origin`'
    : `its address is assumed to be ${origin}. If browsers use another address, set \`origin\` to it, or set \`trustProxy\` if a proxy stands in front`
  return new ProtocolError('ERR_CROSS_ORIGIN', `This request was refused: ${reason}`, {
    status: 403,
    hint: `Send it from a page of this application; ${place}. List other senders in \`trustedOrigins\`.`,
  })
}

/** An IP address in its canonical spelling, without port, brackets and zone; `undefined` if `text` is not an address. */
export function plainAddress(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const bare = portless.exec(text)?.slice(1).find(Boolean) ?? text
  const kind = isIP(bare)
  if (kind === 4) return bare
  return kind === 6 ? canonical(bare) : undefined
}

/** Matches `[2001:db8::1]:4711`, `192.0.2.1:80`, and an address with a zone after `%`. */
const portless = /^(?:\[([^\]]*)\](?::\d{1,5})?|(\d+\.\d+\.\d+\.\d+):\d{1,5}|([^%[\]]+)%[^%]*)$/

/** The one spelling of an IPv6 address, so that other spellings cannot evade a limit per address. A mapped IPv4 becomes IPv4. */
function canonical(address: string): string {
  const dotted = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (dotted !== undefined) return dotted
  const spelled = URL.parse(`http://[${address}]`)?.hostname.slice(1, -1) ?? address
  const words = /^::ffff:([\da-f]+):([\da-f]+)$/.exec(spelled)
  if (words === null) return spelled
  const [high, low] = [Number.parseInt(words[1] ?? '', 16), Number.parseInt(words[2] ?? '', 16)]
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}
