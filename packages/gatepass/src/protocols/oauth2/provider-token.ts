import { compactVerify, errors, type RemoteJWKSet } from 'jose'
import { equal } from '../../crypto/equal.ts'
import { type ErrorCode, GatepassError, ProtocolError } from '../../error.ts'

/** The claims of a provider's token, unchecked. */
export type Claims = Readonly<Record<string, unknown>>

/** A token with a valid signature of the provider. */
interface SignedToken {
  readonly header: { readonly alg: string; readonly typ: string | undefined }
  readonly claims: Claims
}

/** How much the provider's clock and ours may differ, in seconds. */
const SKEW = 30

/** Longest accepted token, in characters. Lists of groups make ID tokens long, but not longer than this. */
const LONGEST = 16 * 1024

/** Asymmetric algorithms only: never `none`, and never an HMAC with the client's secret. */
const acceptable = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519', 'RS384', 'PS384', 'ES384', 'RS512', 'PS512', 'ES512']

/**
 * Verifies a token's signature. The claims are not checked.
 *
 * @param offered the provider's signature algorithms; default RS256 (OpenID Connect Core §2)
 * @throws {ProtocolError} `ERR_OIDC_FORM`, `ERR_OIDC_SIGNATURE`, and what fetching the keys throws
 */
async function verifySignature(
  token: string,
  keys: RemoteJWKSet,
  offered: readonly string[] = ['RS256'],
): Promise<SignedToken> {
  if (token.length > LONGEST) throw refusedToken('ERR_OIDC_FORM', 'is longer than 16 KiB')
  const algorithms = acceptable.filter((algorithm) => offered.includes(algorithm))
  try {
    const { payload, protectedHeader } = await compactVerify(token, keys, { algorithms })
    const { alg, typ } = protectedHeader
    return { header: { alg, typ: typeof typ === 'string' ? typ.toLowerCase() : undefined }, claims: parse(payload) }
  } catch (error) {
    throw refusalOf(error)
  }
}

function parse(payload: Uint8Array): Claims {
  const claims: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload))
  if (typeof claims === 'object' && claims !== null && !Array.isArray(claims)) return claims as Claims
  throw refusedToken('ERR_OIDC_FORM', 'is not a JSON object')
}

/** Leaves out a cause that could quote the token. */
function refusalOf(error: unknown): GatepassError {
  if (error instanceof GatepassError) return error
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return refusedToken('ERR_OIDC_SIGNATURE', 'is not signed by the provider')
  }
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
    return refusedToken('ERR_OIDC_SIGNATURE', 'names none of the provider’s keys')
  }
  if (error instanceof errors.JWKSInvalid || (error instanceof errors.JOSEError && error.code === 'ERR_JOSE_GENERIC')) {
    return new ProtocolError('ERR_OAUTH_RESPONSE', 'The provider’s keys cannot be read', { status: 502, cause: error })
  }
  return refusedToken('ERR_OIDC_FORM', 'is not a JWT signed by an algorithm that the provider announces')
}

function refusedToken(code: ErrorCode, what: string): ProtocolError {
  return new ProtocolError(code, `A token of the provider ${what}`)
}

/** What every token of a provider must name: who made it, for which application, and when. */
export interface CommonExpectation {
  /** The issuer. For an address that serves many issuers, a function of the claims; it returns `undefined` to refuse. */
  readonly issuer: string | ((claims: Claims) => string | undefined)
  readonly clientId: string
  /** Milliseconds since 1970. */
  readonly now: number
}

/**
 * Checks issuer, audience and times (OpenID Connect Core §3.1.3.7, steps 2 to 5, 9 and 10).
 *
 * @throws {ProtocolError} `ERR_OIDC_ISSUER`, `ERR_OIDC_AUDIENCE`, `ERR_OIDC_TIME`
 */
