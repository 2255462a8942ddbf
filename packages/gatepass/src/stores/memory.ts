import { checkOptions, type OptionKinds, StoreError } from '../error.ts'
import { isNoSession } from '../session/about.ts'
import type { SessionId, SessionRecord, SessionStore, SubjectIndex, Timestamp, WriteResult } from '../session/store.ts'
import { duplicate } from './failure.ts'
import { sessionCount, sessionLimit, storeClock } from './options.ts'

/** Milliseconds between two rounds of sweeping. */
const SWEEP_PAUSE = 30_000
/** How many sessions a slice of sweeping checks: about a millisecond of work. */
const SWEEP_SLICE = 5000
/** Removing a session costs about as much as checking ten. */
const REMOVAL = 10
/** How many sessions an `insert` into a full store checks. */
const FULL_SLICE = 100

export interface MemoryStoreOptions {
  /** Default `Date.now`. */
  clock?: () => Timestamp
  /**
   * How many sessions are kept at most. Default 1,000,000. In a full store a new session takes the place of the anonymous session
   * that expires about first, or else of a note or a marker of Gatepass. If all are logins, `insert` throws `ERR_STORE_FULL`.
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

/** Sessions in the memory of this process, limited in number. Every method is synchronous. */
export class MemoryStore implements SessionStore, SubjectIndex {
  readonly synchronous = true
  readonly #clock: () => Timestamp
  readonly #maxSessions: number
  /** Each kind lies in a map of its own, about in the order of expiry. In this order they give way in a full store. */
  readonly #anonymous = new ShardedMap<SessionId, Packed>()
  readonly #notes = new ShardedMap<SessionId, Packed>()
  readonly #logins = new ShardedMap<SessionId, Packed>()
  /** The ids of a subject. Most subjects have one session, and a Set for it would take 150 bytes more. */
  readonly #bySubject = new ShardedMap<string, SessionId | Set<SessionId>>()
  /** The sessions that this round of sweeping has not checked yet. */
  #round: Iterator<[SessionId, Packed]> | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: MemoryStoreOptions = {}) {
    checkOptions('memoryStore()', options, memoryOptions, 'ERR_STORE_OPTIONS')
    this.#clock = storeClock(options.clock)
    this.#maxSessions = sessionCount(options.maxSessions ?? 1_000_000)
  }

  /** The number of sessions in memory. It includes expired ones that are not swept yet. */
  get size(): number {
    return this.#anonymous.size + this.#notes.size + this.#logins.size
  }

