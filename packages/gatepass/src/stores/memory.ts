import { checkOptions, type OptionKinds, StoreError } from '../error.ts'
import type { SessionId, SessionRecord, SessionStore, SubjectIndex, Timestamp, WriteResult } from '../session/store.ts'
import { BUCKET_WIDTH, ExpiryBuckets } from './memory/expiry-buckets.ts'
import { IdTable } from './memory/id-table.ts'
import { placeOf, Rows } from './memory/rows.ts'
import { SubjectTable } from './memory/subject-table.ts'
import { sessionCount, sessionLimit, storeClock } from './options.ts'

const ABSENT = -1
/** Rows that one slice of sweeping looks at: well under a millisecond. */
const SWEEP_SLICE = 500
/** Rows put in order for one eviction. */
const EVICTION_LOOKS = 64

export interface MemoryStoreOptions {
  /** Default `Date.now`. */
  clock?: () => Timestamp
  /**
   * How many sessions are kept; default 1,000,000. When there are as many, a new one takes the place of the anonymous
   * session that expires about first; when only logins are left, `insert` throws `ERR_STORE_FULL`.
   */
  maxSessions?: number
}

/**
 * Keeps sessions in this process: for one process whose logins may end with it, for tests and for development.
 *
 * @throws {UsageError} `ERR_STORE_OPTIONS`
 */
export function memoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  return new MemoryStore(options)
}

const memoryOptions: OptionKinds<MemoryStoreOptions> = { clock: 'function', maxSessions: 'number' }

