import { type Awaitable, settled } from '../awaitable.ts'
import { checkOptions, type OptionKinds, UsageError } from '../error.ts'
import { seconds } from '../number-options.ts'
import {
  type ChangeFeed,
  hasSubjectIndex,
  type SessionId,
  type SessionRecord,
  type SessionStore,
  type SubjectIndex,
  type Timestamp,
  type WriteResult,
} from '../session/store.ts'
import { NearCache } from './cached/near-cache.ts'
import { sessionCount, storeClock } from './options.ts'

/** Somewhat fewer than a Map can hold. */
const MOST_KEPT = 16_000_000
/** Seconds. */
const DAY = 86_400
/** Time between two attempts to listen, in milliseconds. */
const RETRY_INTERVAL = 1000

export interface CachedStoreOptions {
  /** How many sessions to keep: default 50,000, at most 16,000,000. A session above a kilobyte of text counts as several. */
  maxSessions?: number
  /**
   * Seconds after which a session is loaded again without an announcement. Default 60, at most a day. This limits the damage of
   * a dead connection that is not detected.
   */
  maxAge?: number
  /** Default `Date.now`. */
  clock?: () => Timestamp
}

/** A store that keeps recently used sessions of another store in this process. */
export interface CachedStore extends SessionStore {
  /** The number of sessions in memory. */
  readonly size: number
  /** Whether the store announces changes at the moment. If not, every session is loaded from the store. */
  readonly listening: boolean
  /** Stops listening, and closes the store behind it if that store can be closed. */
  close(): Promise<void>
}

/**
 * Keeps recently used sessions in this process, in front of a store that announces the changes of other processes.
 *
 * A session in memory is returned at once, without a call to the store. Writes go to the store; the changed session is dropped
 * from memory and loaded at its next use. A session that another process ends is refused as soon as the store announces it.
 * While the store cannot announce changes, nothing is kept.
 *
 * @throws {UsageError} `ERR_STORE_OPTIONS`, also if the store is not configured to announce changes
 */
export function cachedStore(
  store: SessionStore & ChangeFeed & SubjectIndex,
  options?: CachedStoreOptions,
): CachedStore & SubjectIndex
export function cachedStore(store: SessionStore & ChangeFeed, options?: CachedStoreOptions): CachedStore
export function cachedStore(store: SessionStore & ChangeFeed, options: CachedStoreOptions = {}): CachedStore {
  const cache = new NearCache((id) => settled(store.load(id)), limits(store, options))
  const cached = new ListeningStore(store, cache)
  return hasSubjectIndex(store) ? Object.assign(cached, indexThrough(store, cache)) : cached
}

const cachedOptions: OptionKinds<CachedStoreOptions> = { maxSessions: 'any', maxAge: 'any', clock: 'function' }

class ListeningStore implements CachedStore {
  readonly #store: SessionStore & ChangeFeed
  readonly #cache: NearCache
  #unsubscribe: (() => Awaitable<void>) | undefined
  #retry: NodeJS.Timeout | undefined
  #closed = false
  #subscribing: Promise<void>

  constructor(store: SessionStore & ChangeFeed, cache: NearCache) {
    this.#store = store
    this.#cache = cache
    this.#subscribing = this.#subscribe()
  }

  get size(): number {
    return this.#cache.size
  }

  get listening(): boolean {
    return this.#cache.listening
  }

  load(id: SessionId): Awaitable<SessionRecord | undefined> {
    return this.#cache.load(id)
  }

  insert(record: SessionRecord): Awaitable<void> {
    return this.#writing(record.id, () => this.#store.insert(record))
  }

  replace(record: SessionRecord, expectedVersion: number): Awaitable<WriteResult> {
    return this.#writing(record.id, () => this.#store.replace(record, expectedVersion))
  }

  touch(id: SessionId, seenAt: Timestamp, expiresAt: Timestamp): Awaitable<WriteResult> {
    return this.#writing(id, () => this.#store.touch(id, seenAt, expiresAt))
  }

  remove(id: SessionId, expectedVersion?: number): Awaitable<WriteResult> {
    return this.#writing(id, () => this.#store.remove(id, expectedVersion))
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retry)
    await this.#subscribing
    await this.#unsubscribe?.()
    this.#unsubscribe = undefined
    this.#cache.down()
    if (canBeClosed(this.#store)) await this.#store.close()
  }

  #writing<T>(id: SessionId, write: () => Awaitable<T>): Awaitable<T> {
    return afterwards(write, () => this.#cache.forget(id))
  }

  /** Subscribes, and repeats it until it succeeds. After that the feed reconnects itself. */
  #subscribe(): Promise<void> {
    try {
      const subscribing = Promise.resolve(this.#store.subscribe(this.#cache))
      return subscribing.then(
        (unsubscribe) => {
          this.#unsubscribe = unsubscribe
        },
        (error: unknown) => this.#failed(error),
      )
    } catch (error) {
      if (error instanceof UsageError) throw error
      return Promise.resolve(this.#failed(error))
    }
  }

  #failed(error: unknown): void {
    this.#cache.down()
    if (error instanceof UsageError) warn(error)
    else if (!this.#closed) this.#retry = this.#subscribeLater()
  }

  #subscribeLater(): NodeJS.Timeout {
    return setTimeout(() => {
      this.#subscribing = this.#subscribe()
    }, RETRY_INTERVAL).unref()
  }
}

function indexThrough(index: SubjectIndex, cache: NearCache): SubjectIndex {
  return {
    listBySubject: (subject) => index.listBySubject(subject),
    removeBySubject: (subject, except) =>
      afterwards(
        () => index.removeBySubject(subject, except),
        () => cache.forgetSubject(subject),
      ),
    insertWithin: (record, limit) =>
      afterwards(
        () => index.insertWithin(record, limit),
        () => {
          cache.forget(record.id)
          if (record.subject !== null) cache.forgetSubject(record.subject)
        },
      ),
  }
}

/**
 * Runs `after` before the caller gets the answer, also after a conflict or a failure: a conflict means that the kept record is
 * old, and a failed call may have been executed.
 */
function afterwards<T>(call: () => Awaitable<T>, after: () => void): Awaitable<T> {
  try {
    const answer = settled(call())
    if (answer instanceof Promise) return answer.finally(after)
    after()
    return answer
  } catch (error) {
    after()
    throw error
  }
}

/** Warns, because it is too late to throw. Everything works, but nothing is kept in memory. */
function warn(error: UsageError): void {
  process.emitWarning(`cachedStore keeps nothing: ${error.message}. ${error.hint ?? ''}`, {
    code: 'GATEPASS_NEAR_CACHE',
  })
}

function canBeClosed(store: object): store is { close(): Awaitable<void> } {
  return 'close' in store && typeof store.close === 'function'
}

function limits(store: SessionStore & ChangeFeed, options: CachedStoreOptions) {
  checkOptions('cachedStore()', options, cachedOptions, 'ERR_STORE_OPTIONS')
  const { maxSessions = 50_000, maxAge = 60, clock } = options
  if (typeof store?.subscribe !== 'function') {
    throw new UsageError('ERR_STORE_OPTIONS', 'The store does not announce changes, so its sessions cannot be cached', {
      hint: 'Use a store that implements ChangeFeed: the Redis or PostgreSQL store. Stores inside the process need no cache.',
    })
  }
  return {
    maxSessions: sessionCount(maxSessions, MOST_KEPT),
    maxAge: seconds(maxAge, { code: 'ERR_STORE_OPTIONS', name: 'maxAge', most: DAY }) * 1000,
    clock: storeClock(clock),
  }
}
