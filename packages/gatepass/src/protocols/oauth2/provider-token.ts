import { compactVerify, errors, type RemoteJWKSet } from 'jose'
import { type ErrorCode, GatepassError, ProtocolError } from '../../error.ts'

/** The claims of a provider's token, unchecked. */
export type Claims = Readonly<Record<string, unknown>>

/** A token with a valid signature of the provider. */
export interface SignedToken {
  readonly header: { readonly alg: string; readonly typ: string | undefined }
  readonly claims: Claims
}

/** How much the provider's clock and ours may differ, in seconds. */
export const SKEW = 30

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
export async function verifySignature(
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

export function refusedToken(code: ErrorCode, what: string): ProtocolError {
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
export function checkCommonClaims(claims: Claims, expected: CommonExpectation): void {
  const issuer = typeof expected.issuer === 'string' ? expected.issuer : expected.issuer(claims)
  if (issuer === undefined || claims.iss !== issuer) throw refusedToken('ERR_OIDC_ISSUER', 'is from another issuer')
  checkAudience(claims, expected.clientId)
  checkTimes(claims, expected.now / 1000)
}

function checkAudience({ aud, azp: authorized }: Claims, clientId: string): void {
  const azp = authorized ?? undefined
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (!audiences.includes(clientId)) throw refusedToken('ERR_OIDC_AUDIENCE', 'is for another application')
  if (azp === undefined && audiences.length > 1) {
    throw refusedToken('ERR_OIDC_AUDIENCE', 'is for several applications and does not name the one that requested it')
  }
  if (azp !== undefined && azp !== clientId)
    throw refusedToken('ERR_OIDC_AUDIENCE', 'was issued to another application')
}

function checkTimes({ exp, iat, nbf }: Claims, now: number): void {
  if (!isTime(exp) || !isTime(iat))
    throw refusedToken('ERR_OIDC_TIME', `has no \`${isTime(exp) ? 'iat' : 'exp'}\` that is a time`)
  if (exp <= now - SKEW) throw refusedToken('ERR_OIDC_TIME', 'has expired')
  const begins = isTime(nbf) ? nbf : iat
  if (Math.max(begins, iat) > now + SKEW) throw refusedToken('ERR_OIDC_TIME', 'is from the future')
}

export function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

/** OpenID Connect Core §2: at most 255 ASCII characters. */
export function isSubject(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]{1,255}$/.test(value)
}
