import { type Awaitable, shared } from '../../awaitable.ts'
import type { Keys } from '../../crypto/keyring.ts'
import { Sealer, type Unsealed } from '../../crypto/seal.ts'
import {
  type CryptoKeyObject,
  generateSigningJwk,
  privateKeyOf,
  type SignatureAlgorithm,
} from '../../crypto/signature.ts'
import { checkOptions, type OptionKinds, StoreError, UsageError } from '../../error.ts'
import type { Reply } from '../../http/exchange.ts'
import { seconds } from '../../number-options.ts'
import {
  type Jwk,
  publicJwk,
  readVerificationKey,
  thumbprint,
  type VerificationKey,
  type VerificationKeys,
} from '../../protocols/jwt/jwk.ts'
import { report } from '../../report.ts'
import { guarded } from '../../session/guarded-store.ts'
import type { Timestamp } from '../../session/store.ts'

/** The key that signs now. */
export interface SigningKey {
  readonly kid: string
  readonly algorithm: SignatureAlgorithm
  readonly key: CryptoKeyObject
}

/** The stored keys: one text, whose private parts are sealed. */
export interface StoredSigningKeys {
  /** 1 when first saved, then +1 each time. */
  readonly version: number
  readonly text: string
}

/** Where the signing keys of all processes are stored: one row of a table, or one entry that can be compared and set. */
export interface SigningKeyStore {
  load(): Awaitable<StoredSigningKeys | undefined>
  /**
   * Saves if `expectedVersion` is stored (0: if nothing is stored), in one atomic step.
   *
   * @returns false if another process saved first; then nothing was saved
   */
  save(keys: StoredSigningKeys, expectedVersion: number): Awaitable<boolean>
}

export interface SigningKeyOptions {
  store: SigningKeyStore
  /**
   * Keys of at least 32 characters that seal the private keys: the first seals, all open. Keep them elsewhere than the store.
   * Add a new key behind the first in every process before you put it in front in any.
   */
  keys: Keys
  /** Default EdDSA (Ed25519). ES256 is for verifiers that do not know EdDSA. */
  algorithm?: 'EdDSA' | 'ES256'
  /** After how many days the next key signs. Default 90. */
  rotateAfterDays?: number
  /** Seconds; the lifetime of the longest-lived token. Its key is published until then and a day longer. Default 600. */
  longestLifetime?: number
  clock?: () => Timestamp
  /** Called when the next key was made, and when the keys could not be read or renewed. Known keys stay in use. */
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

/** A key pair as it is stored. It signs from `activeAt` until the next one does. */
interface SealedKey {
  /** RFC 7638. */
  readonly kid: string
  /** The public half, as it is published. */
  readonly jwk: Jwk
  /** The private half, sealed under this `kid`. */
  readonly sealed: string
  readonly activeAt: Timestamp
}

/** Keys in the order in which they sign. */
interface Plan {
  readonly keys: readonly SealedKey[]
}

const DAY = 24 * 60 * 60 * 1000
/**
 * How long a key is published before it signs: verifiers may keep the document for an hour, and a process may have read the
 * keys of another one a while ago. Milliseconds.
 */
const AHEAD = 2 * DAY
const LEAST_AHEAD = DAY
/** How soon a change by another process is seen; a key is published a day before it is used. Milliseconds. */
const RELOAD = 5 * 60 * 1000
/** How soon the store is asked again after a failure. Milliseconds. */
const PATIENCE = 10 * 1000
const MAX_ATTEMPTS = 9

/** Keys that sign tokens, the same in all processes. The next key is published a day before it signs. */
export class SigningKeys implements VerificationKeys {
  /** Seconds; a token that lives longer could outlive the key that verifies it. */
  readonly longestLifetime: number
  readonly #store: SigningKeyStore
  readonly #sealer: Sealer
  readonly #algorithm: 'EdDSA' | 'ES256'
  readonly #rotateAfter: number
  readonly #clock: () => Timestamp
  readonly #onEvent: ((event: SigningKeyEvent) => void) | undefined
  readonly #readShared = shared(() => this.#read())
  /** One object for each key, so that the key of a verified token differs from one that has replaced it. */
  readonly #verifiers = new Map<string, VerificationKey>()
  #opened: SigningKey | undefined
  #plan: Plan | undefined
  #readAt = Number.NEGATIVE_INFINITY
  #failedAt = Number.NEGATIVE_INFINITY

