import { type ErrorCode, GatepassError, UsageError } from '../error.ts'
import type { Exchange, Reply } from './exchange.ts'

/** What the client is told about a refusal or an error. */
export interface Problem {
  readonly status: number
  readonly code: ErrorCode
  readonly message: string
  readonly hint?: string | undefined
  /** Sent as Retry-After, in seconds. */
  readonly retryAfter?: number | undefined
  /** WWW-Authenticate challenges (RFC 9110 §11.6.1). */
  readonly challenges?: readonly string[]
}

/** A problem as JSON `{ error: { code, message, hint } }`, or as plain text for a browser that asked for a page. */
export function problemReply(exchange: Exchange, problem: Problem): Reply {
  const { status, code, message, hint, retryAfter, challenges = [] } = problem
  const asText = exchange.header('accept')?.includes('text/html') === true
  return {
    status,
    headers: {
      'content-type': asText ? 'text/plain; charset=utf-8' : 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...(retryAfter !== undefined && { 'retry-after': String(Math.max(1, Math.ceil(retryAfter))) }),
      ...(challenges.length > 0 && { 'www-authenticate': challenges }),
    },
    body: asText
      ? `${[message, hint].filter((line) => line !== undefined).join('\n')}\n(${code})\n`
      : JSON.stringify({ error: { code, message, ...(hint !== undefined && { hint }) } }),
  }
}

/** The reply to a thrown error. It leaves out details that are only for the developer; these belong in the log. */
export function errorReply(exchange: Exchange, error: unknown): Reply {
  if (!(error instanceof GatepassError) || error instanceof UsageError) {
    return problemReply(exchange, { status: 500, code: 'ERR_INTERNAL', message: 'Something is broken on this server.' })
  }
  const { status, code, hint, retryAfter } = error
  const message =
    status >= 500 ? 'This request cannot be answered right now. Nothing was changed. Try again shortly.' : error.message
  return problemReply(exchange, { status, code, message, hint: status >= 500 ? undefined : hint, retryAfter })
}
