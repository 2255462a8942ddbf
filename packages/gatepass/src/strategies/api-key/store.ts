import type { Awaitable } from '../../awaitable.ts'
import type { Timestamp } from '../../session/store.ts'

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
  /** Writes `usedAt`. Called at most once a minute for each key. */
  touch(hash: string, usedAt: Timestamp): Awaitable<unknown>
  /** @returns whether the subject had a key with this id */
  remove(subject: string, id: string): Awaitable<boolean>
  list(subject: string): Awaitable<readonly ApiKeyRecord[]>
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
