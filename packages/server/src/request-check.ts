import type { IncomingMessage } from 'node:http'
import { parseOrigin } from './origin.ts'
import { malformedRequest, misdirected, type Problem } from './problem.ts'

export interface HostRule {
  /** The origins this server answers as, the main one first. */
  readonly origins: readonly [string, ...string[]]
  /** Whether a proxy may say in X-Forwarded-Host what the browser asked for. */
  readonly behindProxy: boolean
}

/**
 * Why a request is not for this server at all. No page or link is ever made from the Host field; a wrong one means that
 * somebody else's name points here, or that somebody tries what happens.
 */
export function hostProblem(request: IncomingMessage, { origins, behindProxy }: HostRule): Problem | undefined {
  const [main] = origins
  const fields = hostFields(request)
  // RFC 9112 §3.2: one Host field, no more and no less; HTTP/1.0 had none.
  if (fields.length > 1 || (fields.length === 0 && request.httpVersion !== '1.0')) return malformedRequest
  // RFC 9112 §3.2.2: what an absolute target names goes before it.
  const authority = absoluteTarget.exec(request.url ?? '')?.[1]
  const sent = authority === undefined ? fields : [authority]
  const forwarded = behindProxy ? String(request.headers['x-forwarded-host'] ?? '').split(',') : []
  const known = [...sent, ...forwarded].some((host) => origins.some((origin) => isHostOf(host.trim(), origin)))
  return known || sent.length === 0 ? undefined : misdirected(main)
}

const absoluteTarget = /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)/i

function hostFields({ rawHeaders }: IncomingMessage): string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'host')
}

function isHostOf(host: string, origin: string): boolean {
  const { protocol } = new URL(origin)
  return parseOrigin(`${protocol}//${host}`) === origin
}
