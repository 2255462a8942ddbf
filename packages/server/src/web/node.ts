import type { IncomingMessage, ServerResponse } from 'node:http'
import { authorityOf } from './request-check.ts'

/** A request of Node's in the fetch standard, and how much of it was read. */
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
  const method = routable(req.method ?? 'GET')
  const fields = Object.entries({ ...req.headers, host: authorityOf(req) })
  const request = new Request(url, {
    method,
    headers: fields.flatMap(([name, value]) => (value === undefined ? [] : [[name, [value].flat().join(', ')]])),
    ...(hasBody(req, method) && { body, duplex: 'half' }),
  })
  return { request, halfRead: () => state === 'reading' }
}

function hasBody({ headers }: IncomingMessage, method: string): boolean {
  if (method === 'GET' || method === 'HEAD') return false
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** The class Request refuses these; so does every route of ours. */
function routable(method: string): string {
  return /^(?:TRACE|TRACK|CONNECT)$/i.test(method) ? 'OPTIONS' : method
}

/** Writes an answer to a Node response, unless one has begun to leave or the connection is closed. */
export async function send(res: ServerResponse, answer: Response): Promise<void> {
  const body = answer.body === null ? undefined : await answer.text()
  if (res.headersSent || res.destroyed) return
  res.statusCode = answer.status
  for (const [name, value] of answer.headers) {
    // What is there already keeps the spelling of its name.
    if (name !== 'set-cookie' && res.getHeader(name) !== value) res.setHeader(name, value)
  }
  const cookies = answer.headers.getSetCookie()
  if (cookies.length > 0) res.setHeader('Set-Cookie', cookies)
  if (body !== undefined) res.setHeader('Content-Length', Buffer.byteLength(body))
  res.end(body)
}
