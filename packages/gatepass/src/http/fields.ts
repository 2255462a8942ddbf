import type { IncomingMessage } from 'node:http'
import {
  type BodyFormat,
  bodilessMethods,
  type Fields,
  fieldsIn,
  fieldsOf,
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
  if (bodilessMethods.has(req.method)) return noFields
  const format: BodyFormat = { type: req.headers['content-type'], encoding: req.headers['content-encoding'] }
  const { body } = req as { body?: unknown }
  // Express 4's parsers leave an empty object if they have read nothing.
  const parsed = typeof body === 'string' || Array.isArray(body) || Object.keys(body ?? {}).length > 0
  if (parsed || req.readableDidRead) {
    if (typeof body !== 'string' && !(body instanceof Uint8Array)) return fieldsOf(body ?? {})
    return body.length === 0 ? noFields : fieldsIn(body, format)
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

async function readBody(req: NodeRequest, res: NodeResponse, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  if (!(Number(req.headers['content-length'] ?? 0) > limit)) {
    try {
      for await (const chunk of (req as IncomingMessage).iterator({ destroyOnReturn: false })) {
        chunks.push(chunk)
        length += chunk.length
        if (length > limit) break
      }
    } catch {
      throw malformed('The request ended before its body did')
    }
    if (length <= limit) return Buffer.concat(chunks, length)
  }
  // The rest of the body stays unread, so the connection cannot serve another request.
  req.pause()
  if (!('stream' in req) && !res.headersSent) res.setHeader('Connection', 'close')
  throw tooLarge(limit)
}
