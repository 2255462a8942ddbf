import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { UsageError } from '../../error.ts'
import type { ProviderPage } from './pages.ts'

/** A server that only this machine can reach. */
export interface Listener {
  /** `http://127.0.0.1:<port>` */
  readonly origin: string
  /** Begins to answer. */
  answer(listener: RequestListener): void
  close(): Promise<void>
}

/**
 * Takes a port of 127.0.0.1.
 *
 * @throws {UsageError} `ERR_OAUTH_OPTIONS` in production, because a pretend provider logs every visitor in as any user
 */
export async function listenOnLoopback(port: number): Promise<Listener> {
  if (process.env.NODE_ENV === 'production') {
    throw new UsageError('ERR_OAUTH_OPTIONS', 'A pretend provider does not start in production', {
      hint: 'It logs every visitor in as any user. NODE_ENV is production.',
    })
  }
  const server = createServer()
  await listening(server, port)
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { origin, answer: (listener) => void server.on('request', listener), close: () => closed(server) }
}

function listening(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function closed(server: Server): Promise<void> {
  const done = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeAllConnections()
  return done
}

/** Maximum size of a request body, in characters. */
const LARGEST_BODY = 64 * 1024

/** The fields of a form. */
export async function formOf(req: IncomingMessage): Promise<URLSearchParams> {
  let text = ''
  for await (const chunk of req) {
    text += chunk
    if (text.length > LARGEST_BODY) throw new Error('more than a form has')
  }
  return new URLSearchParams(text)
}

/** An answer that one function decides and another sends. */
export type Answer =
  | { readonly type: 'json'; readonly status: number; readonly body: object }
  | { readonly type: 'page'; readonly status: number; readonly page: ProviderPage }
  /** Continues with GET, for every method. */
  | { readonly type: 'redirect'; readonly location: string }

export function send(res: ServerResponse, answer: Answer): void {
  switch (answer.type) {
    case 'json':
      res.writeHead(answer.status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' })
      res.end(JSON.stringify(answer.body))
      break
    case 'page':
      res.writeHead(answer.status, answer.page.headers).end(answer.page.body)
      break
    case 'redirect':
      res.writeHead(303, { location: answer.location, 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' })
      res.end()
  }
}

export function page(status: number, content: ProviderPage): Answer {
  return { type: 'page', status, page: content }
}

export function json(status: number, body: object): Answer {
  return { type: 'json', status, body }
}
