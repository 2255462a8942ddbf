import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { type HeaderFields, securityHeaders } from './answer.ts'
import { areCookiesToBlame, LARGEST_READABLE_HEAD } from './node.ts'
import { bareContext, errorPage } from './pages.ts'
import { malformedRequest, methodNotAllowed, type Problem, problemHeaders, tooManyFields } from './problem.ts'

interface ClientError extends Error {
  readonly code?: string
}

/** What is known of a connection when it sends bytes that Node cannot read. */
interface Connection {
  /** The packets since the last complete request, as far as Node reads a head. */
  head: Buffer[]
  bytes: number
  /** The last request whose head was read. What follows until it is complete is its body, which could look like a head. */
  last: IncomingMessage | undefined
  readonly exchanges: Set<{ readonly req: IncomingMessage; readonly res: ServerResponse }>
  refused: boolean
}

/** Answers bytes that Node cannot read as a request. The answer is written to the socket, because there is no response. */
export class UnreadableRequests {
  readonly #https: boolean
  readonly #connections = new WeakMap<Duplex, Connection>()

  constructor({ https }: { https: boolean }) {
    this.#https = https
  }

  /** Call it when a connection begins. */
  watch(socket: Duplex): void {
    const connection: Connection = { head: [], bytes: 0, last: undefined, exchanges: new Set(), refused: false }
    this.#connections.set(socket, connection)
    // Before Node reads it: Node keeps nothing of a head that is too large, and the last packet does not show what was too large.
    socket.prependListener('data', (packet: Buffer) => {
      if (connection.last?.complete === true) Object.assign(connection, { head: [], bytes: 0, last: undefined })
      if (connection.last !== undefined || connection.bytes > LARGEST_READABLE_HEAD) return
      connection.bytes += packet.length
      connection.head.push(packet)
    })
  }

  /** Call it when a request was read, up to its body. */
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
      // Complete requests before it are answered first, in their order.
      const before = [...(connection?.exchanges ?? [])].findLast(({ req }) => req.complete)
      if (before === undefined) refusal()
      else before.res.once('close', () => (socket.writable ? refusal() : socket.destroy()))
    }
  }
}

/** Answers CONNECT, which asks for a tunnel to another server. This server is not a proxy. */
export function answerTunnel(socket: Duplex, { https }: { https: boolean }): void {
  // Node leaves the socket to us, with the errors that it may still report.
  socket.on('error', () => socket.destroy())
  refuse(socket, unknownMethod, https)
}

const reasons: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Content Too Large',
  431: 'Request Header Fields Too Large',
}

function refuse(socket: Duplex, problem: Problem, https: boolean): void {
  const { status } = problem
  const body = String(errorPage(bareContext('Gatepass'), { problem, requestId: undefined, path: '/' }))
  const fields: HeaderFields = {
    ...securityHeaders({ https }),
    ...problemHeaders(problem),
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    Date: new Date().toUTCString(),
    Connection: 'close',
  }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`)
  socket.end(`${[`HTTP/1.1 ${status} ${reasons[status] ?? ''}`, ...lines].join('\r\n')}\r\n\r\n${body}`)
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
 * Decides by the request line and the fields, as far as they came. A client that sends several requests at once is not a
 * browser; the beginning of its head may be missing.
 */
function cookiesAreToBlame(head: readonly Buffer[]): boolean {
  const text = Buffer.concat(head).toString('latin1')
  const [, target] = /^[A-Z]+ (\S+) HTTP\/1\.\d\r\n/.exec(text) ?? []
  const cookies = [...text.matchAll(/\r\ncookie:([^\r\n]*)/gi)].reduce((sum, [, line = '']) => sum + line.length, 0)
  return target !== undefined && areCookiesToBlame({ target: target.length, cookies })
}
