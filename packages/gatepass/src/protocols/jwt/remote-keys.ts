import { type Awaitable, shared } from '../../awaitable.ts'
import { StoreError } from '../../error.ts'
import { report } from '../../report.ts'
import { parseJsonObject } from './json-object.ts'
import {
  foreignKeySet,
  type Jwk,
  type JwtAlgorithm,
  type KeySet,
  type VerificationKey,
  type VerificationKeys,
} from './jwk.ts'

/** Fetches a document over TLS, with limits of time and size, without following redirects. */
export type FetchDocument = (url: string) => Promise<Response>

export interface RemoteKeysOptions {
  readonly url: string
  readonly algorithms: readonly JwtAlgorithm[]
  readonly fetch: FetchDocument
  readonly clock: () => number
  /** Called when the keys could not be fetched. Keys that were fetched before stay valid. */
  readonly onEvent?: ((event: RemoteKeysEvent) => void) | undefined
}

/** The keys of an issuer could not be fetched. */
export interface RemoteKeysEvent {
  readonly type: 'keys_unavailable'
  readonly url: string
  readonly error: unknown
}

/** How long keys are used before they are fetched again, so that withdrawn keys are forgotten. Milliseconds. */
const FRESH = 60 * 60 * 1000
/** How long to wait before an unknown key name causes another fetch, because an attacker can invent names. Milliseconds. */
const PATIENCE = 60 * 1000
/** How long to wait before another fetch while there are no keys and no token can be verified. Milliseconds. */
const IMPATIENCE = 5 * 1000

/** The published keys of an issuer. They are fetched at first use, and kept while the issuer does not answer. */
export class RemoteKeys implements VerificationKeys {
  readonly #options: RemoteKeysOptions
  #keys: KeySet | undefined
  #fetchedAt = Number.NEGATIVE_INFINITY
  #askedAt = Number.NEGATIVE_INFINITY
  /** Fetches the keys. Never rejects. */
  readonly #ask = shared(async () => {
    const now = this.#options.clock()
    try {
      this.#keys = await this.#fetch()
      this.#fetchedAt = now
    } catch (error) {
      const { url, onEvent } = this.#options
      report(`keys of ${url}`, () => onEvent?.({ type: 'keys_unavailable', url, error }))
    } finally {
      this.#askedAt = now
    }
  })

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
    if (now - this.#askedAt < patience) return this.#answer(kid)
    return this.#ask().then(() => this.#answer(kid))
  }

  trusts(key: VerificationKey): boolean {
    // A token that was verified before does not call `find`, so the keys are also refreshed here.
    this.#refresh(this.#options.clock())
    return this.#keys?.trusts(key) === true
  }

  /** Fetches the keys in the background if they are old. Until then the old keys are used. */
  #refresh(now: number): void {
    if (now - this.#fetchedAt >= FRESH && now - this.#askedAt >= PATIENCE) void this.#ask()
  }

  #answer(kid: string | undefined): VerificationKey | undefined {
    if (this.#keys !== undefined) return this.#keys.find(kid)
    throw new StoreError('ERR_JWKS_UNAVAILABLE', `No keys from ${this.#options.url} are available to verify tokens`, {
      hint: 'See the event `keys_unavailable` of the strategy. The keys are fetched again every 5 seconds.',
      retryAfter: IMPATIENCE / 1000,
    })
  }

  async #fetch(): Promise<KeySet> {
    const { url, algorithms, fetch } = this.#options
    const response = await fetch(url)
    const document = response.ok ? parseJsonObject(new Uint8Array(await response.arrayBuffer())) : undefined
    const jwks = document?.keys
    const keys = foreignKeySet(Array.isArray(jwks) ? jwks.filter(isJwk) : [], algorithms)
    if (keys.size > 0) return keys
    throw new StoreError('ERR_JWKS_UNAVAILABLE', `${url} answered with ${response.status} and without a usable key`, {
      hint: `The address must return a key set (RFC 7517 §5) with keys for ${algorithms.join(', ')}; see the option \`algorithms\`.`,
    })
  }
}

function isJwk(value: unknown): value is Jwk {
  return typeof value === 'object' && value !== null
}
