import type { Cookies } from '../cookie/cookies.ts'
import { GatepassError } from '../error.ts'
import type { Reply } from './exchange.ts'
import { originVary } from './origin.ts'

/** The head of an answer, on any server. Field names are case-insensitive. */
export interface AnswerHead {
  status: number
  /** The values of a field, one for each line. Empty if the field is not set. */
  get(name: string): readonly string[]
  /** Replaces a field. A list becomes one line for each value. */
  set(name: string, value: string | readonly string[]): void
  remove(name: string): void
  names(): readonly string[]
}

/** Writes the head of a reply. Cookies and `Vary` fields that are already set stay. */
export function writeReply(head: AnswerHead, reply: Reply): void {
  for (const name of replacedFields) head.remove(name)
  head.status = reply.status
  for (const [name, value] of Object.entries(reply.headers)) {
    const field = name.toLowerCase()
    if (field === 'set-cookie') addCookies(head, typeof value === 'string' ? [value] : value)
    else if (field === 'vary') addVary(head, String(value))
    else head.set(name, value)
  }
}

/** Fields that described the body of an earlier draft of the answer. */
const replacedFields = ['content-length', 'content-encoding', 'etag', 'last-modified']

/**
 * Adds the drafted cookies as Set-Cookie fields. An answer with cookies is for one browser and must not be cached: it gets
 * `Vary: Cookie`, and `Cache-Control: no-store` unless the application has set `private` or `no-store`.
 */
export function writeCookies(head: AnswerHead, cookies: Cookies): void {
  if (!cookies.changed) return
  addCookies(head, cookies.setCookieFields())
  addVary(head, 'Cookie')
  if (!uncacheable.test(head.get('cache-control').join())) head.set('Cache-Control', 'no-store')
  // RFC 9213: these fields override Cache-Control in the caches that they name.
  for (const name of head.names()) if (targeted.test(name)) head.set(name, 'no-store')
}

/** Forbids caching of an answer for one user (RFC 9111 §3.5), unless the application has set Cache-Control. */
export function keepFromCaches(head: AnswerHead): void {
  if (head.get('cache-control').length === 0) head.set('Cache-Control', 'private, no-store')
}

/** Adds Retry-After to the answer to an error, and `Vary` if the error depends on the request's origin. */
export function describeFailure(head: AnswerHead, error: unknown): void {
  if (!(error instanceof GatepassError)) return
  if (error.retryAfter !== undefined) head.set('Retry-After', String(Math.ceil(error.retryAfter)))
  if (error.code === 'ERR_CROSS_ORIGIN') addVary(head, originVary)
}

/** Adds request fields to `Vary` (RFC 9110 §12.5.5). Fields that it already names stay, and `*` covers all. */
export function addVary(head: AnswerHead, fields: string): void {
  const before = namesIn(head.get('vary').join(','))
  const known = new Set(before.map((name) => name.toLowerCase()))
  if (known.has('*')) return
  const added = namesIn(fields).filter((name) => !known.has(name.toLowerCase()))
  if (added.length > 0) head.set('Vary', [...before, ...added].join(', '))
}

const uncacheable = /(?:^|,)[ \t]*(?:no-store|private)[ \t]*(?:,|$)/i
const targeted = /(?:^|-)cdn-cache-control$|^surrogate-control$/

function addCookies(head: AnswerHead, fields: readonly string[]): void {
  const before = head.get('set-cookie')
  head.set('Set-Cookie', [...before.filter((field) => !fields.includes(field)), ...fields])
}

function namesIn(list: string): string[] {
  return list.match(/[^\s,]+/g) ?? []
}
