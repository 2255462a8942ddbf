import { sha256Latin1 } from '../../crypto/sha256.ts'
import type { JwtClaims } from './claims.ts'
import type { VerificationKey } from './jwk.ts'

/** What was found out about a token when its signature was checked. */
export interface VerifiedToken {
  readonly claims: JwtClaims
  /** The key that signed it; whoever looks it up asks whether that still counts. */
  readonly key: VerificationKey
}

/** How many tokens are remembered in each of two generations. */
const generation = 1024

/**
 * Tokens whose signature was right, so that it is checked once and not with every request. Found by the SHA-256 of the whole
 * token: two tokens never share an entry, no token can be read out of here, and looking one up tells nothing by its timing.
 */
export class VerifiedTokens {
  #young = new Map<string, VerifiedToken>()
  #old = new Map<string, VerifiedToken>()

  /** @returns what is known, and the name under which to keep it or drop it */
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
