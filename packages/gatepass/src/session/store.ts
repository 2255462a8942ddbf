import type { Awaitable } from '../awaitable.ts'

declare const sessionId: unique symbol
/** SHA-256 of the token in the cookie, 64 hex digits: names a session without granting access to it; safe to log. */
export type SessionId = string & { readonly [sessionId]: true }

/** Milliseconds since the Unix epoch. */
export type Timestamp = number

/** One session as a store keeps it. */
export interface SessionRecord {
  readonly id: SessionId
  /**
   * The session's public name, the same under every id it has: up to 64 letters, digits, `-` and `_`. While a session moves
   * to another id, two records have it.
   */
  readonly handle: string
  /** 1 when inserted, then +1 with every replace. */
  readonly version: number
  /** Whose session this is; null before login. The index behind "log out everywhere". */
  readonly subject: string | null
  /** The application's data as JSON text; a store never looks inside. */
  readonly data: string
  /** The engine's own notes as JSON text (how the login was proved, device); a store never looks inside. */
  readonly about: string
  /** When it began: at the first stored value, and again at each login. The absolute timeout counts from here. */
  readonly createdAt: Timestamp
  /** When it was last seen, to within the touch interval. */
  readonly seenAt: Timestamp
  readonly expiresAt: Timestamp
}

/** `gone`: removed or expired since it was loaded. `conflict`: replaced by somebody else since. */
export type WriteResult = 'done' | 'conflict' | 'gone'

/**
 * Where session records live. Four rules make lost updates and resurrected sessions impossible:
 *
 * 1. Only `insert` creates a record.
 * 2. `replace` and a versioned `remove` act atomically, and only on the version they name.
 * 3. `touch` moves the expiry of a live record later; it creates nothing and changes nothing but `seenAt` and `expiresAt`.
 * 4. To every method an expired record is an absent one.
 *
 * Whatever goes wrong is thrown as a {@link StoreError} (`ERR_STORE_UNAVAILABLE`), and then nothing was acknowledged.
 */
export interface SessionStore {
  /** True when every method answers with a value rather than a promise: sessions can then be loaded on first use. */
  readonly synchronous?: boolean
  load(id: SessionId): Awaitable<SessionRecord | undefined>
  /** @throws {StoreError} `ERR_STORE_DUPLICATE` if a live record has this id, `ERR_STORE_FULL` if there is no room */
  insert(record: SessionRecord): Awaitable<void>
  /** `id`, `handle` and `createdAt` of a record never change; all else is replaced, and `record.version` is `expectedVersion + 1`. */
  replace(record: SessionRecord, expectedVersion: number): Awaitable<WriteResult>
  /** Never moves an expiry or `seenAt` back; does not count as a new version. */
  touch(id: SessionId, seenAt: Timestamp, expiresAt: Timestamp): Awaitable<WriteResult>
  /** Without a version: unconditional, and `done` even if nothing was there. */
  remove(id: SessionId, expectedVersion?: number): Awaitable<WriteResult>
}

/** What a store may offer besides: answers for a device list, for "log out everywhere", and a limit of sessions. */
export interface SubjectIndex {
  /** Live records only, the most recently begun first. */
  listBySubject(subject: string): Awaitable<SessionRecord[]>
  /** @returns how many live records were removed */
  removeBySubject(subject: string, except?: SessionId): Awaitable<number>
  /**
   * Inserts, and removes the oldest live sessions of the same subject beyond `limit` (at least 1, the new one included, which
   * always stays). Records with the same handle are one session, as old as the youngest of them: a session that is just
   * being moved to another id takes no room twice. A record without a subject is inserted and nothing else.
   *
   * Where the engine can, that is one atomic step. Where it cannot, the limit holds once every login has been answered, two
   * at once never end each other, and what a crash leaves undone the next login does.
   *
   * @returns how many records were removed
   */
  insertWithin(record: SessionRecord, limit: number): Awaitable<number>
}

/** Is told which records are no longer what they were. */
export interface ChangeListener {
  /** This record was replaced, touched or removed, by this process or another. May come more often than that. */
  changed(id: SessionId): void
  /** From now on nothing is missed. */
  up(): void
  /** From now on something may be missed, or come late. */
  down(): void
}

/** What a store may offer besides: word of what other processes did, for a cache in front of it. */
export interface ChangeFeed {
  /**
   * Tells of every record that any process replaces, touches or removes, once the change can be loaded; insertions are not
   * told. It begins with `up`, as soon as it listens, and connects again by itself after a `down`.
   *
   * @returns ends it
   */
  subscribe(listener: ChangeListener): Awaitable<() => Awaitable<void>>
}

/** Whether a store can answer by subject. */
export function hasSubjectIndex(store: SessionStore): store is SessionStore & SubjectIndex {
  return 'listBySubject' in store && 'removeBySubject' in store && 'insertWithin' in store
}
