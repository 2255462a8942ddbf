import { crc32 } from 'node:zlib'
import { type Awaitable, andThen, orElse, settled } from '../awaitable.ts'
import { randomHandle, randomToken, sha256Hex } from '../crypto/random.ts'
import { checkOptions, isKeyText, type OptionKinds, subjectText, UsageError } from '../error.ts'
import type { Exchange } from '../http/exchange.ts'
import { seconds, TEN_YEARS } from '../number-options.ts'
import type { Found, Outcome, Success, UserObject } from '../passport/outcome.ts'
import type { Strategy } from '../passport/strategy.ts'
import { report } from '../report.ts'
import { guarded } from '../session/guarded-store.ts'
import type { Timestamp } from '../session/store.ts'
import { concluded, refusedToken, withToken } from './bearer/token.ts'

/** How long to wait before another write of `usedAt`, in milliseconds. */
const TOUCH_INTERVAL = 60 * 1000
/** How many characters of a key a list shows after the prefix: 24 of 256 random bits. */
const HINT_LENGTH = 4

/** An API key as it is stored and listed, without the key itself. */
export interface ApiKeyRecord {
  /** SHA-256 of the key, 64 hex digits. It cannot be used as a key. */
  readonly hash: string
  /** Public name, 22 random characters, for lists and to revoke the key. */
  readonly id: string
  readonly subject: string
  /** The user's name for the key. */
  readonly label: string
  /** The beginning of the key, so that the user recognises it. */
  readonly hint: string
  readonly scopes: readonly string[]
  readonly createdAt: Timestamp
  readonly expiresAt: Timestamp | undefined
  /** When the key was last used, to within a minute. */
  readonly usedAt: Timestamp | undefined
}

/** Where API keys are stored: a table of the application with the hash as its primary key. */
export interface ApiKeyStore {
  insert(record: ApiKeyRecord): Awaitable<unknown>
  find(hash: string): Awaitable<ApiKeyRecord | undefined | null>
  /** Writes `usedAt`, about once a minute for a key in use. */
  touch(hash: string, usedAt: Timestamp): Awaitable<unknown>
  /** @returns whether the subject had a key with this id */
  remove(subject: string, id: string): Awaitable<boolean>
  list(subject: string): Awaitable<readonly ApiKeyRecord[]>
}

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
  const { prefix, store, realm = 'api', clock = Date.now } = options
  if (!/^[a-z][a-z0-9_]{1,31}$/.test(prefix)) {
    throw new UsageError('ERR_TOKEN_OPTIONS', '`prefix` of API keys is not a word of 2 to 32 letters and digits', {
      hint: "Lower case, for example `prefix: 'shop'` or `prefix: 'shop_test'`.",
    })
  }
  const unknown = 'The API key does not exist.'
  const touch = ({ hash, id, usedAt }: ApiKeyRecord, now: Timestamp): Awaitable<unknown> => {
    if (now - (usedAt ?? 0) < TOUCH_INTERVAL) return undefined
    return orElse(
      () => settled(store.touch(hash, now)),
      (error) => report('apiKeys()', () => options.onEvent?.({ type: 'touch_failed', id, error })),
    )
  }
  return {
    name: 'api-key',
    async create(grant) {
      checkOptions('apiKeys().create()', grant, grantOptions, 'ERR_TOKEN_OPTIONS')
      const rule = { code: 'ERR_TOKEN_OPTIONS', name: 'lifetime', most: TEN_YEARS } as const
      const lifetime = grant.lifetime === undefined ? undefined : seconds(grant.lifetime, rule)
      const key = mintKey(prefix)
      const createdAt = clock()
      const record: ApiKeyRecord = {
        hash: sha256Hex(key),
        id: randomHandle(),
        subject: subjectText('apiKeys().create()', grant.subject),
        label: grant.label,
        hint: key.slice(0, prefix.length + 1 + HINT_LENGTH),
        scopes: grant.scopes ?? [],
        createdAt,
        expiresAt: lifetime === undefined ? undefined : createdAt + lifetime * 1000,
        usedAt: undefined,
      }
      await store.insert(record)
      return { key, record }
    },
    revoke: async (subject, id) => store.remove(subject, id),
    list: async (subject) => store.list(subject),
    authenticate: (exchange) =>
      withToken(exchange, realm, (key) => {
        if (!isKey(prefix, key)) return refusedToken(realm, 'invalid', unknown)
        const found = guarded(() => store.find(sha256Hex(key)), 'store of API keys')
        return andThen(found, (record): Awaitable<Outcome<User>> => {
          if (record === undefined || record === null) return refusedToken(realm, 'invalid', unknown)
          checkRecord(record)
          const now = clock()
          if (record.expiresAt != null && record.expiresAt <= now)
            return refusedToken(realm, 'expired', 'The API key has expired.')
          return concluded<User>(realm, {
            callback: '`account` of apiKeys()',
            returned: options.account(record, exchange),
            unknown,
            success: (user) => {
              const { scopes: scope } = record
              const success: Success<User> = { type: 'success', user, scope, persist: false, info: record }
              return andThen(touch(record, now), () => success)
            },
          })
        })
      }),
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

/** Makes a key. Its prefix and checksum let a scanner find it in a repository or a log, and know its application. */
function mintKey(prefix: string): string {
  const body = `${prefix}_${randomToken()}`
  return body + checksum(body)
}

/** Whether a text has the form of a key with this prefix. Needs no store call. */
function isKey(prefix: string, text: string): boolean {
  const body = text.slice(0, -checksumLength)
  return text.startsWith(`${prefix}_`) && shape.test(text.slice(prefix.length + 1)) && body + checksum(body) === text
}

const checksumLength = 8
const shape = /^[\w-]{43}[0-9a-f]{8}$/

/** Detects typing errors and similar texts. It protects nothing, because an attacker can compute it. */
function checksum(text: string): string {
  return crc32(text).toString(16).padStart(checksumLength, '0')
}

/** Keeps API keys in the memory of this process, for tests and development. */
export function memoryApiKeyStore(): ApiKeyStore {
  const records = new Map<string, ApiKeyRecord>()
  const of = (subject: string) => [...records.values()].filter((record) => record.subject === subject)
  return {
    insert: (record) => records.set(record.hash, record),
    find: (hash) => records.get(hash),
    touch(hash, usedAt) {
      const record = records.get(hash)
      if (record !== undefined) records.set(hash, { ...record, usedAt })
    },
    remove(subject, id) {
      const record = of(subject).find((candidate) => candidate.id === id)
      return record !== undefined && records.delete(record.hash)
    },
    list: of,
  }
}