  load(id: SessionId): SessionRecord | undefined {
    const packed = this.#logins.get(id) ?? this.#anonymous.get(id) ?? this.#notes.get(id)
    if (packed === undefined) return undefined
    const record = unpack(id, packed)
    if (record.expiresAt > this.#clock()) return record
    this.#remove(record)
    return undefined
  }

  insert(record: SessionRecord): void {
    this.#refuseDuplicate(record)
    this.#makeRoom()
    this.#add(record)
  }

  replace(record: SessionRecord, expectedVersion: number): WriteResult {
    const stored = this.load(record.id)
    if (stored?.version !== expectedVersion) return whyNot(stored)
    const { handle, createdAt } = stored
    this.#remove(stored)
    this.#add({ ...record, version: expectedVersion + 1, handle, createdAt })
    return 'done'
  }

  touch(id: SessionId, seenAt: Timestamp, expiresAt: Timestamp): WriteResult {
    const stored = this.load(id)
    if (stored === undefined) return 'gone'
    const later = { seenAt: Math.max(seenAt, stored.seenAt), expiresAt: Math.max(expiresAt, stored.expiresAt) }
    this.#remove(stored)
    this.#add({ ...stored, ...later })
    return 'done'
  }

  remove(id: SessionId, expectedVersion?: number): WriteResult {
    const stored = this.load(id)
    if (expectedVersion !== undefined && stored?.version !== expectedVersion) return whyNot(stored)
    if (stored !== undefined) this.#remove(stored)
    return 'done'
  }

  listBySubject(subject: string): SessionRecord[] {
    const ids = this.#bySubject.get(subject) ?? []
    const records = (typeof ids === 'string' ? [ids] : [...ids]).flatMap((id) => this.load(id) ?? [])
    return records.sort((a, b) => b.createdAt - a.createdAt)
  }

  removeBySubject(subject: string, except?: SessionId): number {
    const ended = this.listBySubject(subject).filter(({ id }) => id !== except)
    for (const record of ended) this.#remove(record)
    return ended.length
  }

  insertWithin(record: SessionRecord, limit: number): number {
    this.#refuseDuplicate(record)
    const { subject, handle } = record
    const others = subject === null ? [] : this.listBySubject(subject).filter((other) => other.handle !== handle)
    const kept = [...new Set(others.map((other) => other.handle))].slice(0, sessionLimit(limit) - 1)
    const surplus = others.filter((other) => !kept.includes(other.handle))
    // A removal makes room. Without one, a full store throws before anything has changed.
    if (surplus.length === 0) this.#makeRoom()
    for (const other of surplus) this.#remove(other)
    this.#add(record)
    return surplus.length
  }

  /**
   * Frees the memory of some expired sessions. It runs automatically while there are sessions, until the store is closed.
   * Expired sessions count as absent before, too.
   *
   * @returns whether this round has more to check
   */
  sweep(): boolean {
    return this.#sweepSlice(SWEEP_SLICE)
  }

  /** Stops sweeping. The store can still be read and written. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #refuseDuplicate({ id }: SessionRecord): void {
    if (this.load(id) !== undefined) throw duplicate()
  }

  /** Never removes a login for a new session. Notes go last: without a note, a value that counts once could count twice. */
  #makeRoom(): void {
    if (this.size < this.#maxSessions) return
    this.#sweepSlice(FULL_SLICE)
    if (this.size < this.#maxSessions) return
    for (const records of [this.#anonymous, this.#notes]) {
      const [first] = records.firsts().sort(([, a], [, b]) => expiryOf(a) - expiryOf(b))
      if (first === undefined) continue
      records.delete(first[0])
      return
    }
    throw new StoreError('ERR_STORE_FULL', `${this.#maxSessions} sessions are stored, all of them logins`, {
      hint: 'Raise `maxSessions` as far as the memory goes, lower the timeouts, or take a store outside the process.',
    })
  }

  #recordsLike(record: SessionRecord): ShardedMap<SessionId, Packed> {
    if (record.subject !== null) return this.#logins
    return isNoSession(record) ? this.#notes : this.#anonymous
  }

  #add(record: SessionRecord): void {
    const { id, subject } = record
    this.#recordsLike(record).set(id, pack(record))
    if (subject !== null) {
      const ids = this.#bySubject.get(subject)
      if (typeof ids === 'object') ids.add(id)
      else this.#bySubject.set(subject, ids === undefined ? id : new Set([ids, id]))
    }
    if (!this.#closed) this.#timer ??= this.#sweepIn(SWEEP_PAUSE)
  }

  #remove(record: SessionRecord): void {
    const { id, subject } = record
    this.#recordsLike(record).delete(id)
    if (subject === null) return
    const ids = this.#bySubject.get(subject)
    if (typeof ids === 'object' && ids.size > 1) ids.delete(id)
    else this.#bySubject.delete(subject)
  }

  #sweepSlice(most: number): boolean {
    const now = this.#clock()
    this.#round ??= this.#all()
    for (let cost = 0; cost < most; cost++) {
      const { value, done } = this.#round.next()
      if (done === true) {
        this.#round = undefined
        return false
      }
      const [id, packed] = value
      if (expiryOf(packed) > now) continue
      this.#remove(unpack(id, packed))
      cost += REMOVAL
    }
    return true
  }

