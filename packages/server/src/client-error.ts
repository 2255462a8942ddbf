import type { Duplex } from 'node:stream'
import { errorPage } from './pages/error.ts'
import { malformedRequest, methodNotAllowed, type Problem, tooManyFields } from './problem.ts'
import { problemHeaders } from './refusal.ts'
import { areCookiesToBlame } from './request-check.ts'
import { securityHeaders } from './security-headers.ts'

interface ClientError extends Error {
  readonly code?: string
  readonly rawPacket?: Buffer
}

/** Answers what is no HTTP request, or too much of one; there is no exchange for it, so the answer is written as it is. */
export function answerUnreadable(error: ClientError, socket: Duplex, { https }: { https: boolean }): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  refuse(socket, problemOf(error), https)
}

/** Answers CONNECT, which asks for a tunnel to elsewhere; a proxy does that, and this is none. */
export function answerTunnel(socket: Duplex, { https }: { https: boolean }): void {
  // Node leaves the socket to us, and with it what may still go wrong there.
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

function problemOf(error: ClientError): Problem {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return tooManyFields({ cookies: cookiesAreToBlame(error.rawPacket) })
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

/** The request line and the fields as far as they came in the last packet, which may not be all of them. */
function cookiesAreToBlame(packet: Buffer | undefined): boolean {
  const text = packet?.toString('latin1') ?? ''
  const firstLine = text.indexOf('\r\n')
  const [, cookies = ''] = /\r\ncookie:([^\r\n]*)/i.exec(text) ?? []
  return firstLine > 0 && areCookiesToBlame({ target: firstLine, cookies: cookies.length })
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
