import type { Awaitable } from '../../awaitable.ts'
import { UsageError } from '../../error.ts'
import { type Jwk, type JwtAlgorithm, readVerificationKey, thumbprint, type VerificationKey } from './jwk.ts'

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
  if (keys.some(isSecret) && !keys.every(isSecret)) throw unusable('`keys` mixes secrets with public keys')
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

function isSecret(key: VerificationKey): boolean {
  return key.algorithm === 'HS256'
}

function unusable(message: string): UsageError {
  return new UsageError('ERR_JWT_KEYS', message, {
    hint: 'Keys are JWKs of type OKP (Ed25519), EC (P-256), RSA (at least 2,048 bits, with `alg`) or oct (at least 32 bytes), each with its own `kid`.',
  })
}
