import type { JsonObject } from './json-object.ts'

/** What a verified token says (RFC 7519 §4.1, RFC 9068 §2.2); frozen, since it is shared by the requests that carry it. */
export interface JwtClaims {
  readonly iss: string
  readonly sub: string
  readonly aud: string | readonly string[]
  /** Seconds since 1970. */
  readonly exp: number
  readonly nbf?: number
  readonly iat?: number
  readonly jti?: string
  readonly client_id?: string
  /** Scopes, with spaces between them. */
  readonly scope?: string
  /** The session that the token belongs to. */
  readonly sid?: string
  /** Seconds since 1970: when the user proved who they are. */
  readonly auth_time?: number
  readonly amr?: readonly string[]
  readonly [name: string]: unknown
}

/** Why claims are not accepted. */
export type ClaimsFault =
  | 'malformed'
  | 'wrong-type'
  | 'wrong-issuer'
  | 'wrong-audience'
  | 'expired'
  | 'not-yet-valid'
  | 'incomplete'

/** What a token must say. */
export interface Expectation {
  readonly issuer: string
  /** One of these. */
  readonly audiences: readonly string[]
  readonly type: 'at+jwt' | 'JWT'
}

/** How far the clocks of two machines may be apart. Seconds. */
export const clockSkew = 30

/** RFC 9068 §2.2 asks for more than RFC 7519 does. */
const required: Readonly<Record<Expectation['type'], readonly string[]>> = {
  'at+jwt': ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti'],
  JWT: ['iss', 'exp', 'aud', 'sub'],
}

/** Checks what does not change while the token lives; when it lives is for {@link timeFault}. */
export function readClaims(header: JsonObject, payload: JsonObject, expected: Expectation): JwtClaims | ClaimsFault {
  if (!isType(header.typ, expected.type)) return 'wrong-type'
  if (!isClaims(payload)) return 'malformed'
  if (required[expected.type].some((name) => payload[name] === undefined)) return 'incomplete'
  if (payload.iss !== expected.issuer) return 'wrong-issuer'
  const named: readonly string[] = typeof payload.aud === 'string' ? [payload.aud] : payload.aud
  if (!named.some((audience) => expected.audiences.includes(audience))) return 'wrong-audience'
  return payload
}

/** @param now milliseconds since 1970 */
export function timeFault(claims: JwtClaims, now: number): 'expired' | 'not-yet-valid' | undefined {
  const seconds = now / 1000
  if (claims.exp + clockSkew <= seconds) return 'expired'
  const begins = Math.max(claims.nbf ?? 0, claims.iat ?? 0)
  return begins - clockSkew > seconds ? 'not-yet-valid' : undefined
}

/** RFC 7515 §4.1.9: a media type, whose case does not matter, and whose `application/` may be left out. */
function isType(typ: unknown, expected: Expectation['type']): boolean {
  // RFC 7519 §5.1: a plain JWT need not say so.
  if (typ === undefined) return expected === 'JWT'
  return typeof typ === 'string' && typ.toLowerCase().replace(/^application\//, '') === expected.toLowerCase()
}

/** Whether every claim that we know has its type; nothing is converted. */
function isClaims(payload: JsonObject): payload is JwtClaims & JsonObject {
  return Object.entries(shapes).every(([name, fits]) => payload[name] === undefined || fits(payload[name]))
}

const shapes: Readonly<Record<string, (value: unknown) => boolean>> = {
  iss: isText,
  sub: isText,
  aud: (value) => isText(value) || (isTexts(value) && value.length > 0),
  exp: isTime,
  nbf: isTime,
  iat: isTime,
  auth_time: isTime,
  jti: isText,
  client_id: isText,
  scope: (value) => typeof value === 'string',
  sid: isText,
  amr: isTexts,
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isText)
}

/** JSON can say 1e400, which JavaScript reads as infinity: a token that never ends. */
function isTime(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}