  *#all(): Generator<[SessionId, Packed], undefined> {
    for (const records of [this.#anonymous, this.#notes, this.#logins]) yield* records.entries()
  }

  /** One slice per turn of the event loop, so that requests get their turn in between. */
  #sweepIn(milliseconds: number): NodeJS.Timeout {
    const sweep = () => {
      const more = this.sweep()
      this.#timer = this.size === 0 ? undefined : this.#sweepIn(more ? 0 : SWEEP_PAUSE)
    }
    return setTimeout(sweep, milliseconds).unref()
  }
}

function whyNot(stored: SessionRecord | undefined): WriteResult {
  return stored === undefined ? 'gone' : 'conflict'
}

/**
 * A record without its id as one text: an object, with its boxed numbers, would take 150 bytes more (bench row "a session of a
 * million, in all"). Seven numbers begin it: the expiry first, and the lengths of the texts that follow.
 */
type Packed = string

function pack({ handle, version, subject, data, about, createdAt, seenAt, expiresAt }: SessionRecord): Packed {
  const lengths = [handle.length, subject === null ? 0 : subject.length + 1, about.length]
  const numbers = [expiresAt, seenAt, createdAt, version, ...lengths].map(writeNumber)
  // `join` copies. A text made with `+` would keep its parts in memory as well.
  return [...numbers, handle, subject, about, data].join('')
}

function unpack(id: SessionId, packed: Packed): SessionRecord {
  const subjectAt = 7 * WIDTH + readNumber(packed, 4)
  const subjectLength = readNumber(packed, 5) - 1
  const aboutAt = subjectAt + Math.max(0, subjectLength)
  const dataAt = aboutAt + readNumber(packed, 6)
  return {
    id,
    handle: packed.slice(7 * WIDTH, subjectAt),
    version: readNumber(packed, 3),
    subject: subjectLength < 0 ? null : packed.slice(subjectAt, aboutAt),
    data: packed.slice(dataAt),
    about: packed.slice(aboutAt, dataAt),
    createdAt: readNumber(packed, 2),
    seenAt: readNumber(packed, 1),
    expiresAt: readNumber(packed, 0),
  }
}

/** The characters of a packed number, each with a code below 256. Texts of such characters take a byte for each. */
const WIDTH = 7

function writeNumber(value: number): string {
  const codes = Array.from({ length: WIDTH }, (_, n) => Math.floor(value / 256 ** (WIDTH - 1 - n)) % 256)
  return String.fromCharCode(...codes)
}

/** Reads the number at this place. JSON would take twice as long (row “memory, node:http”). */
function readNumber(packed: Packed, place: number): number {
  let value = 0
  for (let at = place * WIDTH; at < (place + 1) * WIDTH; at++) value = value * 256 + packed.charCodeAt(at)
  return value
}

function expiryOf(packed: Packed): Timestamp {
  return readNumber(packed, 0)
}

/**
 * A Map in 64 parts. One Map of a million keys stops the process for 40 ms when it grows (bench row "longest call while growing
 * to a million"), a part for less than 1 ms.
 */
class ShardedMap<Key extends string, Value> {
  readonly #maps: readonly Map<Key, Value>[] = Array.from({ length: 64 }, () => new Map())

  get size(): number {
    return this.#maps.reduce((sum, map) => sum + map.size, 0)
  }

  get(key: Key): Value | undefined {
    return this.#mapOf(key).get(key)
  }

  set(key: Key, value: Value): void {
    this.#mapOf(key).set(key, value)
  }

  delete(key: Key): void {
    this.#mapOf(key).delete(key)
  }

  *entries(): Generator<[Key, Value], undefined> {
    for (const map of this.#maps) yield* map
  }

  /** The first entry of each part, in the order in which they were set. */
  firsts(): [Key, Value][] {
    return this.#maps.map((map) => map.entries().next().value).filter((entry) => entry !== undefined)
  }

  /** By the last characters: ids are hashes, and subjects mostly differ at their ends. */
  #mapOf(key: Key): Map<Key, Value> {
    const end = key.length - 1
    const part = (key.charCodeAt(end) * 31 + key.charCodeAt(end - 1) * 5) % this.#maps.length
    // An empty key has no last character, and a short one no second last.
    return this.#maps[part || 0] as Map<Key, Value>
  }
}