function checkCommonClaims(claims: Claims, expected: CommonExpectation): void {
  const issuer = typeof expected.issuer === 'string' ? expected.issuer : expected.issuer(claims)
  if (issuer === undefined || claims.iss !== issuer) throw refusedToken('ERR_OIDC_ISSUER', 'is from another issuer')
  const { aud, exp, iat, nbf } = claims
  const azp = claims.azp ?? undefined
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (!audiences.includes(expected.clientId)) throw refusedToken('ERR_OIDC_AUDIENCE', 'is for another application')
  if (azp === undefined && audiences.length > 1) {
    throw refusedToken('ERR_OIDC_AUDIENCE', 'is for several applications and does not name the one that requested it')
  }
  if (azp !== undefined && azp !== expected.clientId)
    throw refusedToken('ERR_OIDC_AUDIENCE', 'was issued to another application')
  const now = expected.now / 1000
  if (!isTime(exp) || !isTime(iat))
    throw refusedToken('ERR_OIDC_TIME', `has no \`${isTime(exp) ? 'iat' : 'exp'}\` that is a time`)
  if (exp <= now - SKEW) throw refusedToken('ERR_OIDC_TIME', 'has expired')
  if (Math.max(isTime(nbf) ? nbf : iat, iat) > now + SKEW) throw refusedToken('ERR_OIDC_TIME', 'is from the future')
}

export function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

/** OpenID Connect Core §2: at most 255 ASCII characters. */
function isSubject(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]{1,255}$/.test(value)
}

/** What an ID token must contain. */
export interface IdTokenExpectation extends CommonExpectation {
  /** The nonce of our request; `undefined` if the token did not come from a request of ours. */
  readonly nonce: string | undefined
  /** How many seconds ago the user may have authenticated, at most. */
  readonly maxAge?: number | undefined
  /** The token's `acr` must be one of these. */
  readonly acrValues?: readonly string[] | undefined
  /** The access token that came with the ID token. `at_hash` may bind it. */
  readonly accessToken?: string | undefined
  readonly code?: string | undefined
  /** The signature algorithms in the provider's metadata. */
  readonly algorithms: readonly string[] | undefined
}

/** A validated ID token. */
export interface IdToken {
  readonly issuer: string
  readonly subject: string
  readonly claims: Claims
}

/**
 * Validates an ID token (OpenID Connect Core §3.1.3.7, §3.1.3.8).
 *
 * @throws {ProtocolError} `ERR_OIDC_FORM`, `ERR_OIDC_SIGNATURE`, `ERR_OIDC_ISSUER`, `ERR_OIDC_AUDIENCE`, `ERR_OIDC_TIME`,
 *   `ERR_OIDC_NONCE`, `ERR_OIDC_SUBJECT`, `ERR_OIDC_HASH`, `ERR_OIDC_AUTH_TIME`, `ERR_OIDC_ACR`
 */
export async function verifyIdToken(token: string, keys: RemoteJWKSet, expected: IdTokenExpectation): Promise<IdToken> {
  const { header, claims } = await verifySignature(token, keys, expected.algorithms)
  // RFC 8725 §3.11: an access token or a logout token of the same provider does not prove a login.
  if (header.typ !== undefined && header.typ !== 'jwt') throw refusedToken('ERR_OIDC_FORM', 'is not an ID token')
  checkCommonClaims(claims, expected)
  const { nonce, acr, auth_time: time } = claims
  if (expected.nonce !== undefined && (typeof nonce !== 'string' || !equal(nonce, expected.nonce))) {
    throw refusedToken('ERR_OIDC_NONCE', 'does not belong to this login')
  }
  if (!isSubject(claims.sub)) throw refusedToken('ERR_OIDC_SUBJECT', 'has a missing or invalid `sub`')
  await checkHash(claims.at_hash, expected.accessToken, header.alg)
  await checkHash(claims.c_hash, expected.code, header.alg)
  if (expected.maxAge !== undefined) {
    if (!isTime(time)) throw refusedToken('ERR_OIDC_AUTH_TIME', 'has no `auth_time`')
    const age = expected.now / 1000 - time
    // A provider's clock may be ahead of ours. A time far in the future is refused, because it may be in milliseconds.
    if (age > expected.maxAge + SKEW || age < -AHEAD) {
      throw refusedToken('ERR_OIDC_AUTH_TIME', 'has an `auth_time` that is too long ago or in the future')
    }
  }
  const { acrValues = [] } = expected
  if (acrValues.length > 0 && (typeof acr !== 'string' || !acrValues.includes(acr))) {
    throw refusedToken('ERR_OIDC_ACR', 'proves a weaker login than the application requires')
  }
  return { issuer: claims.iss as string, subject: claims.sub, claims }
}

