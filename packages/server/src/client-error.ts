import type { Duplex } from 'node:stream'
import { errorPage } from './pages/error.ts'
import { malformedRequest, methodNotAllowed, type Problem } from './problem.ts'
import { problemHeaders } from './refusal.ts'
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
  const problem = problemOf(error)
  const markup = errorPage(
    { siteName: 'Gatepass', registration: false, account: undefined, formToken: undefined },
    { problem, requestId: undefined, path: '/' },
  )
  socket.end(message(problem, String(markup), { ...securityHeaders({ https }), ...problemHeaders(problem) }))
}

function problemOf(error: ClientError): Problem {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return tooManyFields(cookiesAreToBlame(error.rawPacket))
    case 'HPE_INVALID_METHOD':
      return methodNotAllowed(['GET', 'HEAD', 'POST', 'DELETE'])
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { status: 408, code: 'ERR_REQUEST_TIMEOUT', message: 'The request did not arrive in time.' }
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return { status: 413, code: 'ERR_BODY_TOO_LARGE', message: 'The request is larger than it may be.' }
    default:
      return malformedRequest
  }
}

function tooManyFields(cookies: boolean): Problem {
  return {
    status: 431,
    code: 'ERR_HEADERS_TOO_LARGE',
    message: 'The browser sent more than this server reads.',
    hint: cookies
      ? 'The cookies of this site were too many; they are being removed. Load the page again, and log in.'
      : 'If it happens again, remove the cookies of this site in the settings of the browser.',
    ...(cookies && { headers: { 'Clear-Site-Data': '"cookies"' } }),
  }
}

const LONGEST_HONEST_TARGET = 4096

/**
 * Whether it was the cookies that were too much: every further request would fail in the same way, so they are removed.
 * A long address does not count: any other site could link to one, and log people out by it.
 */
function cookiesAreToBlame(packet: Buffer | undefined): boolean {
  const text = packet?.toString('latin1') ?? ''
  const firstLine = text.indexOf('\r\n')
  return firstLine > 0 && firstLine < LONGEST_HONEST_TARGET && /\r\ncookie:[^\r\n]{4096}/i.test(text)
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
