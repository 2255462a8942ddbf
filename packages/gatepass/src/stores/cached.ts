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

/** As many as a Map can hold, and some room. */
const MOST_KEPT = 16_000_000
/** Seconds. */
const DAY = 86_400
/** Between two attempts to listen, in ms. */
const RETRY_INTERVAL = 1000

export interface CachedStoreOptions {
  /** How many sessions are kept; default 50,000, at most 16,000,000. One with more than a kilobyte of text counts as several. */
  maxSessions?: number
  /**
   * Seconds after which a session is loaded again although nothing was announced; default 60, at most a day. It bounds what a connection
   * can do that is dead and has not noticed.
   */
  maxAge?: number
  /** Default `Date.now`. */
  clock?: () => Timestamp
}

/** Sessions of another store, those used of late kept in this process as well. */
export interface CachedStore extends SessionStore {
  /** Sessions kept in memory. */
  readonly size: number
  /** Whether changes are announced at the moment. While they are not, every session is loaded from the store. */
  readonly listening: boolean
  /** Stops listening, and closes the store behind it if that can be closed. */
  close(): Promise<void>
}

/**
 * Keeps the sessions used of late in this process, in front of a store that announces what other processes change.
 *
 * A session that is found here is answered at once and costs the store nothing. Writes go to the store and nowhere else:
 * what they touch is dropped here, and loaded again when somebody asks for it. A session that another process ends is
 * refused here as soon as the store has announced it. As long as it cannot announce, nothing is kept.
 *
 * @throws {UsageError} `ERR_STORE_OPTIONS`, also where the store is not set up to announce
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

  /** A feed connects again by itself once it has begun; until then it is asked again. */
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
 * Does `after` before anybody hears of the answer, whatever it is. A conflict says that what is kept is old, and a call
 * that failed may have been carried out.
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

/** Found out too late to throw: everything works, and nothing is kept. */
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
    throw new UsageError('ERR_STORE_OPTIONS', 'The store does not announce changes, so nothing of it can be kept', {
      hint: 'Use one that implements ChangeFeed: the Redis and PostgreSQL stores do. Stores inside the process need no cache.',
    })
  }
  return {
    maxSessions: sessionCount(maxSessions, MOST_KEPT),
    maxAge: seconds(maxAge, { code: 'ERR_STORE_OPTIONS', name: 'maxAge', most: DAY }) * 1000,
    clock: storeClock(clock),
  }
}
