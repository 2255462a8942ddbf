import type { JsonObject } from './json-object.ts'

/** The claims of a verified token (RFC 7519 §4.1, RFC 9068 §2.2). Frozen, because all requests with the token share them. */
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
  /** Scopes, separated by spaces. */
  readonly scope?: string
  /** The session that the token belongs to. */
  readonly sid?: string
  /** When the user logged in, in seconds since 1970. */
  readonly auth_time?: number
  readonly amr?: readonly string[]
  readonly [name: string]: unknown
}

/** Why claims are refused. */
export type ClaimsFault =
  | 'malformed'
  | 'wrong-type'
  | 'wrong-issuer'
  | 'wrong-audience'
  | 'expired'
  | 'not-yet-valid'
  | 'incomplete'

/** The claims and type that a token must have. */
export interface Expectation {
  readonly issuer: string
  /** The token must name one of these. */
  readonly audiences: readonly string[]
  readonly type: 'at+jwt' | 'JWT'
}

/** How much the clocks of two machines may differ. Seconds. */
export const clockSkew = 30

/** The required claims. RFC 9068 §2.2 requires more than RFC 7519. */
const required: Readonly<Record<Expectation['type'], readonly string[]>> = {
  'at+jwt': ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti'],
  JWT: ['iss', 'exp', 'aud', 'sub'],
}

/** Checks all claims except the times, which {@link timeFault} checks at every use. */
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

/** RFC 7515 §4.1.9: `typ` is a case-insensitive media type; `application/` may be left out. */
function isType(typ: unknown, expected: Expectation['type']): boolean {
  // RFC 7519 §5.1: a plain JWT may leave out `typ`.
  if (typ === undefined) return expected === 'JWT'
  return typeof typ === 'string' && typ.toLowerCase().replace(/^application\//, '') === expected.toLowerCase()
}

/** Whether every known claim has the right type. Nothing is converted. */
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

/** Refuses infinity: JavaScript reads 1e400 in JSON as infinity, and such a token would never expire. */
function isTime(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}
