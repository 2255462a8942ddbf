import type { Cookies } from '../cookie/cookies.ts'
import { GatepassError } from '../error.ts'
import type { Reply } from './exchange.ts'
import { originVary } from './origin.ts'

/** The head of an answer: a Node response is one, and so is a reply of Fastify or a `Headers` with few lines around it. */
export interface AnswerHead {
  statusCode: number
  /** A field's value, or its values if it has several lines; `undefined` if it is not set. */
  getHeader(name: string): number | string | readonly string[] | undefined
  /** Replaces a field. A list becomes one line for each value. */
  setHeader(name: string, value: string | readonly string[]): unknown
  removeHeader(name: string): unknown
  /** In lower case. */
  getHeaderNames(): readonly string[]
}

/** Writes the head of a reply. Fields that described an earlier body are removed; cookies, `Vary` and other fields stay. */
export function writeReply(head: AnswerHead, reply: Reply): void {
  for (const name of head.getHeaderNames()) if (bodyFields.test(name)) head.removeHeader(name)
  head.statusCode = reply.status
  for (const [name, value] of Object.entries(reply.headers)) {
    const field = name.toLowerCase()
    if (field === 'set-cookie') addCookies(head, typeof value === 'string' ? [value] : value)
    else if (field === 'vary') addVary(head, String(value))
    else head.setHeader(name, value)
  }
}

/**
 * Adds the drafted cookies as Set-Cookie fields. An answer with cookies is for one browser and must not be cached: it gets
 * `Vary: Cookie`, and `Cache-Control: no-store` unless the application has set `private` or `no-store`.
 */
export function writeCookies(head: AnswerHead, cookies: Cookies): void {
  if (!cookies.changed) return
  addCookies(head, cookies.setCookieFields())
  addVary(head, 'Cookie')
  if (!uncacheable.test(valuesOf(head, 'cache-control').join())) head.setHeader('Cache-Control', 'no-store')
  // RFC 9213: these fields override Cache-Control in the caches that they name.
  for (const name of head.getHeaderNames()) if (targeted.test(name)) head.setHeader(name, 'no-store')
}

/** Forbids caching of an answer for one user (RFC 9111 §3.5), unless the application has set Cache-Control. */
export function keepFromCaches(head: AnswerHead): void {
  if (head.getHeader('cache-control') === undefined) head.setHeader('Cache-Control', 'private, no-store')
}

/** Adds Retry-After to the answer to an error, and `Vary` if the error depends on the request's origin. */
export function describeFailure(head: AnswerHead, error: unknown): void {
  if (!(error instanceof GatepassError)) return
  if (error.retryAfter !== undefined) head.setHeader('Retry-After', String(Math.ceil(error.retryAfter)))
  if (error.code === 'ERR_CROSS_ORIGIN') addVary(head, originVary)
}

/** Whether a header field describes one answer and not all answers. */
export function describesAnswer(name: string): boolean {
  return answerFields.has(name) || bodyFields.test(name)
}

/** Fields about the body of an answer (RFC 9110 §8). */
const bodyFields = /^(?:accept-ranges|etag|last-modified|content-(?!security-policy).*)$/

const answerFields: ReadonlySet<string> = new Set([
  'age',
  'cache-control',
  'cdn-cache-control',
  'clear-site-data',
  'expires',
  'link',
  'location',
  'refresh',
  'retry-after',
  'set-cookie',
  'surrogate-control',
  'trailer',
  'transfer-encoding',
  'www-authenticate',
])

/** Adds request fields to `Vary` (RFC 9110 §12.5.5). Fields that it already names stay, and `*` covers all. */
export function addVary(head: AnswerHead, fields: string): void {
  const vary: string[] = valuesOf(head, 'vary').join().match(fieldNames) ?? []
  const before = vary.length
  const known = vary.join().toLowerCase().split(',')
  if (known.includes('*')) return
  for (const name of fields.match(fieldNames) ?? []) if (!known.includes(name.toLowerCase())) vary.push(name)
  if (vary.length > before) head.setHeader('Vary', vary.join(', '))
}

const fieldNames = /[^\s,]+/g
const uncacheable = /(?:^|,)[ \t]*(?:no-store|private)[ \t]*(?:,|$)/i
const targeted = /(?:^|-)cdn-cache-control$|^surrogate-control$/

function addCookies(head: AnswerHead, fields: readonly string[]): void {
  const before = valuesOf(head, 'set-cookie').filter((field) => !fields.includes(field))
  head.setHeader('Set-Cookie', [...before, ...fields])
}

function valuesOf(head: AnswerHead, name: string): readonly string[] {
  const value = head.getHeader(name) ?? []
  return typeof value === 'object' ? value : [String(value)]
}

/** A redirect that the browser follows with GET (RFC 9110 §15.4.4), so that credentials are not sent again. */
export function seeOther(location: string): Reply {
  // This address may contain a code (RFC 9700 §4.2). The next page must not get it as Referer.
  return { status: 303, headers: { location, 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' } }
}

/** Sets query parameters of `target`. */
export function withQuery(target: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const [beforeFragment = '', ...fragment] = target.split('#')
  const [path = '', ...query] = beforeFragment.split('?')
  const search = new URLSearchParams(query.join('?'))
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) search.set(name, value)
  const text = search.toString()
  return path + (text === '' ? '' : `?${text}`) + (fragment.length === 0 ? '' : `#${fragment.join('#')}`)
}
