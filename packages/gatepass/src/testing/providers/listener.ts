import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
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
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const close = async () => {
    const closed = once(server.close(), 'close')
    server.closeAllConnections()
    await closed
  }
  return { origin, answer: (listener) => void server.on('request', listener), close }
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
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

export function send(res: ServerResponse, { status, headers, body }: Answer): void {
  res.writeHead(status, { 'cache-control': 'no-store', ...headers }).end(body)
}

export function page(status: number, content: ProviderPage): Answer {
  return { status, ...content }
}

export function json(status: number, body: object): Answer {
  return { status, headers: { 'content-type': 'application/json; charset=utf-8' }, body: JSON.stringify(body) }
}

/** The browser continues with GET, whatever the method was. */
export function redirect(location: string): Answer {
  return { status: 303, headers: { location, 'referrer-policy': 'no-referrer' } }
}
