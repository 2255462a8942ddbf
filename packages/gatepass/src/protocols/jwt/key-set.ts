import type { Awaitable } from '../../awaitable.ts'
import { UsageError } from '../../error.ts'
import { type Jwk, type JwtAlgorithm, readVerificationKey, thumbprint, type VerificationKey } from './jwk.ts'

/** Where the keys come from that verify tokens. */
export interface VerificationKeys {
  /**
   * The key that a token names; without a name, the only one there is.
   *
   * @throws {StoreError} if the keys cannot be had
   */
  find(kid: string | undefined): Awaitable<VerificationKey | undefined>
  /** Whether a key that `find` gave earlier still counts. */
  trusts(key: VerificationKey): boolean
}

/** Keys by their names; none of two keys that share one. */
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
 * Keys of our own, each of which must be usable. One without a `kid` gets its thumbprint (RFC 7638).
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
  // Whoever may only verify with one key could otherwise sign with the other.
  if (keys.some(isSecret) && !keys.every(isSecret)) throw unusable('`keys` mixes secrets with public keys')
  return new KeySet(keys)
}

/** What of a foreign key set can be used; RFC 7517 §5 asks to ignore the rest. Secrets never come over the network. */
export function foreignKeySet(jwks: readonly Jwk[], allowed: readonly JwtAlgorithm[]): KeySet {
  const asymmetric = allowed.filter((algorithm) => algorithm !== 'HS256')
  return new KeySet(
    jwks
      .map((jwk) => readVerificationKey(jwk, asymmetric))
      .filter((key): key is VerificationKey => typeof key === 'object'),
  )
}

function isSecret(key: VerificationKey): boolean {
  return key.algorithm === 'HS256'
}

function unusable(message: string): UsageError {
  return new UsageError('ERR_JWT_KEYS', message, {
    hint: 'Keys are JWKs of type OKP (Ed25519), EC (P-256), RSA from 2,048 bits with an `alg`, or oct from 32 bytes, each with a `kid` of its own.',
  })
}