  constructor(options: SigningKeyOptions) {
    checkOptions('signingKeys()', options, signingKeyOptions, 'ERR_TOKEN_OPTIONS')
    const { rotateAfterDays = 90, longestLifetime = 600 } = options
    const lifetimeRule = { code: 'ERR_TOKEN_OPTIONS', name: 'longestLifetime', most: (7 * DAY) / 1000 } as const
    this.longestLifetime = seconds(longestLifetime, lifetimeRule)
    if (!(rotateAfterDays >= 7 && rotateAfterDays <= 366)) {
      throw new UsageError('ERR_TOKEN_OPTIONS', '`rotateAfterDays` of signing keys is out of range', {
        hint: 'Rotate after 7 to 366 days.',
      })
    }
    this.#store = options.store
    this.#sealer = new Sealer(options.keys, 'signing-key')
    this.#algorithm = options.algorithm ?? 'EdDSA'
    this.#rotateAfter = rotateAfterDays * DAY
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
    const { keys } = await this.#fresh()
    const entry = keys.findLast(({ activeAt }) => activeAt <= this.#clock()) ?? keys[0]
    if (entry === undefined) throw unreadable()
    const { kid, jwk, sealed } = entry
    if (this.#opened?.kid === kid) return this.#opened
    const algorithm = jwk.alg === 'ES256' ? 'ES256' : 'Ed25519'
    this.#opened = { kid, algorithm, key: privateKeyOf(JSON.parse(this.#unsealed(kid, sealed).text) as Jwk) }
    return this.#opened
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
    if (this.#plan === undefined) return this.#fresh().then((plan) => this.#verifier(plan, kid))
    this.#refresh()
    return this.#verifier(this.#plan, kid)
  }

  trusts(key: VerificationKey): boolean {
    // A token that was verified before does not call `find`, so the keys are also refreshed here.
    this.#refresh()
    return this.#plan !== undefined && this.#verifier(this.#plan, key.kid) === key
  }

  /** The key that verifies what the key of this name signed; without a name, the only one. */
  #verifier({ keys }: Plan, kid: string | undefined): VerificationKey | undefined {
    const entry = kid === undefined && keys.length === 1 ? keys[0] : keys.find((key) => key.kid === kid)
    if (entry === undefined) return undefined
    const known = this.#verifiers.get(entry.kid)
    if (known !== undefined) return known
    const read = readVerificationKey(entry.jwk, ['EdDSA', 'ES256'])
    if (typeof read === 'string') return undefined
    this.#verifiers.set(entry.kid, read)
    return read
  }

  /** Reads the keys in the background if they are old. Until then the known keys are used. */
  #refresh(): void {
    if (this.#stale()) void this.#fresh().catch(() => {})
  }

  #stale(): boolean {
    const now = this.#clock()
    if (this.#plan === undefined) return true
    if (now - this.#failedAt < PATIENCE) return false
    return now - this.#readAt >= RELOAD || this.#needsNext(this.#plan, now) || this.#retired(this.#plan, now) > 0
  }

  /** The stored keys, rotated if that is due. The known keys, if the store does not answer. */
  async #fresh(): Promise<Plan> {
    const known = this.#plan
    if (known !== undefined && !this.#stale()) return known
    try {
      return await this.#readShared()
    } catch (error) {
      if (known === undefined) throw error
      this.#failedAt = this.#clock()
      report('signingKeys()', () => this.#onEvent?.({ type: 'keys_unavailable', error }))
      return known
    }
  }

  async #read(): Promise<Plan> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const stored = await guarded(() => this.#store.load(), 'store of signing keys')
      const plan = stored === undefined ? undefined : planIn(stored.text)
      const next = this.#underCurrentKey(this.#rotated(plan, this.#clock()))
      const version = stored?.version ?? 0
      const text = JSON.stringify(next)
      // If another process has rotated just now, its keys are used.
      const saved =
        next === plan ||
        (await guarded(() => this.#store.save({ version: version + 1, text }, version), 'store of signing keys'))
      if (!saved) continue
      this.#plan = next
      this.#readAt = this.#clock()
      const newest = next.keys.at(-1)
      if (newest !== undefined && newest.kid !== plan?.keys.at(-1)?.kid) {
        report('signingKeys()', () => this.#onEvent?.({ type: 'keys_rotated', kid: newest.kid }))
      }
      return next
    }
    throw new StoreError('ERR_STORE_UNAVAILABLE', 'The signing keys were changed by others each time they were saved', {
      hint: 'Check that `save` of the SigningKeyStore compares with the stored version.',
    })
  }

  /** The plan with a next key if one is due, and without keys whose last token has long expired. The same object if nothing changed. */
  #rotated(plan: Plan | undefined, now: Timestamp): Plan {
    const newest = plan?.keys.at(-1)
    // No verifier knows the very first key yet: it signs at once.
    if (plan === undefined || newest === undefined) return { keys: [this.#generate(now)] }
    const retired = this.#retired(plan, now)
    if (!this.#needsNext(plan, now)) return retired === 0 ? plan : { keys: plan.keys.slice(retired) }
    // Later than planned if no process asked for the keys in time: no key signs before verifiers can know it.
    const activeAt = Math.max(newest.activeAt + this.#rotateAfter, now + LEAST_AHEAD)
    return { keys: [...plan.keys.slice(retired), this.#generate(activeAt)] }
  }

  #needsNext({ keys }: Plan, now: Timestamp): boolean {
    const newest = keys.at(-1)
    return newest === undefined || now >= newest.activeAt + this.#rotateAfter - AHEAD
  }

  /** How many of the oldest keys have retired: the last token that they signed has expired a day ago. */
  #retired({ keys }: Plan, now: Timestamp): number {
    const retireAfter = this.longestLifetime * 1000 + DAY
    return keys.slice(1).filter(({ activeAt }) => activeAt + retireAfter <= now).length
  }

  #generate(activeAt: Timestamp): SealedKey {
    const pair = generateSigningJwk(this.#algorithm === 'EdDSA' ? 'Ed25519' : 'ES256')
    const kid = thumbprint(pair) ?? ''
    const jwk = { ...publicJwk(pair), kid, use: 'sig', alg: this.#algorithm }
    return { kid, jwk, sealed: this.#sealer.seal(JSON.stringify(pair), kid), activeAt }
  }

  /** The plan with every key sealed under the first of the `keys`. The same object if nothing changed. */
  #underCurrentKey(plan: Plan): Plan {
    const keys = plan.keys.map((key) => {
      const { text, retired } = this.#unsealed(key.kid, key.sealed)
      return retired ? { ...key, sealed: this.#sealer.seal(text, key.kid) } : key
    })
    return keys.every((key, at) => key === plan.keys[at]) ? plan : { keys }
  }

  #unsealed(kid: string, sealed: string): Unsealed {
    const unsealed = this.#sealer.unseal(sealed, kid)
    if (unsealed !== undefined) return unsealed
    throw new UsageError('ERR_JWT_KEYS', `The signing key ${kid} does not open with the configured keys`, {
      hint: 'Add the key that sealed it to `keys`, behind the current one. If it is lost, remove the stored signing keys: new ones are made, and tokens issued so far are refused.',
    })
  }
}

/**
 * Makes keys that sign tokens. They are rotated and retired without further work.
 *
 * @throws {UsageError} `ERR_COOKIE_KEYS`, `ERR_TOKEN_OPTIONS`
 */
export function signingKeys(options: SigningKeyOptions): SigningKeys {
  return new SigningKeys(options)
}

/** Keeps signing keys in the memory of this process, for tests and development: tokens end with the process. */
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

/** @throws {UsageError} `ERR_JWT_KEYS` */
function planIn(text: string): Plan {
  let plan: unknown
  try {
    plan = JSON.parse(text)
  } catch {
    // The error below does not quote the text.
  }
  const keys: unknown = typeof plan === 'object' && plan !== null && 'keys' in plan ? plan.keys : undefined
  if (Array.isArray(keys) && keys.length > 0 && keys.every(isSealedKey)) return plan as Plan
  throw unreadable()
}

function isSealedKey(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { kid, jwk, sealed, activeAt } = value as Readonly<Record<string, unknown>>
  if (typeof jwk !== 'object' || jwk === null || typeof sealed !== 'string' || typeof activeAt !== 'number')
    return false
  // The private half is sealed under the name, so an attacker who can write to the store cannot exchange the public half.
  return typeof kid === 'string' && thumbprint(jwk as Jwk) === kid
}

function unreadable(): UsageError {
  return new UsageError('ERR_JWT_KEYS', 'The stored signing keys cannot be read', {
    hint: 'A program other than Gatepass wrote there. Remove it; Gatepass then makes new keys.',
  })
}
