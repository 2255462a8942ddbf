import type { Awaitable } from '../../awaitable.ts'
import type { Keys } from '../../crypto/keyring.ts'
import { checkOptions, type OptionKinds, StoreError, UsageError } from '../../error.ts'
import type { Reply } from '../../http/exchange.ts'
import { seconds } from '../../number-options.ts'
import type { Jwk, VerificationKey, VerificationKeys } from '../../protocols/jwt/jwk.ts'
import { guarded } from '../../session/guarded-store.ts'
import type { Timestamp } from '../../session/store.ts'
import { type KeyPlan, type Rotation, rotated, rotationOf } from './key-rotation.ts'
import { type SealedKey, SealedKeys, type SigningKey } from './sealed-keys.ts'

export type { SigningKey } from './sealed-keys.ts'

/** The keys as they are kept: one text, whose private parts are sealed. */
export interface StoredSigningKeys {
  /** 1 when first saved, then +1 each time. */
  readonly version: number
  readonly text: string
}

/** Where the signing keys of all processes live: one row of a table, or one entry of anything that compares and sets. */
export interface SigningKeyStore {
  load(): Awaitable<StoredSigningKeys | undefined>
  /**
   * Saves if `expectedVersion` is what is stored; 0: if nothing is. In one atomic step.
   *
   * @returns false if somebody else was faster: then nothing was saved
   */
  save(keys: StoredSigningKeys, expectedVersion: number): Awaitable<boolean>
}

export interface SigningKeyOptions {
  store: SigningKeyStore
  /**
   * Seal the private keys, at least 32 characters each: the first seals, all open. Keep them elsewhere than the store. A new
   * one goes behind the first in every process before it goes in front in any.
   */
  keys: Keys
  /** Default EdDSA (Ed25519); ES256 for verifiers that know nothing newer. */
  algorithm?: 'EdDSA' | 'ES256'
  /** After how many days the next key signs. Default 90. */
  rotateAfterDays?: number
  /** Seconds; how long the longest-lived token lives. Its key is published until then and a day longer. Default 600. */
  longestLifetime?: number
  clock?: () => Timestamp
  /** Told when the keys could not be read or renewed; those known go on working. */
  onEvent?: (event: SigningKeyEvent) => void
}

const signingKeyOptions: OptionKinds<SigningKeyOptions> = {
  store: 'object',
  keys: 'any',
  algorithm: 'any',
  rotateAfterDays: 'any',
  longestLifetime: 'any',
  clock: 'function',
  onEvent: 'function',
}

/** What happens to signing keys, for an audit log. */
export type SigningKeyEvent =
  | { readonly type: 'keys_rotated'; readonly kid: string }
  | { readonly type: 'keys_unavailable'; readonly error: unknown }

/** How soon a change by another process is seen; a key is published a day before it is used. */
const RELOAD = 5 * 60 * 1000
/** How soon the store is asked again when it did not answer. */
const PATIENCE = 10 * 1000
const MAX_ATTEMPTS = 9
const DAY = 24 * 60 * 60 * 1000

/** Keys that sign tokens, the same in all processes; a next one is published a day before it signs. */
export class SigningKeys implements VerificationKeys {
  /** Seconds; a token that lives longer could outlive the key that verifies it. */
  readonly longestLifetime: number
  readonly #store: SigningKeyStore
  readonly #sealed: SealedKeys
  readonly #rotation: Rotation
  readonly #clock: () => Timestamp
  readonly #onEvent: ((event: SigningKeyEvent) => void) | undefined
  #plan: KeyPlan<SealedKey> | undefined
  #readAt = Number.NEGATIVE_INFINITY
  #failedAt = Number.NEGATIVE_INFINITY
  #reading: Promise<KeyPlan<SealedKey>> | undefined

  constructor(options: SigningKeyOptions) {
    checkOptions('signingKeys()', options, signingKeyOptions, 'ERR_TOKEN_OPTIONS')
    const { algorithm = 'EdDSA', rotateAfterDays = 90, longestLifetime = 600 } = options
    this.longestLifetime = seconds(longestLifetime, {
      code: 'ERR_TOKEN_OPTIONS',
      name: 'longestLifetime',
      most: 7 * 24 * 60 * 60,
    })
    this.#store = options.store
    this.#sealed = new SealedKeys(options.keys, algorithm)
    this.#rotation = rotationOf({ rotateAfter: rotateAfterDays * DAY, longestLifetime: longestLifetime * 1000 })
    this.#clock = options.clock ?? Date.now
    this.#onEvent = options.onEvent
  }

