import type { SessionId, SessionRecord, Timestamp } from '../../session/store.ts'

/** How many characters of text one session may have. A session with more counts as several. */
const TEXT_PER_SESSION = 1024
/** How many records get a second chance before one is dropped anyway. */
const MOST_CHANCES = 64

/** One object and not two, because memory access is most of the cost of a hit. */
interface Kept extends SessionRecord {
  readonly since: Timestamp
  readonly weight: number
  /** Whether it was found since it was last moved to the end. */
  used: boolean
}

/**
 * Records of recently used sessions, limited in number and in text.
 *
 * A hit only marks its record. An insertion that needs room looks at the front: a marked record moves to the end for a second
 * chance, an unmarked one is dropped.
 */
export class RecentRecords {
  readonly #capacity: number
  readonly #longest: number
  /** Iterates from front to end. An iterator of a Map stays valid while entries change. */
  #front: Iterator<Kept>
  readonly #kept = new Map<SessionId, Kept>()
  /** The ids of a subject. Most subjects have one session, so one id is kept without a Set. */
  readonly #bySubject = new Map<string, SessionId | Set<SessionId>>()
  #weight = 0

  /** @param longest maximum time that a record is kept, in milliseconds */
  constructor(capacity: number, longest: number) {
    this.#capacity = capacity
    this.#longest = longest
    this.#front = this.#kept.values()
  }

  get size(): number {
    return this.#kept.size
  }

  /** Finds a record. Returns a copy, which the caller may change. */
  find(id: SessionId, now: Timestamp): SessionRecord | undefined {
    const kept = this.#kept.get(id)
    if (kept === undefined) return undefined
    const age = now - kept.since
    // A clock that was set back must not keep a record longer.
    if (kept.expiresAt > now && age < this.#longest && age >= 0) {
      kept.used = true
      return recordOf(kept)
    }
    this.#drop(kept)
    return undefined
  }

  keep(record: SessionRecord, since: Timestamp): void {
    this.forget(record.id)
    const weight = 1 + Math.floor((record.data.length + record.about.length) / TEXT_PER_SESSION)
    if (weight > this.#capacity) return
    this.#makeRoom(weight)
    this.#kept.set(record.id, { ...recordOf(record), since, weight, used: false })
    this.#weight += weight
    this.#enterIndex(record)
  }

  forget(id: SessionId): void {
    const kept = this.#kept.get(id)
    if (kept !== undefined) this.#drop(kept)
  }

  forgetSubject(subject: string): void {
    const ids = this.#bySubject.get(subject)
    if (typeof ids === 'string') this.forget(ids)
    else if (ids !== undefined) for (const id of ids) this.forget(id)
  }

  clear(): void {
    this.#kept.clear()
    this.#bySubject.clear()
    this.#weight = 0
  }

  #makeRoom(weight: number): void {
    for (let chances = 0; this.#weight + weight > this.#capacity; ) {
      const kept = this.#first()
      if (kept.used && chances++ < MOST_CHANCES) this.#putAtEnd(kept)
      else this.#drop(kept)
    }
  }

  /** The first record. All records before the iterator are gone or at the end. Call it only if there are records. */
  #first(): Kept {
    const next = this.#front.next()
    if (next.done !== true) return next.value
    this.#front = this.#kept.values()
    return this.#front.next().value as Kept
  }

  #putAtEnd(kept: Kept): void {
    kept.used = false
    this.#kept.delete(kept.id)
    this.#kept.set(kept.id, kept)
  }

  #drop(kept: Kept): void {
    this.#kept.delete(kept.id)
    this.#weight -= kept.weight
    this.#leaveIndex(kept)
  }

  #enterIndex({ id, subject }: SessionRecord): void {
    if (subject === null) return
    const ids = this.#bySubject.get(subject)
    if (ids === undefined) this.#bySubject.set(subject, id)
    else if (typeof ids === 'string') this.#bySubject.set(subject, new Set([ids, id]))
    else ids.add(id)
  }

  #leaveIndex({ id, subject }: SessionRecord): void {
    if (subject === null) return
    const ids = this.#bySubject.get(subject)
    if (typeof ids === 'object') ids.delete(id)
    if (ids === id || (typeof ids === 'object' && ids.size === 0)) this.#bySubject.delete(subject)
  }
}

function recordOf(record: SessionRecord): SessionRecord {
  const { id, handle, version, subject, data, about, createdAt, seenAt, expiresAt } = record
  return { id, handle, version, subject, data, about, createdAt, seenAt, expiresAt }
}