/** Sessions in the memory of this process, bounded in number; every method answers at once. */
export class MemoryStore implements SessionStore, SubjectIndex {
  readonly synchronous = true
  readonly #clock: () => Timestamp
  readonly #maxSessions: number
  readonly #rows = new Rows()
  readonly #ids = new IdTable(this.#rows)
  readonly #subjects = new SubjectTable()
  readonly #anonymous = new ExpiryBuckets(this.#rows)
  readonly #owned = new ExpiryBuckets(this.#rows)
  #size = 0
  #sweeper: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: MemoryStoreOptions = {}) {
    checkOptions('memoryStore()', options, memoryOptions, 'ERR_STORE_OPTIONS')
    this.#clock = storeClock(options.clock)
    this.#maxSessions = sessionCount(options.maxSessions ?? 1_000_000)
  }

  /** Sessions in memory, with those that have expired and are not swept yet. */
  get size(): number {
    return this.#size
  }

  load(id: SessionId): SessionRecord | undefined {
    const row = this.#live(id)
    return row === ABSENT ? undefined : this.#record(row, id)
  }

  insert(record: SessionRecord): void {
    this.#refuseDuplicate(record.id)
    this.#makeRoom()
    this.#add(record)
  }

  replace(record: SessionRecord, expectedVersion: number): WriteResult {
    const row = this.#live(record.id)
    if (row === ABSENT) return 'gone'
    if (this.#version(row) !== expectedVersion) return 'conflict'
    this.#leaveIndexes(row)
    this.#write(row, record, expectedVersion + 1)
    this.#enterIndexes(row)
    return 'done'
  }

  touch(id: SessionId, seenAt: Timestamp, expiresAt: Timestamp): WriteResult {
    const row = this.#live(id)
    if (row === ABSENT) return 'gone'
    const page = this.#rows.page(row)
    const at = placeOf(row)
    page.seenAt[at] = Math.max(page.seenAt[at] as number, seenAt)
    page.expiresAt[at] = Math.max(page.expiresAt[at] as number, expiresAt)
    return 'done'
  }

  remove(id: SessionId, expectedVersion?: number): WriteResult {
    const row = this.#live(id)
    if (row === ABSENT) return expectedVersion === undefined ? 'done' : 'gone'
    if (expectedVersion !== undefined && this.#version(row) !== expectedVersion) return 'conflict'
    this.#drop(row)
    return 'done'
  }

  listBySubject(subject: string): SessionRecord[] {
    const records = this.#liveRowsOf(subject).map((row) => this.#record(row, this.#ids.idOf(row)))
    return records.sort((a, b) => b.createdAt - a.createdAt)
  }

  removeBySubject(subject: string, except?: SessionId): number {
    const kept = except === undefined ? ABSENT : this.#ids.find(except)
    const rows = this.#liveRowsOf(subject).filter((row) => row !== kept)
    for (const row of rows) this.#drop(row)
    return rows.length
  }

  insertWithin(record: SessionRecord, limit: number): number {
    this.#refuseDuplicate(record.id)
    const surplus = record.subject === null ? [] : this.#oldestBeside(record, record.subject, sessionLimit(limit) - 1)
    // Where something is removed there is room; where nothing is, a full store throws before anything has changed.
    if (surplus.length === 0) this.#makeRoom()
    for (const row of surplus) this.#drop(row)
    this.#add(record)
    return surplus.length
  }

  /**
   * Frees the memory of some expired sessions. It runs by itself as long as there are sessions and the store is not
   * closed; what it has not reached yet is absent all the same.
   *
   * @returns whether there are more
   */
  sweep(): boolean {
    const now = this.#clock()
    for (let looked = 0; looked < SWEEP_SLICE; looked++) {
      const buckets = this.#anonymous.due(now) === ABSENT ? this.#owned : this.#anonymous
      const row = buckets.due(now)
      if (row === ABSENT) return false
      if (this.#expired(row, now)) this.#drop(row)
      else buckets.move(row)
    }
    return true
  }

  /** Stops sweeping. What is stored can still be read and written. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#sweeper)
    this.#sweeper = undefined
  }

  /** The row of a live session; an expired one that is met is dropped on the way. */
  #live(id: SessionId): number {
    const row = this.#ids.find(id)
    if (row === ABSENT || !this.#expired(row, this.#clock())) return row
    this.#drop(row)
    return ABSENT
  }

  // Not `<=`: an expiry that is no number is one that is over.
  #expired(row: number, now: Timestamp): boolean {
    return !(this.#rows.expiresAt(row) > now)
  }

  #version(row: number): number {
    return this.#rows.page(row).version[placeOf(row)] as number
  }

  #record(row: number, id: SessionId): SessionRecord {
    const page = this.#rows.page(row)
    const at = placeOf(row)
    return {
      id,
      handle: page.handle[at] as string,
      version: page.version[at] as number,
      subject: page.subject[at] ?? null,
      data: page.data[at] as string,
      about: page.about[at] as string,
      createdAt: page.createdAt[at] as number,
      seenAt: page.seenAt[at] as number,
      expiresAt: page.expiresAt[at] as number,
    }
  }

  #liveRowsOf(subject: string): number[] {
    const now = this.#clock()
    return [...this.#subjects.rowsOf(subject)].filter((row) => !this.#expired(row, now))
  }

  /** The rows of the subject's other sessions but the `kept` youngest. */
  #oldestBeside({ handle }: SessionRecord, subject: string, kept: number): number[] {
    const created = (row: number) => this.#rows.page(row).createdAt[placeOf(row)] as number
    const name = (row: number) => this.#rows.page(row).handle[placeOf(row)] as string
    const others = this.#liveRowsOf(subject).filter((row) => name(row) !== handle)
    const sessions = new Set(others.sort((a, b) => created(b) - created(a)).map(name))
    const surplus = new Set([...sessions].slice(kept))
    return others.filter((row) => surplus.has(name(row)))
  }

  #refuseDuplicate(id: SessionId): void {
    if (this.#live(id) !== ABSENT)
      throw new StoreError('ERR_STORE_DUPLICATE', 'a session with this id is stored already')
  }

  #add(record: SessionRecord): void {
    const row = this.#rows.allocate()
    this.#ids.add(record.id, row)
    const page = this.#rows.page(row)
    page.handle[placeOf(row)] = record.handle
    page.createdAt[placeOf(row)] = record.createdAt
    this.#write(row, record, record.version)
    this.#enterIndexes(row)
    this.#size++
    this.#sweeper ??= this.#closed ? undefined : this.#sweepIn(BUCKET_WIDTH)
  }

  /** Everything but `id`, `handle` and `createdAt`. */
  #write(row: number, record: SessionRecord, version: number): void {
    const page = this.#rows.page(row)
    const at = placeOf(row)
    page.version[at] = version
    page.subject[at] = record.subject
    page.data[at] = record.data
    page.about[at] = record.about
    page.seenAt[at] = record.seenAt
    page.expiresAt[at] = record.expiresAt
  }

  #enterIndexes(row: number): void {
    const subject = this.#rows.subject(row)
    if (subject !== null) this.#subjects.add(subject, row)
    this.#bucketsOf(subject).add(row)
  }

  #leaveIndexes(row: number): void {
    const subject = this.#rows.subject(row)
    if (subject !== null) this.#subjects.delete(subject, row)
    this.#bucketsOf(subject).delete(row)
  }

  #bucketsOf(subject: string | null): ExpiryBuckets {
    return subject === null ? this.#anonymous : this.#owned
  }

  #drop(row: number): void {
    this.#leaveIndexes(row)
    this.#ids.delete(row)
    this.#rows.release(row)
    this.#size--
  }

  #makeRoom(): void {
    if (this.#size < this.#maxSessions) return
    this.sweep()
    if (this.#size < this.#maxSessions) return
    this.#drop(this.#dispensable())
  }

  /** An anonymous session that is about the first to expire. Nobody's login makes room for a stranger. */
  #dispensable(): number {
    const anonymous = this.#anonymous.earliest(EVICTION_LOOKS)
    if (anonymous !== ABSENT) return anonymous
    const expired = this.#owned.expiredNow(this.#clock(), SWEEP_SLICE)
    if (expired !== ABSENT) return expired
    throw this.#full()
  }

  #full(): StoreError {
    return new StoreError('ERR_STORE_FULL', `${this.#maxSessions} sessions are stored, all of them logins`, {
      hint: 'Raise `maxSessions` as far as the memory goes, lower the timeouts, or take a store outside the process.',
    })
  }

  #sweepIn(milliseconds: number): NodeJS.Timeout {
    return setTimeout(() => this.#sweepOn(), milliseconds).unref()
  }

  /** One slice per turn of the event loop, so that requests get their turn in between. */
  #sweepOn(): void {
    const more = this.sweep()
    this.#sweeper = this.#size === 0 ? undefined : this.#sweepIn(more ? 0 : BUCKET_WIDTH)
  }
}
