import type { Awaitable } from '../awaitable.ts'

declare const sessionId: unique symbol
/** SHA-256 of the token in the cookie, 64 hex digits. It names a session but does not open it, so it is safe to log. */
export type SessionId = string & { readonly [sessionId]: true }

/** Milliseconds since the Unix epoch. */
export type Timestamp = number

/** One session as a store keeps it. */
export interface SessionRecord {
  readonly id: SessionId
  /**
   * The session's public name: up to 64 letters, digits, `-` and `_`. It stays the same when the session moves to another
   * id, and during such a move two records have it.
   */
  readonly handle: string
  /** 1 when inserted; every replace adds 1. */
  readonly version: number
  /** The user that the session belongs to; null before login. "Log out everywhere" finds sessions by it. */
  readonly subject: string | null
  /** The application's data as JSON text. A store never parses it. */
  readonly data: string
  /** The engine's own notes as JSON text (how the login was proved, device). A store never parses them. */
  readonly about: string
  /** When the session began: at the first stored value, and again at each login. The absolute timeout starts here. */
  readonly createdAt: Timestamp
  /** When the last request used the session, to within the touch interval. */
  readonly seenAt: Timestamp
  readonly expiresAt: Timestamp
}

/** `gone`: the record was removed or expired after it was loaded. `conflict`: another request has replaced it. */
export type WriteResult = 'done' | 'conflict' | 'gone'

/**
 * Where session records live. Four rules make lost updates and resurrected sessions impossible:
 *
 * 1. Only `insert` creates a record.
 * 2. `replace`, and `remove` with a version, are atomic and act only on the version they name.
 * 3. `touch` moves the expiry of a live record later; it creates nothing and changes nothing but `seenAt` and `expiresAt`.
 * 4. Every method treats an expired record as absent.
 *
 * A method that fails throws a {@link StoreError} (`ERR_STORE_UNAVAILABLE`). Then the caller must not assume that anything
 * was written.
 */
export interface SessionStore {
  /** True if every method returns a value and never a promise. Sessions can then be loaded on first use. */
  readonly synchronous?: boolean
  load(id: SessionId): Awaitable<SessionRecord | undefined>
  /** @throws {StoreError} `ERR_STORE_DUPLICATE` if a live record has this id, `ERR_STORE_FULL` if there is no room */
  insert(record: SessionRecord): Awaitable<void>
  /** Replaces all but `id`, `handle` and `createdAt`, which never change. `record.version` is `expectedVersion + 1`. */
  replace(record: SessionRecord, expectedVersion: number): Awaitable<WriteResult>
  /** Never moves `expiresAt` or `seenAt` back, and keeps the version. */
  touch(id: SessionId, seenAt: Timestamp, expiresAt: Timestamp): Awaitable<WriteResult>
  /** Without a version it removes any record, and returns `done` even if there was none. */
  remove(id: SessionId, expectedVersion?: number): Awaitable<WriteResult>
}

/** Optional methods of a store: for device lists, for "log out everywhere" and for a limit of sessions per subject. */
export interface SubjectIndex {
  /** Returns live records only, the most recently begun first. */
  listBySubject(subject: string): Awaitable<SessionRecord[]>
  /** @returns how many live records were removed */
  removeBySubject(subject: string, except?: SessionId): Awaitable<number>
  /**
   * Inserts a record, then removes the oldest live sessions of the same subject until `limit` remain. `limit` is at least 1
   * and includes the new session, which always stays. Records with the same handle count as one session, as old as the
   * youngest of them: a session that is moving to another id counts once. A record without a subject is only inserted.
   *
   * A store does this in one atomic step if its database can. Otherwise the limit holds once every login has been answered,
   * two logins at the same time never end each other, and the next login finishes what a crash left undone.
   *
   * @returns how many records were removed
   */
  insertWithin(record: SessionRecord, limit: number): Awaitable<number>
}

/** Receives the ids of records that have changed. */
export interface ChangeListener {
  /** This process or another has replaced, touched or removed the record. It may be called without a change, too. */
  changed(id: SessionId): void
  /** From now on every change is reported. */
  up(): void
  /** From now on changes may be missed or reported late. */
  down(): void
}

/** Optional method of a store: reports the changes of other processes, for a cache in front of the store. */
export interface ChangeFeed {
  /**
   * Reports every record that any process replaces, touches or removes, once the change can be loaded. Insertions are not
   * reported. It calls `up` as soon as it listens, and reconnects after a `down`.
   *
   * @returns a function that ends the subscription
   */
  subscribe(listener: ChangeListener): Awaitable<() => Awaitable<void>>
}

/** Whether a store can find sessions by subject. */
export function hasSubjectIndex(store: SessionStore): store is SessionStore & SubjectIndex {
  return 'listBySubject' in store && 'removeBySubject' in store && 'insertWithin' in store
}
