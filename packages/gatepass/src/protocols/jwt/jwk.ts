import { sha256Base64url } from '../../crypto/random.ts'
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

/** A signature algorithm, by its name in tokens. `EdDSA` means Ed25519 only. */
export type JwtAlgorithm = 'EdDSA' | 'ES256' | 'RS256' | 'PS256' | 'HS256'

/** A key that verifies signatures, with its one algorithm. */
export interface VerificationKey {
  /** The key's name; `undefined` for a key without name. */
  readonly kid: string | undefined
  readonly algorithm: SignatureAlgorithm
  readonly key: CryptoKeyObject
}

/** Longest accepted `kid`, which is an opaque name (RFC 8725 §3.10). */
const longestKid = 128
const shortestSecret = 32
const rsaBits = { least: 2048, most: 8192 }

/**
 * Imports a key. The key and `allowed` decide its algorithm; a token never does.
 *
 * @returns the key, or a text that says why it cannot be used
 */
export function readVerificationKey(jwk: Jwk, allowed: readonly JwtAlgorithm[]): VerificationKey | string {
  const { kid, use, key_ops: operations } = jwk
  if (kid !== undefined && (typeof kid !== 'string' || kid === '' || kid.length > longestKid))
    return 'its `kid` is not a string of 1 to 128 characters'
  if (use !== undefined && use !== 'sig') return 'its `use` is not "sig"'
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    return 'its `key_ops` do not include "verify"'
  const algorithm = algorithmOf(jwk, allowed)
  if (algorithm === undefined) return 'it is not for one accepted algorithm; an RSA key must name its `alg`'
  const key = importKey(jwk, algorithm)
  return typeof key === 'string' ? key : { kid, algorithm, key }
}

/** The thumbprint of a key (RFC 7638); `undefined` for a key type that we do not use. */
export function thumbprint(jwk: Jwk): string | undefined {
  const members = typeof jwk.kty === 'string' ? thumbprintMembers[jwk.kty] : undefined
  if (members === undefined || members.some((name) => typeof jwk[name] !== 'string')) return undefined
  return sha256Base64url(JSON.stringify(Object.fromEntries(members.map((name) => [name, jwk[name]]))))
}

// In alphabetical order, because they are hashed in this order.
const thumbprintMembers: Readonly<Record<string, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
  RSA: ['e', 'kty', 'n'],
  oct: ['k', 'kty'],
}

/** The public members of a key, and no others. */
export function publicJwk(jwk: Jwk): Jwk {
  const members = ['kty', 'crv', 'x', 'y', 'n', 'e'].filter((name) => jwk[name] !== undefined)
  return Object.fromEntries(members.map((name) => [name, jwk[name]]))
}

function algorithmOf(jwk: Jwk, allowed: readonly JwtAlgorithm[]): SignatureAlgorithm | undefined {
  const fitting = allowed.map(signatureAlgorithm).filter((algorithm) => fits(jwk, algorithm))
  if (jwk.alg !== undefined) return fitting.find((algorithm) => names(algorithm).includes(jwk.alg as string))
  // A curve has one algorithm. An RSA key can have two; without `alg` it is refused if both are allowed.
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

/** The names of an algorithm in a token's header. RFC 8037 and RFC 9864 use different names for Ed25519. */
export function names(algorithm: SignatureAlgorithm): readonly string[] {
  return algorithm === 'Ed25519' ? ['EdDSA', 'Ed25519'] : [algorithm]
}

function importKey(jwk: Jwk, algorithm: SignatureAlgorithm): CryptoKeyObject | string {
  if (algorithm === 'HS256') return importSecret(jwk.k)
  try {
    const key = publicKeyOf(publicJwk(jwk))
    return jwk.kty === 'RSA' && !strongEnough(key) ? 'its modulus or its exponent is too small or too large' : key
  } catch {
    return 'its numbers are not a valid key'
  }
}

/** RFC 7518 §3.2: the secret must not be shorter than the hash. */
function importSecret(text: unknown): CryptoKeyObject | string {
  const bytes = typeof text === 'string' ? decodeBase64url(text) : undefined
  if (bytes === undefined) return 'its `k` is not base64url'
  return bytes.length < shortestSecret ? `its secret has fewer than ${shortestSecret} bytes` : secretKeyOf(bytes)
}

function strongEnough(key: CryptoKeyObject): boolean {
  const { bits, exponent } = rsaStrength(key)
  return bits >= rsaBits.least && bits <= rsaBits.most && exponent >= 65537n && exponent < 2n ** 32n
}
