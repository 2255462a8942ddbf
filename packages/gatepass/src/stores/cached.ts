import { type Awaitable, settled } from '../awaitable.ts'
import { checkOptions, type OptionKinds, UsageError } from '../error.ts'
import { seconds } from '../number-options.ts'
import {
  type ChangeFeed,
  type ChangeListener,
  hasSubjectIndex,
  type SessionId,
  type SessionRecord,
  type SessionStore,
  type SubjectIndex,
  type Timestamp,
  type WriteResult,
} from '../session/store.ts'
import { RecentRecords } from './cached/recent-records.ts'
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
  const cached = new ListeningStore(store, options)
  return hasSubjectIndex(store) ? cached.withIndex(store) : cached
}

const cachedOptions: OptionKinds<CachedStoreOptions> = { maxSessions: 'any', maxAge: 'any', clock: 'function' }

/**
 * Keeps records as the store last returned them, until a change is announced.
 *
 * A loaded record is kept only if no change of its id was announced during the load, because the answer may be older than the
 * change. Only loads in `#loads` are kept or shared. Every event for an id removes its load from there.
 */
class ListeningStore implements CachedStore {
  readonly #store: SessionStore & ChangeFeed
  readonly #clock: () => Timestamp
  readonly #records: RecentRecords
  readonly #loads = new Map<SessionId, Promise<SessionRecord | undefined>>()
  #unsubscribe: (() => Awaitable<void>) | undefined
  #retry: NodeJS.Timeout | undefined
  #closed = false
  #subscribing: Promise<void>
  listening = false

  constructor(store: SessionStore & ChangeFeed, options: CachedStoreOptions) {
    checkOptions('cachedStore()', options, cachedOptions, 'ERR_STORE_OPTIONS')
    const { maxSessions = 50_000, maxAge = 60, clock } = options
    if (typeof store?.subscribe !== 'function') {
      throw new UsageError(
        'ERR_STORE_OPTIONS',
        'The store does not announce changes, so its sessions cannot be cached',
        {
          hint: 'Use a store that implements ChangeFeed: the Redis or PostgreSQL store. Stores inside the process need no cache.',
        },
      )
    }
    this.#store = store
    this.#clock = storeClock(clock)
    const longest = seconds(maxAge, { code: 'ERR_STORE_OPTIONS', name: 'maxAge', most: DAY }) * 1000
    this.#records = new RecentRecords(sessionCount(maxSessions, MOST_KEPT), longest)
    this.#subscribing = this.#subscribe()
  }

  get size(): number {
    return this.#records.size
  }

  load(id: SessionId): Awaitable<SessionRecord | undefined> {
    const record = this.#records.find(id, this.#clock())
    if (record !== undefined) return record
    if (!this.listening) return settled(this.#store.load(id))
    return this.#loads.get(id) ?? this.#beginLoad(id)
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

  withIndex(index: SubjectIndex): CachedStore & SubjectIndex {
    const methods: SubjectIndex = {
      listBySubject: (subject) => index.listBySubject(subject),
      removeBySubject: (subject, except) =>
        afterwards(
          () => index.removeBySubject(subject, except),
          () => this.#forgetSubject(subject),
        ),
      insertWithin: (record, limit) =>
        afterwards(
          () => index.insertWithin(record, limit),
          () => {
            this.#forget(record.id)
            if (record.subject !== null) this.#forgetSubject(record.subject)
          },
        ),
    }
    return Object.assign(this, methods)
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retry)
    await this.#subscribing
    await this.#unsubscribe?.()
    this.#unsubscribe = undefined
    this.#turn(false)
    if ('close' in this.#store && typeof this.#store.close === 'function') await this.#store.close()
  }

  #writing<T>(id: SessionId, write: () => Awaitable<T>): Awaitable<T> {
    return afterwards(write, () => this.#forget(id))
  }

  async #beginLoad(id: SessionId): Promise<SessionRecord | undefined> {
    const began = this.#clock()
    const { promise, resolve, reject } = Promise.withResolvers<SessionRecord | undefined>()
    this.#loads.set(id, promise)
    try {
      const record = await this.#store.load(id)
      // Insertions are not announced, so an absent record cannot be kept.
      if (this.#loads.get(id) === promise && record !== undefined) this.#records.keep(record, began)
      resolve(record)
    } catch (error) {
      // If the store throws at once, other loads of this turn still share the failure.
      await undefined
      reject(error)
    }
    if (this.#loads.get(id) === promise) this.#loads.delete(id)
    return promise
  }

  /** Drops a record, so that later loads get a newer answer. */
  #forget(id: SessionId): void {
    this.#records.forget(id)
    this.#loads.delete(id)
  }

  #forgetSubject(subject: string): void {
    this.#records.forgetSubject(subject)
    // The subject of a running load is unknown before its answer.
    this.#loads.clear()
  }

  /** Changes that were announced before are unknown, so nothing is kept. */
  #turn(listening: boolean): void {
    this.listening = listening
    this.#records.clear()
    this.#loads.clear()
  }

  /** Subscribes, and repeats it until it succeeds. After that the feed reconnects itself. */
  #subscribe(): Promise<void> {
    const listener: ChangeListener = {
      changed: (id) => this.#forget(id),
      up: () => this.#turn(true),
      down: () => this.#turn(false),
    }
    try {
      return Promise.resolve(this.#store.subscribe(listener)).then(
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
    this.#turn(false)
    if (error instanceof UsageError) {
      // It is too late to throw. Everything works, but nothing is kept in memory.
      const message = `cachedStore keeps nothing: ${error.message}. ${error.hint ?? ''}`
      process.emitWarning(message, { code: 'GATEPASS_NEAR_CACHE' })
    } else if (!this.#closed) {
      const again = () => {
        this.#subscribing = this.#subscribe()
      }
      this.#retry = setTimeout(again, RETRY_INTERVAL).unref()
    }
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
