import { sha256Latin1 } from '../../crypto/sha256.ts'
import type { JwtClaims } from './claims.ts'
import type { VerificationKey } from './jwk.ts'

/** The result of checking a token's signature. */
export interface VerifiedToken {
  readonly claims: JwtClaims
  /** The key that signed it. Before use, the caller checks that this key is still valid. */
  readonly key: VerificationKey
}

/** How many tokens are kept in each of two generations. */
const generation = 1024

/**
 * Remembers tokens with a valid signature, so that each is verified once and not with every request. The key is the SHA-256
 * of the whole token: tokens do not share entries, the cache contains no tokens, and look-ups leak nothing by timing.
 */
export class VerifiedTokens {
  #young = new Map<string, VerifiedToken>()
  #old = new Map<string, VerifiedToken>()

  /** @returns the known result, and the name for `keep` and `drop` */
  get(token: string): { readonly name: string; readonly known: VerifiedToken | undefined } {
    const name = sha256Latin1(token)
    const young = this.#young.get(name)
    if (young !== undefined) return { name, known: young }
    const old = this.#old.get(name)
    if (old !== undefined) this.keep(name, old)
    return { name, known: old }
  }

  keep(name: string, token: VerifiedToken): void {
    if (this.#young.size >= generation) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(name, token)
  }

  drop(name: string): void {
    this.#young.delete(name)
    this.#old.delete(name)
  }
}
