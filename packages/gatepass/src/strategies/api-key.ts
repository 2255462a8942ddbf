import { type Awaitable, andThen, settled } from '../awaitable.ts'
import { randomHandle, sha256Hex } from '../crypto/random.ts'
import { checkOptions, isKeyText, type OptionKinds, subjectText, UsageError } from '../error.ts'
import { bearerToken } from '../http/authorization.ts'
import type { Exchange } from '../http/exchange.ts'
import { seconds, TEN_YEARS } from '../number-options.ts'
import {
  type Failure,
  type Found,
  isFailure,
  type Outcome,
  type Success,
  type UserObject,
  userFrom,
} from '../passport/outcome.ts'
import type { Strategy } from '../passport/strategy.ts'
import { guarded } from '../session/guarded-store.ts'
import type { Timestamp } from '../session/store.ts'
import { isKey, mintKey } from './api-key/format.ts'
import type { ApiKeyRecord, ApiKeyStore } from './api-key/store.ts'
import { malformedRequest, missing, refusedByApplication, refusedToken } from './bearer/failures.ts'

export { type ApiKeyRecord, type ApiKeyStore, memoryApiKeyStore } from './api-key/store.ts'

/** How long to wait before another write of `usedAt`, in milliseconds. */
const TOUCH_INTERVAL = 60 * 1000
/** How many characters of a key a list shows after the prefix: 24 of 256 random bits. */
const HINT_LENGTH = 4

export interface ApiKeyOptions<User> {
  /** The beginning of every key, before an underscore. Use the application's name, so that a leaked key leads to it. */
  prefix: string
  store: ApiKeyStore
  /** Finds the key's user, usually by `subject`. Return `undefined` to refuse the key, or a `Failure` with your own message. */
  account(key: ApiKeyRecord, exchange: Exchange): Awaitable<Found<User>>
  /** The realm in WWW-Authenticate. Default `api`. */
  realm?: string
  clock?: () => Timestamp
  /** Called when `usedAt` could not be written. The request went on. */
  onEvent?: (event: ApiKeyEvent) => void
}

const apiKeyOptions: OptionKinds<ApiKeyOptions<unknown>> = {
  prefix: 'any',
  store: 'object',
  account: 'needed',
  realm: 'string',
  clock: 'function',
  onEvent: 'function',
}

const grantOptions: OptionKinds<ApiKeyGrant> = { subject: 'any', label: 'string', scopes: 'list', lifetime: 'number' }

/** A key was used, but `usedAt` could not be written. */
export interface ApiKeyEvent {
  readonly type: 'touch_failed'
  /** The key's public name. */
  readonly id: string
  readonly error: unknown
}

/** The subject, label, scopes and lifetime of a new key. */
export interface ApiKeyGrant {
  subject: string
  /** The user's name for the key. */
  label: string
  /** The scopes of the key. Default: none. */
  scopes?: readonly string[]
  /** Seconds, ten years at most. Default: the key is valid until it is revoked. */
  lifetime?: number
}

/** Makes, revokes and lists API keys. As the strategy `api-key` it reads them from `Authorization: Bearer`. */
export interface ApiKeys<User> extends Strategy<User, 'api-key'> {
  /** Makes a key. Only this call returns it; the store keeps only its hash. */
  create(grant: ApiKeyGrant): Promise<{ readonly key: string; readonly record: ApiKeyRecord }>
  /** Revokes a key. The next request with it is refused. @returns whether the subject had this key */
  revoke(subject: string, id: string): Promise<boolean>
  list(subject: string): Promise<readonly ApiKeyRecord[]>
}

/**
 * API keys for machines: random, with a prefix and a checksum. The store keeps only their hash.
 *
 * ```ts
 * import { apiKeys, memoryApiKeyStore } from 'gatepass/strategies/api-key'
 *
 * export const keys = apiKeys({
 *   prefix: 'shop',
 *   store: memoryApiKeyStore(),
 *   account: (key) => ({ id: key.subject }),
 * })
 * ```
 *
 * @throws {UsageError} `ERR_TOKEN_OPTIONS`
 */
export function apiKeys<User extends UserObject>(options: ApiKeyOptions<User>): ApiKeys<User> {
  checkOptions('apiKeys()', options, apiKeyOptions, 'ERR_TOKEN_OPTIONS')
  if (/^[a-z][a-z0-9_]{1,31}$/.test(options.prefix)) return new StoredApiKeys(options)
  throw new UsageError('ERR_TOKEN_OPTIONS', '`prefix` of API keys is not a word of 2 to 32 letters and digits', {
    hint: "Lower case, for example `prefix: 'shop'` or `prefix: 'shop_test'`.",
  })
}

