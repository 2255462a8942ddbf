import { isUtf8 as areUtf8 } from 'node:buffer'
import { ProtocolError } from '../error.ts'
import { repeatsMember } from '../protocols/jwt/json-object.ts'
import { isUtf8, parseContentType } from './content-type.ts'

/** The fields of a form or a JSON object. The object has no prototype, so that every name is safe. */
export type Fields = Readonly<Record<string, unknown>>

/** The format of a body, from the header fields of its request. */
export interface BodyFormat {
  readonly type: string | undefined
  readonly encoding: string | undefined
}

/** Whether requests with this method have no body that means anything (RFC 9110 §9.3.1). */
export function hasNoBody(method: string | undefined): boolean {
  return method === 'GET' || method === 'HEAD'
}

/** The fields of a request without a body. */
export const noFields: Fields = Object.freeze(Object.create(null))

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
  const parse = isUtf8(content?.parameters.get('charset') ?? 'utf-8') ? parsers.get(content?.type) : undefined
  if (parse !== undefined) return parse
  throw typeError('The body is neither a form nor JSON in UTF-8')
}

const parsers: ReadonlyMap<string | undefined, (text: string) => Fields> = new Map([
  ['application/x-www-form-urlencoded', formFields],
  ['application/json', jsonFields],
])

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

/** Refuses deep nesting, which could overflow the stack, and removes `__proto__`, which could change a prototype when copied. */
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
