import type { IncomingMessage } from 'node:http'
import { parseOrigin } from '../settings/origin.ts'
import { malformedRequest, misdirected, type Problem, tooManyFields } from './problem.ts'

/** Bytes of request line and fields. */
const LARGEST_HEAD = 16_384

/** Bytes that Node reads. Up to them we say what was too much; beyond them Node only says that it was. */
export const LARGEST_READABLE_HEAD: number = 4 * LARGEST_HEAD

/** Why the request line and the fields are more than this server takes. */
export function headProblem({ url = '', headers, rawHeaders }: IncomingMessage): Problem | undefined {
  // ': ' and the end of the line, for every two.
  const size = rawHeaders.reduce((sum, text) => sum + text.length + 2, url.length)
  if (size <= LARGEST_HEAD) return undefined
  const cookies = headers.cookie?.length ?? 0
  return tooManyFields({ cookies: areCookiesToBlame({ target: url.length, cookies }) })
}

/**
 * Whether it was the cookies that were too much. A long address does not count: any other site could link to one, and
 * log people out by it.
 */
export function areCookiesToBlame({ target, cookies }: { target: number; cookies: number }): boolean {
  return target < 4096 && cookies > 4096
}

/** Host and port that are asked for: those of an absolute target go before the Host field (RFC 9112 §3.2.2). */
export function authorityOf({ url = '', headers }: IncomingMessage): string | undefined {
  return absoluteTarget.exec(url)?.[1] ?? headers.host
}

/** The address that is asked for, on the origin that is asked for; `undefined` if it cannot be read. */
export function urlOf(req: IncomingMessage, origins: readonly [string, ...string[]]): URL | undefined {
  const { url = '' } = req
  const [scheme = ''] = absoluteTarget.exec(url) ?? []
  const rest = url.slice(scheme.length)
  const target = scheme === '' || rest.startsWith('/') ? rest : `/${rest}`
  const origin = origins.find((own) => isHostOf(authorityOf(req)?.trim() ?? '', own)) ?? origins[0]
  return target.startsWith('/') ? (URL.parse(origin + target) ?? undefined) : undefined
}

export interface HostRule {
  /** The origins this server answers as, the main one first. */
  readonly origins: readonly [string, ...string[]]
  /** What the browser asked for, as the trusted proxies say it. */
  readonly host: string | undefined
}

/**
 * Why a request is not for this server at all. No page or link is ever made from the Host field; a wrong one means that
 * another name points here, or that the sender made it up.
 */
export function hostProblem(request: IncomingMessage, { origins, host }: HostRule): Problem | undefined {
  const [main] = origins
  if (isNotUnderstood(request)) return malformedRequest
  const fields = hostFields(request)
  // RFC 9112 §3.2: one Host field, no more and no less; HTTP/1.0 had none.
  if (fields.length > 1 || (fields.length === 0 && request.httpVersion !== '1.0')) return malformedRequest
  // RFC 9112 §3.2.2: what an absolute target names goes before it.
  const authority = absoluteTarget.exec(request.url ?? '')?.[1]
  const sent = authority === undefined ? fields : [authority]
  if (sent.length === 0) return undefined
  // A proxy that says in X-Forwarded-Host what it was asked for may ask us by an address of its own.
  const known = [...sent, host ?? ''].some((name) => origins.some((origin) => isHostOf(name.trim(), origin)))
  return known ? undefined : misdirected(main)
}

/**
 * Whether a proxy in front could read this request in another way than Node does: another version, a body in a coding
 * that this server does not take off (RFC 9112 §6.1), an address with characters that no path has (RFC 3986 §3.3). Of queries
 * browsers do send the backslash as it is.
 */
function isNotUnderstood({ httpVersionMajor, headers, url = '' }: IncomingMessage): boolean {
  const coding = headers['transfer-encoding']
  return (
    httpVersionMajor !== 1 || (coding !== undefined && coding.toLowerCase() !== 'chunked') || /#|^[^?]*\\/.test(url)
  )
}

const absoluteTarget = /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)/i

function hostFields({ rawHeaders }: IncomingMessage): string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'host')
}

function isHostOf(host: string, origin: string): boolean {
  const { protocol } = new URL(origin)
  // Only host and port (RFC 9110 §7.2): the field has nothing else of a URL.
  if (/[/?#@]/.test(host)) return false
  return parseOrigin(`${protocol}//${host}`) === origin
}
