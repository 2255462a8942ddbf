import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { errorPage } from './error-page.ts'
import { malformedRequest, methodNotAllowed, type Problem, problemHeaders, tooManyFields } from './problem.ts'
import { areCookiesToBlame, LARGEST_READABLE_HEAD } from './request-check.ts'
import { securityHeaders } from './security-headers.ts'

interface ClientError extends Error {
  readonly code?: string
  readonly rawPacket?: Buffer
}

/** What is known of a connection when it sends what cannot be read. */
interface Connection {
  /** The packets since the last request was complete, as far as Node reads a head. */
  head: Buffer[]
  bytes: number
  /** The last request of which the head was read. What comes until it is complete is its body, which could look like a head. */
  last: IncomingMessage | undefined
  readonly exchanges: Set<{ readonly req: IncomingMessage; readonly res: ServerResponse }>
  refused: boolean
}

/** Answers bytes that Node cannot read as a request. There is no exchange for them, so the answer is written to the socket. */
export class UnreadableRequests {
  readonly #https: boolean
  readonly #connections = new WeakMap<Duplex, Connection>()

  constructor({ https }: { https: boolean }) {
    this.#https = https
  }

  /** A connection begins. */
  watch(socket: Duplex): void {
    const connection: Connection = { head: [], bytes: 0, last: undefined, exchanges: new Set(), refused: false }
    this.#connections.set(socket, connection)
    // Before Node reads it: Node keeps nothing of a head that is too large, and the last packet does not say what made it so.
    socket.prependListener('data', (packet: Buffer) => {
      if (connection.last?.complete === true) Object.assign(connection, { head: [], bytes: 0, last: undefined })
      if (connection.last !== undefined || connection.bytes > LARGEST_READABLE_HEAD) return
      connection.bytes += packet.length
      connection.head.push(packet)
    })
  }

  /** A request was read, up to its body. */
  read(req: IncomingMessage, res: ServerResponse): void {
    const connection = this.#connections.get(req.socket)
    if (connection === undefined) return
    connection.last = req
    connection.head = []
    const exchange = { req, res }
    connection.exchanges.add(exchange)
    res.once('close', () => connection.exchanges.delete(exchange))
  }

  answer(error: ClientError, socket: Duplex): void {
    const connection = this.#connections.get(socket)
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy()
    } else if (connection?.refused !== true) {
      if (connection !== undefined) connection.refused = true
      const refusal = (): void => refuse(socket, problemOf(error, connection), this.#https)
      // Requests that were read whole before it are answered first, in their order.
      const before = [...(connection?.exchanges ?? [])].findLast(({ req }) => req.complete)
      if (before === undefined) refusal()
      else before.res.once('close', () => (socket.writable ? refusal() : socket.destroy()))
    }
  }
}

/** Answers CONNECT, which asks for a tunnel to elsewhere; a proxy does that, and this server is not one. */
export function answerTunnel(socket: Duplex, { https }: { https: boolean }): void {
  // Node leaves the socket to us, with the errors that it may still report.
  socket.on('error', () => socket.destroy())
  refuse(socket, unknownMethod, https)
}

function refuse(socket: Duplex, problem: Problem, https: boolean): void {
  const markup = errorPage(
    { siteName: 'Gatepass', registration: false, providers: [], account: undefined, formToken: undefined },
    { problem, requestId: undefined, path: '/' },
  )
  socket.end(message(problem, String(markup), { ...securityHeaders({ https }), ...problemHeaders(problem) }))
}

const unknownMethod = methodNotAllowed(['GET', 'HEAD', 'POST', 'DELETE'])

function problemOf(error: ClientError, connection: Connection | undefined): Problem {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return tooManyFields({ cookies: cookiesAreToBlame(connection?.head ?? []) })
    case 'HPE_INVALID_METHOD':
      return unknownMethod
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { status: 408, code: 'ERR_REQUEST_TIMEOUT', message: 'The request did not arrive in time.' }
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return { status: 413, code: 'ERR_BODY_TOO_LARGE', message: 'The request is larger than it may be.' }
    default:
      return malformedRequest
  }
}

/**
 * By the request line and the fields as far as they came. A client that sends several requests at once is not a browser: of
 * such a head the beginning may be missing.
 */
function cookiesAreToBlame(head: readonly Buffer[]): boolean {
  const text = Buffer.concat(head).toString('latin1')
  const [, target] = /^[A-Z]+ (\S+) HTTP\/1\.\d\r\n/.exec(text) ?? []
  const cookies = [...text.matchAll(/\r\ncookie:([^\r\n]*)/gi)].reduce((sum, [, line = '']) => sum + line.length, 0)
  return target !== undefined && areCookiesToBlame({ target: target.length, cookies })
}

const reasons: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Content Too Large',
  431: 'Request Header Fields Too Large',
}

function message({ status }: Problem, body: string, headers: Readonly<Record<string, string>>): string {
  const fields = {
    ...headers,
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    Date: new Date().toUTCString(),
    Connection: 'close',
  }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`)
  return `${[`HTTP/1.1 ${status} ${reasons[status] ?? ''}`, ...lines].join('\r\n')}\r\n\r\n${body}`
}