  /**
   * The key that signs now.
   *
   * @throws {StoreError} if the keys have never been read
   * @throws {UsageError} `ERR_JWT_KEYS` if none of `keys` opens them
   */
  async current(): Promise<SigningKey> {
    const plan = await this.#fresh()
    const entry = plan.keys.findLast(({ activeAt }) => activeAt <= this.#clock()) ?? plan.keys[0]
    if (entry === undefined) throw unreadable()
    return this.#sealed.open(entry)
  }

  /** The public keys: those that sign, have signed, and will sign next. */
  async jwks(): Promise<{ readonly keys: readonly Jwk[] }> {
    return { keys: (await this.#fresh()).keys.map(({ jwk }) => jwk) }
  }

  /** The answer for `/.well-known/jwks.json` (RFC 7517 §5). */
  async reply(): Promise<Reply> {
    return {
      status: 200,
      headers: {
        'content-type': 'application/jwk-set+json',
        'cache-control': 'public, max-age=3600, no-transform',
        'x-content-type-options': 'nosniff',
      },
      body: JSON.stringify(await this.jwks()),
    }
  }

  find(kid: string | undefined): Awaitable<VerificationKey | undefined> {
    const plan = this.#plan
    if (plan === undefined) return this.#fresh().then((read) => this.#sealed.verifier(read.keys, kid))
    if (this.#stale()) void this.#fresh().catch(nothing)
    return this.#sealed.verifier(plan.keys, kid)
  }

  trusts(key: VerificationKey): boolean {
    // Behind `find`, which a token seen before does not come through.
    if (this.#stale()) void this.#fresh().catch(nothing)
    return this.#plan !== undefined && this.#sealed.verifier(this.#plan.keys, key.kid) === key
  }

  #stale(): boolean {
    const now = this.#clock()
    if (this.#plan === undefined) return true
    if (now - this.#failedAt < PATIENCE) return false
    return now - this.#readAt >= RELOAD || this.#rotation.isDue(this.#plan, now)
  }

  /** What is stored, rotated if that is due; what was known, if the store does not answer. */
  async #fresh(): Promise<KeyPlan<SealedKey>> {
    const known = this.#plan
    if (known !== undefined && !this.#stale()) return known
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    if (known === undefined) return this.#reading
    return this.#reading.catch((error: unknown) => {
      this.#failedAt = this.#clock()
      this.#onEvent?.({ type: 'keys_unavailable', error })
      return known
    })
  }

  async #read(): Promise<KeyPlan<SealedKey>> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const stored = await guarded(() => this.#store.load(), 'store of signing keys')
      const plan = stored === undefined ? undefined : this.#sealed.read(stored.text)
      const next = rotated(plan, this.#rotation, this.#clock(), (activeAt) => this.#sealed.generate(activeAt))
      const resealed = this.#sealed.underCurrentKey(next)
      if (resealed === plan) return this.#keep(resealed)
      const version = stored?.version ?? 0
      // Another process may have rotated just now: then its keys are everybody's.
      const text = this.#sealed.write(resealed)
      const saved = await guarded(
        () => this.#store.save({ version: version + 1, text }, version),
        'store of signing keys',
      )
      if (saved) return this.#announce(plan, this.#keep(resealed))
    }
    throw new StoreError('ERR_STORE_UNAVAILABLE', 'The signing keys were changed by others each time they were saved', {
      hint: 'Does `save` of the SigningKeyStore compare with the version that is stored?',
    })
  }

  #keep(plan: KeyPlan<SealedKey>): KeyPlan<SealedKey> {
    this.#plan = plan
    this.#readAt = this.#clock()
    return plan
  }

  #announce(before: KeyPlan<SealedKey> | undefined, plan: KeyPlan<SealedKey>): KeyPlan<SealedKey> {
    const newest = plan.keys.at(-1)
    if (newest !== undefined && newest.kid !== before?.keys.at(-1)?.kid)
      this.#onEvent?.({ type: 'keys_rotated', kid: newest.kid })
    return plan
  }
}

/**
 * Keys that sign tokens, made, rotated and retired by themselves.
 *
 * @throws {UsageError} `ERR_COOKIE_KEYS`, `ERR_TOKEN_OPTIONS`
 */
export function signingKeys(options: SigningKeyOptions): SigningKeys {
  return new SigningKeys(options)
}

/** Signing keys in the memory of this process: for tests and for development, since tokens end with it. */
export function memorySigningKeyStore(): SigningKeyStore {
  let stored: StoredSigningKeys | undefined
  return {
    load: () => stored,
    save(keys, expectedVersion) {
      if ((stored?.version ?? 0) !== expectedVersion) return false
      stored = keys
      return true
    },
  }
}

function unreadable(): UsageError {
  return new UsageError('ERR_JWT_KEYS', 'The signing keys that are stored hold no key', {
    hint: 'Something other than Gatepass wrote there; remove it, and new keys are made.',
  })
}

function nothing(): void {}
