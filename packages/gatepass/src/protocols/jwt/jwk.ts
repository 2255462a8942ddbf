import type { Awaitable } from '../../awaitable.ts'
import { sha256Base64url } from '../../crypto/random.ts'
import {
  type CryptoKeyObject,
  type Jwk,
  publicKeyOf,
  rsaStrength,
  type SignatureAlgorithm,
  secretKeyOf,
} from '../../crypto/signature.ts'
import { UsageError } from '../../error.ts'

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

/** The key type of each algorithm, and its names in a token's header: RFC 8037 and RFC 9864 use different ones for Ed25519. */
const algorithms: Readonly<Record<SignatureAlgorithm, { kty: string; crv?: string; names: readonly string[] }>> = {
  Ed25519: { kty: 'OKP', crv: 'Ed25519', names: ['EdDSA', 'Ed25519'] },
  ES256: { kty: 'EC', crv: 'P-256', names: ['ES256'] },
  RS256: { kty: 'RSA', names: ['RS256'] },
  PS256: { kty: 'RSA', names: ['PS256'] },
  HS256: { kty: 'oct', names: ['HS256'] },
}

/** Whether `alg` in the header of a token or key means this algorithm. */
export function isNameOf(algorithm: SignatureAlgorithm, alg: unknown): boolean {
  return algorithms[algorithm].names.some((name) => name === alg)
}

function algorithmOf(jwk: Jwk, allowed: readonly JwtAlgorithm[]): SignatureAlgorithm | undefined {
  const fitting = allowed
    .map((name) => (name === 'EdDSA' ? 'Ed25519' : name))
    .filter((name) => {
      const { kty, crv = jwk.crv } = algorithms[name]
      return jwk.kty === kty && jwk.crv === crv
    })
  if (jwk.alg !== undefined) return fitting.find((algorithm) => isNameOf(algorithm, jwk.alg))
  // A curve has one algorithm. An RSA key can have two; without `alg` it is refused if both are allowed.
  return fitting.length === 1 ? fitting[0] : undefined
}

function importKey(jwk: Jwk, algorithm: SignatureAlgorithm): CryptoKeyObject | string {
  if (algorithm === 'HS256') {
    const bytes = typeof jwk.k === 'string' ? decodeBase64url(jwk.k) : undefined
    if (bytes === undefined) return 'its `k` is not base64url'
    // RFC 7518 §3.2: the secret must not be shorter than the hash.
    return bytes.length < shortestSecret ? `its secret has fewer than ${shortestSecret} bytes` : secretKeyOf(bytes)
  }
  try {
    const key = publicKeyOf(publicJwk(jwk))
    if (jwk.kty !== 'RSA') return key
    const { bits, exponent } = rsaStrength(key)
    const strong = bits >= rsaBits.least && bits <= rsaBits.most && exponent >= 65537n && exponent < 2n ** 32n
    return strong ? key : 'its modulus or its exponent is too small or too large'
  } catch {
    return 'its numbers are not a valid key'
  }
}

/** A source of keys that verify tokens. */
export interface VerificationKeys {
  /**
   * Finds the key that a token names. Without a name, returns the only key of the set.
   *
   * @throws {StoreError} if the keys cannot be loaded
   */
  find(kid: string | undefined): Awaitable<VerificationKey | undefined>
  /** Whether a key that `find` returned earlier is still valid. */
  trusts(key: VerificationKey): boolean
}

/** Keys by name. Keys that share a name are all left out. */
export class KeySet implements VerificationKeys {
  readonly #keys = new Map<string | undefined, VerificationKey>()
  readonly #only: VerificationKey | undefined

  constructor(keys: readonly VerificationKey[]) {
    const shared = keys.filter(({ kid }, at) => keys.findIndex((other) => other.kid === kid) !== at)
    for (const key of keys) if (!shared.some(({ kid }) => kid === key.kid)) this.#keys.set(key.kid, key)
    this.#only = keys.length === 1 ? keys[0] : undefined
  }

  get size(): number {
    return this.#keys.size
  }

  find(kid: string | undefined): VerificationKey | undefined {
    return kid === undefined ? this.#only : this.#keys.get(kid)
  }

  trusts(key: VerificationKey): boolean {
    return this.#keys.get(key.kid) === key
  }
}

/**
 * A set of configured keys, which must all be usable. A key without `kid` gets its thumbprint as name (RFC 7638).
 *
 * @throws {UsageError} `ERR_JWT_KEYS`
 */
export function ownKeySet(jwks: readonly Jwk[], allowed: readonly JwtAlgorithm[]): KeySet {
  const keys = jwks.map((jwk, at) => {
    const key = readVerificationKey({ kid: thumbprint(jwk), ...jwk }, allowed)
    if (typeof key === 'string') throw unusable(`\`keys[${at}]\` cannot be used: ${key}`)
    return key
  })
  if (new Set(keys.map(({ kid }) => kid)).size < keys.length) throw unusable('Two `keys` have the same `kid`')
  if (keys.length === 0) throw unusable('`keys` is empty')
  // Every party that can verify with a secret can also sign with it, so a mixed set is only as safe as its secrets.
  const secrets = keys.filter(({ algorithm }) => algorithm === 'HS256').length
  if (secrets > 0 && secrets < keys.length) throw unusable('`keys` mixes secrets with public keys')
  return new KeySet(keys)
}

/** The usable keys of a foreign key set. RFC 7517 §5 asks to ignore the others. Secrets are never accepted from the network. */
export function foreignKeySet(jwks: readonly Jwk[], allowed: readonly JwtAlgorithm[]): KeySet {
  const asymmetric = allowed.filter((algorithm) => algorithm !== 'HS256')
  return new KeySet(
    jwks
      .map((jwk) => readVerificationKey(jwk, asymmetric))
      .filter((key): key is VerificationKey => typeof key === 'object'),
  )
}

function unusable(message: string): UsageError {
  return new UsageError('ERR_JWT_KEYS', message, {
    hint: 'Keys are JWKs of type OKP (Ed25519), EC (P-256), RSA (at least 2,048 bits, with `alg`) or oct (at least 32 bytes), each with its own `kid`.',
  })
}

/**
 * Decodes canonical base64url (RFC 4648 §5, RFC 7515 §2). `undefined` for other spellings: padding, another alphabet, spaces,
 * or unused bits that are set.
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  // Node skips unknown characters, so only the canonical spelling gives the same text again.
  return bytes.toString('base64url') === text ? bytes : undefined
}
