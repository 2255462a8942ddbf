import { isUtf8 as areUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { ProtocolError } from '../error.ts'
import { repeatsMember } from '../protocols/jwt/json-object.ts'
import { parameter, token } from './exchange.ts'
import type { NodeRequest, NodeResponse } from './response-gate.ts'

/** The fields of a form or a JSON object. The object has no prototype, so that every name is safe. */
export type Fields = Readonly<Record<string, unknown>>

/** The format of a body, from the header fields of its request. */
export interface BodyFormat {
  readonly type: string | undefined
  readonly encoding: string | undefined
}

/** The methods whose requests have no body that means anything (RFC 9110 §9.3.1). */
export const bodilessMethods: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD'])

/** The fields of a request without a body. */
export const noFields: Fields = Object.freeze(Object.create(null))

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
  const announced = req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0
  if ('stream' in req ? req.stream.endAfterHeaders : !announced) return noFields
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

/**
 * Parses the body of an HTML form (WHATWG URL §5.1) or a JSON object. A form field that was sent several times is an array.
 * Use {@link oneText} to read a field that must be one text.
 *
 * @throws {ProtocolError} `ERR_BODY_TYPE` (415), `ERR_BODY_MALFORMED` (400)
 */
export function fieldsIn(body: Uint8Array | string, format: BodyFormat): Fields {
  return parserFor(format)(typeof body === 'string' ? body : textOf(body))
}

/**
 * The text of a field that must have one value; `undefined` if it is missing or not text.
 *
 * @throws {ProtocolError} `ERR_BODY_MALFORMED` for a list, because another reader could use another one of its values
 */
export function oneText(fields: Fields, name: string): string | undefined {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined
  if (Array.isArray(value)) throw malformed(`The field \`${name}\` has several values`)
  return typeof value === 'string' ? value : undefined
}

/**
 * The parser for a body of this format. Call it before the body is read.
 *
 * @throws {ProtocolError} `ERR_BODY_TYPE` (415)
 */
export function parserFor({ type, encoding }: BodyFormat): (text: string) => Fields {
  if ((encoding?.trim().toLowerCase() || 'identity') !== 'identity') throw typeError('The body is compressed')
  const content = parseContentType(type ?? '')
  const charset = content?.parameters.get('charset') ?? 'utf-8'
  const name = charset
    .replace(/^'(.*)'$/, '$1')
    .trim()
    .toLowerCase()
  const parse = utf8Names.has(name) ? parsers.get(content?.type) : undefined
  if (parse !== undefined) return parse
  throw typeError('The body is neither a form nor JSON in UTF-8')
}

const parsers: ReadonlyMap<string | undefined, (text: string) => Fields> = new Map([
  ['application/x-www-form-urlencoded', formFields],
  ['application/json', jsonFields],
])

/** The names that browsers (WHATWG Encoding §4.2) and programs use for UTF-8. */
const utf8Names: ReadonlySet<string> = new Set([
  'utf-8',
  'utf8',
  'csutf8',
  'unicode-1-1-utf-8',
  'unicode11utf8',
  'unicode20utf8',
  'x-unicode20utf8',
])

/** A media type with its parameters (RFC 9110 §8.3.1), names in lower case. */
interface ContentType {
  readonly type: string
  readonly parameters: ReadonlyMap<string, string>
}

/**
 * Parses a whole Content-Type field; `undefined` if any part of it is malformed or a parameter is repeated. An empty
 * parameter (`application/json;`) is ignored (RFC 9110 §5.6.6).
 */
export function parseContentType(field: string): ContentType | undefined {
  const type = mediaType.exec(field)?.[0]
  if (type === undefined) return undefined
  const parameters = new Map<string, string>()
  let at = type.length
  while (at < field.length) {
    nextParameter.lastIndex = at
    const found = nextParameter.exec(field)
    if (found === null) return undefined
    const [whole, name = '', plain, quoted = ''] = found
    at += whole.length
    if (name === '') continue
    const key = name.toLowerCase()
    if (parameters.has(key)) return undefined
    parameters.set(key, plain ?? quoted.replace(/\\(.)/g, '$1'))
  }
  return { type: type.toLowerCase(), parameters }
}

const mediaType = new RegExp(`^${token}/${token}`)
const nextParameter = new RegExp(`[ \\t]*;[ \\t]*(?:${parameter}[ \\t]*)?`, 'y')

/** @throws {ProtocolError} `ERR_BODY_TOO_LARGE` (413) */
export function tooLarge(limit: number): ProtocolError {
  return new ProtocolError('ERR_BODY_TOO_LARGE', `The body has more than ${limit} bytes`, {
    status: 413,
    hint: 'Send less, or raise `bodyLimit`.',
  })
}

export function textOf(body: Uint8Array): string {
  if (areUtf8(body)) return Buffer.from(body.buffer, body.byteOffset, body.length).toString('utf8')
  throw malformed('The body is not UTF-8')
}

function formFields(text: string): Fields {
  const fields: Record<string, unknown> = Object.create(null)
  try {
    for (const pair of text.replaceAll('+', ' ').split('&')) {
      if (pair === '') continue
      const equals = pair.includes('=') ? pair.indexOf('=') : pair.length
      const name = decodeURIComponent(pair.slice(0, equals))
      const value = decodeURIComponent(pair.slice(equals + 1))
      const before = fields[name]
      if (before === undefined) fields[name] = value
      else if (Array.isArray(before)) before.push(value)
      else fields[name] = [before, value]
    }
  } catch {
    throw malformed('The form is not percent-encoded UTF-8')
  }
  return fields
}

function jsonFields(text: string): Fields {
  if (text === '') return noFields
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw malformed('The body is not JSON')
  }
  // Another reader (a proxy that checks logins, a schema, a log) could use the other one of two values.
  if (repeatsMember(text)) throw malformed('The JSON body names a member twice')
  return fieldsOf(value)
}

export function fieldsOf(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed('The body is not a JSON object')
  const fields: Record<string, unknown> = Object.create(null)
  for (const [name, field] of Object.entries(value)) fields[name] = checked(field, 1)
  return fields
}

const deepest = 32

/**
 * Refuses deep nesting, which could overflow the stack. Removes `__proto__` from nested objects, because a deep merge of them
 * could change a prototype. The object of all fields keeps a field of that name: it has no prototype.
 */
function checked(value: unknown, depth: number): unknown {
  if (typeof value === 'string' && !value.isWellFormed()) throw malformed('A text in the body is not Unicode')
  if (typeof value !== 'object' || value === null) return value
  if (depth > deepest) throw malformed('The body is nested too deeply')
  if (Object.hasOwn(value, '__proto__')) Reflect.deleteProperty(value, '__proto__')
  for (const member of Object.values(value)) checked(member, depth + 1)
  return value
}

export function malformed(message: string): ProtocolError {
  return new ProtocolError('ERR_BODY_MALFORMED', message, { hint: 'Send a form, or a JSON object, in UTF-8.' })
}

function typeError(message: string): ProtocolError {
  return new ProtocolError('ERR_BODY_TYPE', message, {
    status: 415,
    hint: 'Use Content-Type: application/x-www-form-urlencoded or application/json, without Content-Encoding.',
  })
}
