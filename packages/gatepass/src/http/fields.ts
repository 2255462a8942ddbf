import { isUtf8 as areUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { ProtocolError } from '../error.ts'
import { repeatsMember } from '../protocols/jwt/json-object.ts'
import { isUtf8, parseContentType } from './content-type.ts'
import type { NodeRequest, NodeResponse } from './response-gate.ts'

/** What a form or a JSON object says, without a prototype: any name is just a name. */
export type Fields = Readonly<Record<string, unknown>>

/**
 * The fields in the body of a request: of an HTML form (WHATWG URL §5.1) or a JSON object. A form field that was sent
 * several times is an array; read a field that must be one text with {@link oneText}.
 *
 * What a body parser has read already is taken from `req.body`, and what is read here is left there for those that follow.
 *
 * @param limit bytes
 * @throws {ProtocolError} `ERR_BODY_TOO_LARGE` (413), `ERR_BODY_TYPE` (415), `ERR_BODY_MALFORMED` (400)
 */
export async function readFields(req: NodeRequest, res: NodeResponse, limit: number): Promise<Fields> {
  if (req.method === 'GET' || req.method === 'HEAD') return noFields
  const { body } = req as { body?: unknown }
  if (req.readableDidRead || isFilled(body)) return parsedFields(req, body)
  if (!hasBody(req)) return noFields
  const parse = parserFor(req)
  const bytes = await readBody(req, res, limit)
  const fields = parse(textOf(bytes))
  leaveBody(req, fields, bytes)
  return fields
}

/**
 * The text of a field that can have only one; `undefined` if there is none, or something else.
 *
 * @throws {ProtocolError} `ERR_BODY_MALFORMED` for a list: of two values another reader may take the other one
 */
export function oneText(fields: Fields, name: string): string | undefined {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined
  if (Array.isArray(value)) throw malformed(`The field \`${name}\` has several values`)
  return typeof value === 'string' ? value : undefined
}

/** The body of a request that was read here: for a framework that then wants to read it by itself. */
export function bytesRead(req: NodeRequest): Uint8Array | undefined {
  return (req as { [kBytes]?: Uint8Array })[kBytes]
}

const kBytes: unique symbol = Symbol('gatepass.bytes')

const noFields: Fields = Object.freeze(Object.create(null))

function hasBody(req: NodeRequest): boolean {
  if ('stream' in req) return !req.stream.endAfterHeaders
  return req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0
}

// ── bodies that somebody else has read ───────────────────────────────────────────────────────────────────────────────

// Express 4's parsers leave an empty object where they have read nothing.
function isFilled(body: unknown): boolean {
  if (typeof body === 'string' || Array.isArray(body)) return true
  return typeof body === 'object' && body !== null && Object.keys(body).length > 0
}

function parsedFields(req: NodeRequest, body: unknown): Fields {
  if (typeof body === 'string') return body === '' ? noFields : parserFor(req)(body)
  if (body instanceof Uint8Array) return body.length === 0 ? noFields : parserFor(req)(textOf(body))
  return body === undefined || body === null ? noFields : fieldsOf(body)
}

/** In the way of body parsers, which then know that there is nothing left to read. */
function leaveBody(req: NodeRequest, fields: Fields, bytes: Uint8Array): void {
  Object.assign(req, { body: fields, _body: true, [kBytes]: bytes })
}

// ── bodies that we read ──────────────────────────────────────────────────────────────────────────────────────────────

type Parser = (text: string) => Fields

function parserFor(req: NodeRequest): Parser {
  const encoding = req.headers['content-encoding']?.trim().toLowerCase() || 'identity'
  if (encoding !== 'identity') throw typeError('The body is compressed')
  const content = parseContentType(req.headers['content-type'] ?? '')
  const parse = isUtf8(content?.parameters.get('charset') ?? 'utf-8') ? parsers.get(content?.type) : undefined
  if (parse !== undefined) return parse
  throw typeError('The body is neither a form nor JSON in UTF-8')
}

const parsers: ReadonlyMap<string | undefined, Parser> = new Map([
  ['application/x-www-form-urlencoded', formFields],
  ['application/json', jsonFields],
])

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

/** The rest is not read, so the connection cannot serve another request. */
function refuseRest(req: NodeRequest, res: NodeResponse, limit: number): ProtocolError {
  req.pause()
  if (!('stream' in req) && !res.headersSent) res.setHeader('Connection', 'close')
  return new ProtocolError('ERR_BODY_TOO_LARGE', `The body has more than ${limit} bytes`, {
    status: 413,
    hint: 'Send less, or raise `bodyLimit`.',
  })
}

function textOf(body: Uint8Array): string {
  if (areUtf8(body)) return Buffer.from(body.buffer, body.byteOffset, body.length).toString('utf8')
  throw malformed('The body is not UTF-8')
}

function formFields(text: string): Fields {
  const fields: Record<string, unknown> = Object.create(null)
  for (const pair of text.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decode(equals < 0 ? pair : pair.slice(0, equals))
    const value = equals < 0 ? '' : decode(pair.slice(equals + 1))
    const before = fields[name]
    if (before === undefined) fields[name] = value
    else if (Array.isArray(before)) before.push(value)
    else fields[name] = [before, value]
  }
  return fields
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw malformed('The form is not percent-encoded UTF-8')
  }
}

function jsonFields(text: string): Fields {
  if (text === '') return noFields
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw malformed('The body is not JSON')
  }
  // Of two values another reader may take the other one: a proxy that checks logins, a schema, a log.
  if (repeatsMember(text)) throw malformed('The JSON body names a member twice')
  return fieldsOf(value)
}

function fieldsOf(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed('The body is not a JSON object')
  const fields: Record<string, unknown> = Object.create(null)
  for (const [name, field] of Object.entries(value)) fields[name] = checked(field, 1)
  return fields
}

const deepest = 32

/** Refuses what would overflow the stack of whoever walks it, and takes away what would change a prototype when copied. */
function checked(value: unknown, depth: number): unknown {
  if (typeof value === 'string' && !value.isWellFormed()) throw malformed('A text in the body is not Unicode')
  if (typeof value !== 'object' || value === null) return value
  if (depth > deepest) throw malformed('The body is nested too deeply')
  if (Object.hasOwn(value, '__proto__')) Reflect.deleteProperty(value, '__proto__')
  for (const member of Object.values(value)) checked(member, depth + 1)
  return value
}

function malformed(message: string): ProtocolError {
  return new ProtocolError('ERR_BODY_MALFORMED', message, { hint: 'Send a form, or a JSON object, in UTF-8.' })
}

function typeError(message: string): ProtocolError {
  return new ProtocolError('ERR_BODY_TYPE', message, {
    status: 415,
    hint: 'Use Content-Type: application/x-www-form-urlencoded or application/json, without Content-Encoding.',
  })
}
