import type { RemoteJWKSet } from 'jose'
import { equal } from '../../crypto/equal.ts'
import {
  type Claims,
  type CommonExpectation,
  checkCommonClaims,
  isSubject,
  isTime,
  refusedToken,
  SKEW,
  verifySignature,
} from './provider-token.ts'

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
  checkNonce(claims, expected.nonce)
  if (!isSubject(claims.sub)) throw refusedToken('ERR_OIDC_SUBJECT', 'has a missing or invalid `sub`')
  await checkHash(claims.at_hash, expected.accessToken, header.alg)
  await checkHash(claims.c_hash, expected.code, header.alg)
  checkAuthTime(claims, expected)
  checkAcr(claims, expected.acrValues)
  return { issuer: claims.iss as string, subject: claims.sub, claims }
}

function checkNonce({ nonce }: Claims, expected: string | undefined): void {
  if (expected === undefined) return
  if (typeof nonce !== 'string' || !equal(nonce, expected)) {
    throw refusedToken('ERR_OIDC_NONCE', 'does not belong to this login')
  }
}

/** Checks that the claim is the left half of the value's hash. A provider may leave it out (OpenID Connect Core §3.1.3.6). */
async function checkHash(claimed: unknown, value: string | undefined, algorithm: string): Promise<void> {
  // A claim that is not text binds nothing. The token's signature has already been verified.
  if (typeof claimed !== 'string' || value === undefined) return
  const digest = Buffer.from(await crypto.subtle.digest(hashOf(algorithm), Buffer.from(value)))
  const expected = digest.subarray(0, digest.length / 2).toString('base64url')
  if (!equal(claimed, expected)) {
    throw refusedToken('ERR_OIDC_HASH', 'does not belong to the code or access token that came with it')
  }
}

function hashOf(algorithm: string): string {
  if (algorithm.endsWith('256')) return 'SHA-256'
  return algorithm.endsWith('384') ? 'SHA-384' : 'SHA-512'
}

/** How far ahead of our clock `auth_time` may be, in seconds. */
const AHEAD = 300

function checkAuthTime({ auth_time: time }: Claims, { maxAge, now }: IdTokenExpectation): void {
  if (maxAge === undefined) return
  if (!isTime(time)) throw refusedToken('ERR_OIDC_AUTH_TIME', 'has no `auth_time`')
  const age = now / 1000 - time
  // A provider's clock may be ahead of ours. A time far in the future is refused, because it may be in milliseconds.
  if (age > maxAge + SKEW || age < -AHEAD) {
    throw refusedToken('ERR_OIDC_AUTH_TIME', 'has an `auth_time` that is too long ago or in the future')
  }
}

function checkAcr({ acr }: Claims, values: readonly string[] | undefined): void {
  if (values === undefined || values.length === 0) return
  if (typeof acr !== 'string' || !values.includes(acr)) {
    throw refusedToken('ERR_OIDC_ACR', 'proves a weaker login than the application requires')
  }
}
