import type { Keys } from '../../crypto/keyring.ts'
import { Sealer } from '../../crypto/seal.ts'
import {
  type CryptoKeyObject,
  generateSigningJwk,
  privateKeyOf,
  type SignatureAlgorithm,
} from '../../crypto/signature.ts'
import { UsageError } from '../../error.ts'
import {
  type Jwk,
  publicJwk,
  readVerificationKey,
  signatureAlgorithm,
  thumbprint,
  type VerificationKey,
} from '../../protocols/jwt/jwk.ts'
import type { Timestamp } from '../../session/store.ts'
import type { KeyPlan, Scheduled } from './key-rotation.ts'

/** The key that signs now. */
export interface SigningKey {
  readonly kid: string
  readonly algorithm: SignatureAlgorithm
  readonly key: CryptoKeyObject
}

/** A key pair as it is stored. */
export interface SealedKey extends Scheduled {
  /** RFC 7638. */
  readonly kid: string
  /** The public half, as it is published. */
  readonly jwk: Jwk
  /** The private half, sealed under this `kid`. */
  readonly sealed: string
}

type Plan = KeyPlan<SealedKey>

/** Makes key pairs, and turns them into what is stored and back. */
export class SealedKeys {
  readonly #sealer: Sealer
  readonly #algorithm: 'EdDSA' | 'ES256'
  /** One object for each key that counts, so that a token's key can be told from one that has been replaced. */
  readonly #verifiers = new Map<string, VerificationKey>()
  #opened: SigningKey | undefined

  constructor(keys: Keys, algorithm: 'EdDSA' | 'ES256') {
    this.#sealer = new Sealer(keys, 'signing-key')
    this.#algorithm = algorithm
  }

  generate(activeAt: Timestamp): SealedKey {
    const pair = generateSigningJwk(this.#algorithm === 'EdDSA' ? 'Ed25519' : 'ES256')
    const kid = thumbprint(pair) ?? ''
    const jwk = { ...publicJwk(pair), kid, use: 'sig', alg: this.#algorithm }
    return { kid, jwk, sealed: this.#sealer.seal(JSON.stringify(pair), kid), activeAt }
  }

  /** @throws {UsageError} `ERR_JWT_KEYS` */
  open({ kid, jwk, sealed }: SealedKey): SigningKey {
    if (this.#opened?.kid === kid) return this.#opened
    const text = this.#unsealed(kid, sealed).text
    const algorithm = jwk.alg === 'ES256' ? 'ES256' : signatureAlgorithm('EdDSA')
    this.#opened = { kid, algorithm, key: privateKeyOf(JSON.parse(text) as Jwk) }
    return this.#opened
  }

  /** The key that verifies what the key of this name signed; without a name, the only one there is. */
  verifier(keys: readonly SealedKey[], kid: string | undefined): VerificationKey | undefined {
    const entry = kid === undefined && keys.length === 1 ? keys[0] : keys.find((key) => key.kid === kid)
    if (entry === undefined) return undefined
    const known = this.#verifiers.get(entry.kid)
    if (known !== undefined) return known
    const read = readVerificationKey(entry.jwk, ['EdDSA', 'ES256'])
    if (typeof read === 'string') return undefined
    this.#verifiers.set(entry.kid, read)
    return read
  }

  /** The same plan if every key is sealed under the newest of `keys`, else one where it is. */
  underCurrentKey(plan: Plan): Plan {
    const keys = plan.keys.map((key) => {
      const { text, retired } = this.#unsealed(key.kid, key.sealed)
      return retired ? { ...key, sealed: this.#sealer.seal(text, key.kid) } : key
    })
    return keys.every((key, at) => key === plan.keys[at]) ? plan : { keys }
  }

  write(plan: Plan): string {
    return JSON.stringify(plan)
  }

  /** @throws {UsageError} `ERR_JWT_KEYS` */
  read(text: string): Plan {
    try {
      const plan: unknown = JSON.parse(text)
      if (isPlan(plan)) return plan
    } catch {
      // Said below, without quoting what was found.
    }
    throw new UsageError('ERR_JWT_KEYS', 'What is stored as signing keys cannot be read', {
      hint: 'Something other than Gatepass wrote there; remove it, and new keys are made.',
    })
  }

  #unsealed(kid: string, sealed: string): { readonly text: string; readonly retired: boolean } {
    const unsealed = this.#sealer.unseal(sealed, kid)
    if (unsealed !== undefined) return unsealed
    throw new UsageError('ERR_JWT_KEYS', `The signing key ${kid} does not open with the configured keys`, {
      hint: 'Add the key that sealed it to `keys`, behind the current one. If it is lost, remove the stored signing keys: new ones are made, and tokens issued so far are refused.',
    })
  }
}

function isPlan(value: unknown): value is Plan {
  if (typeof value !== 'object' || value === null || !('keys' in value) || !Array.isArray(value.keys)) return false
  return value.keys.length > 0 && value.keys.every(isSealedKey)
}

function isSealedKey(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('jwk' in value && 'sealed' in value)) return false
  return 'kid' in value && isNameOf(value.kid, value.jwk) && 'activeAt' in value && typeof value.activeAt === 'number'
}

/** The private half is sealed under the name: whoever can write to the store, and has no key, cannot put in a public half. */
function isNameOf(kid: unknown, jwk: unknown): boolean {
  return typeof kid === 'string' && typeof jwk === 'object' && jwk !== null && thumbprint(jwk as Jwk) === kid
}
