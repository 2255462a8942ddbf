import type { Awaitable } from '../../awaitable.ts'
import { StoreError } from '../../error.ts'
import { parseJsonObject } from './json-object.ts'
import type { Jwk, JwtAlgorithm, VerificationKey } from './jwk.ts'
import { foreignKeySet, type KeySet, type VerificationKeys } from './key-set.ts'

/** Gets a document: over TLS, within a time and a size, without following redirects. */
export type FetchDocument = (url: string) => Promise<Response>

export interface RemoteKeysOptions {
  readonly url: string
  readonly algorithms: readonly JwtAlgorithm[]
  readonly fetch: FetchDocument
  readonly clock: () => number
  /** Told when the keys could not be fetched; those known go on counting. */
  readonly onEvent?: ((event: RemoteKeysEvent) => void) | undefined
}

/** The keys of an issuer could not be fetched. */
export interface RemoteKeysEvent {
  readonly type: 'keys_unavailable'
  readonly url: string
  readonly error: unknown
}

/** How long keys count before they are asked for again, so that one that was withdrawn is forgotten. */
const FRESH = 60 * 60 * 1000
/** How soon an unknown name makes us ask again: anybody can invent names. */
const PATIENCE = 60 * 1000
/** How soon we ask again while we have no keys at all, and can verify nothing. */
const IMPATIENCE = 5 * 1000

/** The keys that an issuer publishes: fetched when first needed, kept while it does not answer. */
export class RemoteKeys implements VerificationKeys {
  readonly #options: RemoteKeysOptions
  #keys: KeySet | undefined
  #fetchedAt = Number.NEGATIVE_INFINITY
  #askedAt = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined

  constructor(options: RemoteKeysOptions) {
    this.#options = options
  }

  find(kid: string | undefined): Awaitable<VerificationKey | undefined> {
    const key = this.#keys?.find(kid)
    const now = this.#options.clock()
    if (key !== undefined) {
      this.#refresh(now)
      return key
    }
    const patience = this.#keys === undefined ? IMPATIENCE : PATIENCE
    if (this.#asking === undefined && now - this.#askedAt < patience) return this.#answer(kid)
    return this.#ask(now).then(() => this.#answer(kid))
  }

  trusts(key: VerificationKey): boolean {
    // A token seen before does not come through `find`, and may be the only one in use.
    this.#refresh(this.#options.clock())
    return this.#keys?.trusts(key) === true
  }

  /** In the meantime the old ones do. */
  #refresh(now: number): void {
    if (now - this.#fetchedAt >= FRESH && now - this.#askedAt >= PATIENCE) void this.#ask(now)
  }

  #answer(kid: string | undefined): VerificationKey | undefined {
    if (this.#keys !== undefined) return this.#keys.find(kid)
    throw new StoreError('ERR_JWKS_UNAVAILABLE', `There are no keys from ${this.#options.url} to verify tokens with`, {
      hint: 'See the event `keys_unavailable` of the strategy. It is asked again every 5 seconds.',
      retryAfter: IMPATIENCE / 1000,
    })
  }

  /** Whoever needs keys meanwhile waits for the same answer. Never rejects. */
  #ask(now: number): Promise<void> {
    if (this.#asking !== undefined) return this.#asking
    this.#askedAt = now
    this.#asking = this.#fetch().then(
      (keys) => {
        this.#asking = undefined
        this.#keys = keys
        this.#fetchedAt = now
      },
      (error: unknown) => {
        this.#asking = undefined
        this.#options.onEvent?.({ type: 'keys_unavailable', url: this.#options.url, error })
      },
    )
    return this.#asking
  }

  async #fetch(): Promise<KeySet> {
    const { url, algorithms, fetch } = this.#options
    const response = await fetch(url)
    const document = response.ok ? parseJsonObject(new Uint8Array(await response.arrayBuffer())) : undefined
    const jwks = document?.keys
    const keys = foreignKeySet(Array.isArray(jwks) ? jwks.filter(isJwk) : [], algorithms)
    if (keys.size > 0) return keys
    throw new StoreError(
      'ERR_JWKS_UNAVAILABLE',
      `${url} answered with ${response.status} and no key that can be used`,
      {
        hint: `A key set (RFC 7517 §5) with keys for ${algorithms.join(', ')} belongs there; see the option \`algorithms\`.`,
      },
    )
  }
}

function isJwk(value: unknown): value is Jwk {
  return typeof value === 'object' && value !== null
}
