import { sha256Base64url } from '../../crypto/sha256.ts'
import {
  type CryptoKeyObject,
  type Jwk,
  publicKeyOf,
  rsaStrength,
  type SignatureAlgorithm,
  secretKeyOf,
} from '../../crypto/signature.ts'
import { decodeBase64url } from './base64url.ts'

export type { Jwk } from '../../crypto/signature.ts'

/** A signature algorithm by the name that tokens use; `EdDSA` is Ed25519 here, and no other curve. */
export type JwtAlgorithm = 'EdDSA' | 'ES256' | 'RS256' | 'PS256' | 'HS256'

/** A key that verifies, with the one algorithm it is for. */
export interface VerificationKey {
  /** `undefined`: for tokens that name no key. */
  readonly kid: string | undefined
  readonly algorithm: SignatureAlgorithm
  readonly key: CryptoKeyObject
}

/** RFC 8725 §3.10: an opaque name, and nobody needs a longer one. */
const longestKid = 128
const shortestSecret = 32
const rsaBits = { least: 2048, most: 8192 }

/**
 * What a key is for, decided by the key and by what is `allowed`, never by a token.
 *
 * @returns the key, or in words why it cannot be used
 */
export function readVerificationKey(jwk: Jwk, allowed: readonly JwtAlgorithm[]): VerificationKey | string {
  const { kid, use, key_ops: operations } = jwk
  if (kid !== undefined && (typeof kid !== 'string' || kid === '' || kid.length > longestKid))
    return 'its `kid` is no text of 1 to 128 characters'
  if (use !== undefined && use !== 'sig') return 'its `use` is not "sig"'
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    return 'its `key_ops` do not include "verify"'
  const algorithm = algorithmOf(jwk, allowed)
  if (algorithm === undefined) return 'it is not for one of the algorithms that are accepted, or does not say for which'
  const key = importKey(jwk, algorithm)
  return typeof key === 'string' ? key : { kid, algorithm, key }
}

/** RFC 7638: names a key by what it is. `undefined` for a kind that we do not use. */
export function thumbprint(jwk: Jwk): string | undefined {
  const members = typeof jwk.kty === 'string' ? thumbprintMembers[jwk.kty] : undefined
  if (members === undefined || members.some((name) => typeof jwk[name] !== 'string')) return undefined
  return sha256Base64url(JSON.stringify(Object.fromEntries(members.map((name) => [name, jwk[name]]))))
}

// In the order of the alphabet, which is the order in which they are hashed.
const thumbprintMembers: Readonly<Record<string, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
  RSA: ['e', 'kty', 'n'],
  oct: ['k', 'kty'],
}

/** The public half of a key pair, without one member more. */
export function publicJwk(jwk: Jwk): Jwk {
  const members = ['kty', 'crv', 'x', 'y', 'n', 'e'].filter((name) => jwk[name] !== undefined)
  return Object.fromEntries(members.map((name) => [name, jwk[name]]))
}

function algorithmOf(jwk: Jwk, allowed: readonly JwtAlgorithm[]): SignatureAlgorithm | undefined {
  const fitting = allowed.map(signatureAlgorithm).filter((algorithm) => fits(jwk, algorithm))
  if (jwk.alg !== undefined) return fitting.find((algorithm) => names(algorithm).includes(jwk.alg as string))
  // A curve is for one algorithm; an RSA key may be for two, and then it must say for which.
  return fitting.length === 1 ? fitting[0] : undefined
}

function fits(jwk: Jwk, algorithm: SignatureAlgorithm): boolean {
  switch (algorithm) {
    case 'Ed25519':
      return jwk.kty === 'OKP' && jwk.crv === 'Ed25519'
    case 'ES256':
      return jwk.kty === 'EC' && jwk.crv === 'P-256'
    case 'RS256':
    case 'PS256':
      return jwk.kty === 'RSA'
    case 'HS256':
      return jwk.kty === 'oct'
  }
}

export function signatureAlgorithm(name: JwtAlgorithm): SignatureAlgorithm {
  return name === 'EdDSA' ? 'Ed25519' : name
}

/** What a token's header may call an algorithm: RFC 8037 and RFC 9864 name the same one differently. */
export function names(algorithm: SignatureAlgorithm): readonly string[] {
  return algorithm === 'Ed25519' ? ['EdDSA', 'Ed25519'] : [algorithm]
}

function importKey(jwk: Jwk, algorithm: SignatureAlgorithm): CryptoKeyObject | string {
  if (algorithm === 'HS256') return importSecret(jwk.k)
  try {
    const key = publicKeyOf(publicJwk(jwk))
    return jwk.kty === 'RSA' && !strongEnough(key) ? 'its modulus or its exponent is too small, or too large' : key
  } catch {
    return 'its numbers are not those of a key'
  }
}

/** RFC 7518 §3.2: no shorter than the hash. */
function importSecret(text: unknown): CryptoKeyObject | string {
  const bytes = typeof text === 'string' ? decodeBase64url(text) : undefined
  if (bytes === undefined) return 'its `k` is not base64url'
  return bytes.length < shortestSecret ? `its secret has fewer than ${shortestSecret} bytes` : secretKeyOf(bytes)
}

function strongEnough(key: CryptoKeyObject): boolean {
  const { bits, exponent } = rsaStrength(key)
  return bits >= rsaBits.least && bits <= rsaBits.most && exponent >= 65537n && exponent < 2n ** 32n
}
