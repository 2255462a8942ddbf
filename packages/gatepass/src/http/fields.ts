import type { IncomingMessage } from 'node:http'
import type { ProtocolError } from '../error.ts'
import {
  type BodyFormat,
  type Fields,
  fieldsIn,
  fieldsOf,
  hasNoBody,
  malformed,
  noFields,
  parserFor,
  textOf,
  tooLarge,
} from './body.ts'
import type { NodeRequest, NodeResponse } from './response-gate.ts'

/**
 * Reads the body of a request: an HTML form (WHATWG URL §5.1) or a JSON object. A form field that was sent several times is
 * an array. Use {@link oneText} to read a field that must be one text.
 *
 * If a body parser has read the body, its result is taken from `req.body`. Otherwise the fields are left in `req.body` for
 * later middleware.
 *
 * @param limit bytes
 * @throws {ProtocolError} `ERR_BODY_TOO_LARGE` (413), `ERR_BODY_TYPE` (415), `ERR_BODY_MALFORMED` (400)
 */
export async function readFields(req: NodeRequest, res: NodeResponse, limit: number): Promise<Fields> {
  if (hasNoBody(req.method)) return noFields
  const format: BodyFormat = { type: req.headers['content-type'], encoding: req.headers['content-encoding'] }
  const { body } = req as { body?: unknown }
  if (req.readableDidRead || isFilled(body)) {
    if (typeof body === 'string' || body instanceof Uint8Array) {
      return body.length === 0 ? noFields : fieldsIn(body, format)
    }
    return body === undefined || body === null ? noFields : fieldsOf(body)
  }
  if (!hasBody(req)) return noFields
  const parse = parserFor(format)
  const bytes = await readBody(req, res, limit)
  const fields = parse(textOf(bytes))
  // As a body parser would leave them, so that later parsers do not read the body again.
  Object.assign(req, { body: fields, _body: true, [kBytes]: bytes })
  return fields
}

/** The bytes that {@link readFields} read, for a framework that reads the body afterwards. */
export function bytesRead(req: NodeRequest): Uint8Array | undefined {
  return (req as { [kBytes]?: Uint8Array })[kBytes]
}

const kBytes: unique symbol = Symbol('gatepass.bytes')

function hasBody(req: NodeRequest): boolean {
  if ('stream' in req) return !req.stream.endAfterHeaders
  return req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0
}

/** Whether a body parser has left a body. Express 4's parsers leave an empty object if they have read nothing. */
function isFilled(body: unknown): boolean {
  if (typeof body === 'string' || Array.isArray(body)) return true
  return typeof body === 'object' && body !== null && Object.keys(body).length > 0
}

function readBody(req: NodeRequest, res: NodeResponse, limit: number): Promise<Buffer> {
  if (Number(req.headers['content-length'] ?? 0) > limit) return Promise.reject(refuseRest(req, res, limit))
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    const onData = (chunk: Buffer): void => {
      length += chunk.length
      chunks.push(chunk)
      if (length > limit) settle(() => reject(refuseRest(req, res, limit)))
    }
    const onEnd = (): void => settle(() => resolve(Buffer.concat(chunks, length)))
    const onStop = (): void => settle(() => reject(malformed('The request ended before its body did')))
    const settle = (outcome: () => void): void => {
      stream.off('data', onData).off('end', onEnd).off('error', onStop).off('close', onStop)
      outcome()
    }
    const stream = req as IncomingMessage
    stream.on('data', onData).on('end', onEnd).on('error', onStop).on('close', onStop)
  })
}

/** Stops reading. The rest of the body stays unread, so the connection cannot serve another request. */
function refuseRest(req: NodeRequest, res: NodeResponse, limit: number): ProtocolError {
  req.pause()
  if (!('stream' in req) && !res.headersSent) res.setHeader('Connection', 'close')
  return tooLarge(limit)
}