class StoredApiKeys<User> implements ApiKeys<User> {
  readonly name = 'api-key'
  readonly #options: ApiKeyOptions<User>
  readonly #realm: string
  readonly #clock: () => Timestamp

  constructor(options: ApiKeyOptions<User>) {
    this.#options = options
    this.#realm = options.realm ?? 'api'
    this.#clock = options.clock ?? Date.now
  }

  async create(grant: ApiKeyGrant): Promise<{ key: string; record: ApiKeyRecord }> {
    const { prefix, store } = this.#options
    checkOptions('apiKeys().create()', grant, grantOptions, 'ERR_TOKEN_OPTIONS')
    if (grant.lifetime !== undefined)
      seconds(grant.lifetime, { code: 'ERR_TOKEN_OPTIONS', name: 'lifetime', most: TEN_YEARS })
    const key = mintKey(prefix)
    const createdAt = this.#clock()
    const record: ApiKeyRecord = {
      hash: sha256Hex(key),
      id: randomHandle(),
      subject: subjectText('apiKeys().create()', grant.subject),
      label: grant.label,
      hint: key.slice(0, prefix.length + 1 + HINT_LENGTH),
      scopes: grant.scopes ?? [],
      createdAt,
      expiresAt: grant.lifetime === undefined ? undefined : createdAt + Math.round(grant.lifetime * 1000),
      usedAt: undefined,
    }
    await store.insert(record)
    return { key, record }
  }

  async revoke(subject: string, id: string): Promise<boolean> {
    return this.#options.store.remove(subject, id)
  }

  async list(subject: string): Promise<readonly ApiKeyRecord[]> {
    return this.#options.store.list(subject)
  }

  authenticate(exchange: Exchange): Awaitable<Outcome<User>> {
    const given = bearerToken(exchange)
    if (given === 'missing') return missing(this.#realm)
    if (given === 'malformed') return malformedRequest(this.#realm)
    if (!isKey(this.#options.prefix, given.token)) return this.#unknown()
    const { store } = this.#options
    const found = guarded(() => store.find(sha256Hex(given.token)), 'store of API keys')
    return andThen(found, (record) => {
      if (record === undefined || record === null) return this.#unknown()
      checkRecord(record)
      const now = this.#clock()
      if (record.expiresAt != null && record.expiresAt <= now) return this.#expired()
      return andThen(settled(this.#options.account(record, exchange)), (user) => this.#conclude(record, user, now))
    })
  }

  #conclude(record: ApiKeyRecord, returned: Found<User>, now: Timestamp): Awaitable<Outcome<User>> {
    const user = userFrom('`account` of apiKeys()', returned)
    if (user === undefined) return this.#unknown()
    if (isFailure(user)) return refusedByApplication(this.#realm, user)
    const success: Success<User> = {
      type: 'success',
      user,
      scope: record.scopes,
      persist: false,
      info: record,
    }
    return andThen(this.#touch(record, now), () => success)
  }

  #touch(record: ApiKeyRecord, now: Timestamp): Awaitable<unknown> {
    if (now - (record.usedAt ?? 0) < TOUCH_INTERVAL) return undefined
    const failed = (error: unknown): void => this.#options.onEvent?.({ type: 'touch_failed', id: record.id, error })
    try {
      const written = settled(this.#options.store.touch(record.hash, now))
      return written instanceof Promise ? written.catch(failed) : written
    } catch (error) {
      return failed(error)
    }
  }

  #unknown(): Failure {
    return refusedToken(this.#realm, 'invalid', 'The API key does not exist.')
  }

  #expired(): Failure {
    return refusedToken(this.#realm, 'expired', 'The API key has expired.')
  }
}

/**
 * Checks a row from the store, which may have wrong types. With a date as text a key would never expire, and with scopes as
 * text every part of a word would be a scope.
 */
function checkRecord(record: ApiKeyRecord): void {
  const { subject, scopes, expiresAt } = record
  const wrong = Object.entries({
    subject: isKeyText(subject),
    scopes: Array.isArray(scopes),
    expiresAt: expiresAt === undefined || expiresAt === null || Number.isFinite(expiresAt),
  }).find(([, fits]) => !fits)
  if (wrong === undefined) return
  throw new UsageError('ERR_TOKEN_OPTIONS', `The store of API keys returned a record with a wrong \`${wrong[0]}\``, {
    hint: '`find` must return an ApiKeyRecord: `subject` is a string, `scopes` a list, `expiresAt` milliseconds or undefined.',
  })
}
