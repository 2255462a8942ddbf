import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseOrigin } from '../settings/origin.ts'
import { malformedRequest, misdirected, type Problem, tooManyFields } from './problem.ts'

/** A Node request as a `Request`, and how much of its body was read. */
export interface ReceivedRequest {
  readonly request: Request
  /** Whether reading the body was begun and not finished: the connection cannot serve another request then. */
  readonly halfRead: () => boolean
}

/** @param url where it goes, on one of this server's origins */
export function receive(req: IncomingMessage, url: URL): ReceivedRequest {
  let state: 'unread' | 'reading' | 'read' = 'unread'
  const chunks = req.iterator({ destroyOnReturn: false })
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        state = 'reading'
        const { done, value } = await chunks.next()
        if (done !== true) return controller.enqueue(value as Buffer)
        state = 'read'
        controller.close()
      },
    },
    // Nothing is read before a route asks for it.
    { highWaterMark: 0 },
  )
  // The class Request refuses these three. So does every route of ours.
  const method = /^(?:TRACE|TRACK|CONNECT)$/i.test(req.method ?? '') ? 'OPTIONS' : (req.method ?? 'GET')
  const { 'transfer-encoding': coding, 'content-length': length = 0 } = req.headers
  const hasBody = method !== 'GET' && method !== 'HEAD' && (coding !== undefined || Number(length) > 0)
  const fields = Object.entries({ ...req.headers, host: authorityOf(req) })
  const request = new Request(url, {
    method,
    headers: fields.flatMap(([name, value]) => (value === undefined ? [] : [[name, [value].flat().join(', ')]])),
    ...(hasBody && { body, duplex: 'half' }),
  })
  return { request, halfRead: () => state === 'reading' }
}

/** Writes an answer to a Node response, unless one has begun to leave or the connection is closed. */
export async function send(res: ServerResponse, answer: Response): Promise<void> {
  const body = answer.body === null ? undefined : await answer.text()
  if (res.headersSent || res.destroyed) return
  res.statusCode = answer.status
  for (const [name, value] of answer.headers) {
    // A field that is there already keeps the spelling of its name.
    if (name !== 'set-cookie' && res.getHeader(name) !== value) res.setHeader(name, value)
  }
  const cookies = answer.headers.getSetCookie()
  if (cookies.length > 0) res.setHeader('Set-Cookie', cookies)
  if (body !== undefined) res.setHeader('Content-Length', Buffer.byteLength(body))
  res.end(body)
}

/** Bytes of request line and fields. */
const LARGEST_HEAD = 16_384

/** Bytes that Node reads. Up to here we can tell what was too large; beyond, Node tells only that it was. */
export const LARGEST_READABLE_HEAD: number = 4 * LARGEST_HEAD

/** Refuses a request line and fields that are larger than this server takes. */
export function headProblem({ url = '', headers, rawHeaders }: IncomingMessage): Problem | undefined {
  // Two bytes after each: ': ' or the end of the line.
  const size = rawHeaders.reduce((sum, text) => sum + text.length + 2, url.length)
  if (size <= LARGEST_HEAD) return undefined
  const cookies = headers.cookie?.length ?? 0
  return tooManyFields({ cookies: areCookiesToBlame({ target: url.length, cookies }) })
}

/**
 * Whether the cookies were too large, in bytes. Not if the address is long as well: any other site could link to a long
 * address, and so log people out.
 */
export function areCookiesToBlame({ target, cookies }: { target: number; cookies: number }): boolean {
  return target < 4096 && cookies > 4096
}

const absoluteTarget = /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)/i

/** Host and port of the request. An absolute target wins over the Host field (RFC 9112 §3.2.2). */
function authorityOf({ url = '', headers }: IncomingMessage): string | undefined {
  return absoluteTarget.exec(url)?.[1] ?? headers.host
}

/** The address of the request, on the origin that it names; `undefined` if it cannot be read. */
export function urlOf(req: IncomingMessage, origins: readonly [string, ...string[]]): URL | undefined {
  const { url = '' } = req
  const [scheme = ''] = absoluteTarget.exec(url) ?? []
  const rest = url.slice(scheme.length)
  const target = scheme === '' || rest.startsWith('/') ? rest : `/${rest}`
  const origin = origins.find((own) => isHostOf(authorityOf(req)?.trim() ?? '', own)) ?? origins[0]
  return target.startsWith('/') ? (URL.parse(origin + target) ?? undefined) : undefined
}

/**
 * Refuses a request for another host. No page or link is ever made from the Host field. A wrong one means that another
 * name points to this server, or that the sender invented it.
 *
 * @param origins of this server, the main one first
 * @param host that the browser asked for, according to trusted proxies
 */
export function hostProblem(
  req: IncomingMessage,
  origins: readonly [string, ...string[]],
  host: string | undefined,
): Problem | undefined {
  const { rawHeaders, httpVersion } = req
  if (isAmbiguous(req)) return malformedRequest
  const fields = rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === 'host')
  // RFC 9112 §3.2: exactly one Host field; HTTP/1.0 had none.
  if (fields.length > 1 || (fields.length === 0 && httpVersion !== '1.0')) return malformedRequest
  const asked = authorityOf(req)
  if (asked === undefined) return undefined
  // A proxy that passes the browser's host on in X-Forwarded-Host may ask us by an address of its own.
  const known = [asked, host ?? ''].some((name) => origins.some((origin) => isHostOf(name.trim(), origin)))
  return known ? undefined : misdirected(origins[0])
}

/**
 * Whether a proxy in front could read this request differently from Node: another version, a transfer coding that this
 * server does not decode (RFC 9112 §6.1), an address with characters that no path has (RFC 3986 §3.3). Browsers do send a
 * backslash in a query unchanged.
 */
function isAmbiguous({ httpVersionMajor, headers, url = '' }: IncomingMessage): boolean {
  const coding = headers['transfer-encoding'] ?? 'chunked'
  return httpVersionMajor !== 1 || coding.toLowerCase() !== 'chunked' || /#|^[^?]*\\/.test(url)
}

function isHostOf(host: string, origin: string): boolean {
  // Only host and port (RFC 9110 §7.2): the field has no other part of a URL.
  return !/[/?#@]/.test(host) && parseOrigin(`${new URL(origin).protocol}//${host}`) === origin
}