/** Checks that the claim is the left half of the value's hash. A provider may leave it out (OpenID Connect Core §3.1.3.6). */
async function checkHash(claimed: unknown, value: string | undefined, algorithm: string): Promise<void> {
  // A claim that is not text binds nothing. The token's signature has already been verified.
  if (typeof claimed !== 'string' || value === undefined) return
  const bits = algorithm.endsWith('256') ? 256 : algorithm.endsWith('384') ? 384 : 512
  const digest = Buffer.from(await crypto.subtle.digest(`SHA-${bits}`, Buffer.from(value)))
  const expected = digest.subarray(0, digest.length / 2).toString('base64url')
  if (!equal(claimed, expected)) {
    throw refusedToken('ERR_OIDC_HASH', 'does not belong to the code or access token that came with it')
  }
}

/** How far ahead of our clock `auth_time` may be, in seconds. */
const AHEAD = 300

/** Maximum age of a logout token when it arrives, in seconds. */
const LONGEST_WAY = 120

/** The content of a logout token: which user's logins, or which login, ended at the provider. */
export interface LogoutToken {
  readonly issuer: string
  readonly subject: string | undefined
  readonly sid: string | undefined
  readonly jti: string
  /** Milliseconds since 1970. */
  readonly issuedAt: number
}

/**
 * Validates a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6), except that its `jti` is new.
 *
 * @throws {ProtocolError} `ERR_OIDC_LOGOUT_TOKEN`, and the errors of {@link verifySignature} and {@link checkCommonClaims}
 */
export async function verifyLogoutToken(
  token: string,
  keys: RemoteJWKSet,
  expected: CommonExpectation & { readonly algorithms: readonly string[] | undefined },
): Promise<LogoutToken> {
  const { header, claims } = await verifySignature(token, keys, expected.algorithms)
  if (header.typ !== 'logout+jwt') throw refusedLogout('is not a logout token')
  checkCommonClaims(claims, expected)
  const { sub, sid, jti, nonce, iat, iss } = claims
  if (!announcesLogout(claims)) throw refusedLogout('announces no logout')
  // §2.4 forbids a nonce, so that an ID token cannot pass as a logout token.
  if (nonce !== undefined) throw refusedLogout('has a nonce')
  if (typeof jti !== 'string' || jti === '') throw refusedLogout('has no jti')
  if (sub === undefined ? !isName(sid) : !isSubject(sub) || !(sid === undefined || isName(sid))) {
    throw refusedLogout('names neither a person nor a login')
  }
  const issuedAt = (iat as number) * 1000
  if (expected.now - issuedAt > (LONGEST_WAY + SKEW) * 1000) throw refusedLogout('is too old')
  return { issuer: iss as string, subject: sub as string | undefined, sid: sid as string | undefined, jti, issuedAt }
}

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'

function announcesLogout({ events }: Claims): boolean {
  if (typeof events !== 'object' || events === null || !Object.hasOwn(events, EVENT)) return false
  const event: unknown = (events as Record<string, unknown>)[EVENT]
  return typeof event === 'object' && event !== null
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && value.length <= 255
}

function refusedLogout(what: string): ProtocolError {
  return new ProtocolError('ERR_OIDC_LOGOUT_TOKEN', `A logout token ${what}`)
}

/** Remembers the logout tokens that were executed in the last minutes, so that none is executed twice. */
export class SeenTokens {
  readonly #until = new Map<string, number>()

  /** @throws {ProtocolError} `ERR_OIDC_LOGOUT_TOKEN` for a token that was executed before */
  check({ jti, issuer }: LogoutToken, now: number): void {
    for (const [key, until] of this.#until) if (until <= now) this.#until.delete(key)
    if (this.#until.has(`${issuer} ${jti}`)) throw refusedLogout('has been used before')
  }

  add({ jti, issuer }: LogoutToken, now: number): void {
    this.#until.set(`${issuer} ${jti}`, now + 2 * (LONGEST_WAY + SKEW) * 1000)
  }
}
