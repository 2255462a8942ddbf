import type { SessionId, SessionRecord, Timestamp } from '../../session/store.ts'

/** How many characters of text one session may have. A session with more counts as several. */
const TEXT_PER_SESSION = 1024
/** How many records get a second chance before one is dropped anyway. */
const MOST_CHANCES = 64

interface Kept {
  readonly record: SessionRecord
  readonly since: Timestamp
  readonly weight: number
  /** Whether it was found since it was last moved to the end. */
  used: boolean
}

/**
 * Records of recently used sessions, limited in number and in text.
 *
 * A hit only marks its record. An insertion that needs room looks at the front: a marked record moves to the end for a second
 * chance, an unmarked one is dropped. If each hit moved its record to the end, a Map of a million would stop the process for 70 ms
 * again and again to close its gaps.
 */
export class RecentRecords {
  readonly #capacity: number
  readonly #longest: number
  readonly #kept = new Map<SessionId, Kept>()
  readonly #bySubject = new Map<string, Set<SessionId>>()
  /**
   * Iterates from front to end. A new iterator would pass all gaps at the front each time: 6 µs for each insertion into 50,000
   * records, 175 µs into a million. An iterator of a Map stays valid while entries change.
   */
  #front: Iterator<Kept>
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
    if (kept.record.expiresAt > now && age < this.#longest && age >= 0) {
      kept.used = true
      return { ...kept.record }
    }
    this.forget(id)
    return undefined
  }

  keep(record: SessionRecord, since: Timestamp): void {
    const { id, subject, data, about } = record
    this.forget(id)
    const weight = 1 + Math.floor((data.length + about.length) / TEXT_PER_SESSION)
    if (weight > this.#capacity) return
    this.#makeRoom(weight)
    this.#kept.set(id, { record: { ...record }, since, weight, used: false })
    this.#weight += weight
    if (subject !== null) this.#bySubject.set(subject, (this.#bySubject.get(subject) ?? new Set()).add(id))
  }

  forget(id: SessionId): void {
    const kept = this.#kept.get(id)
    if (kept === undefined) return
    this.#kept.delete(id)
    this.#weight -= kept.weight
    const { subject } = kept.record
    if (subject === null) return
    const ids = this.#bySubject.get(subject)
    ids?.delete(id)
    if (ids?.size === 0) this.#bySubject.delete(subject)
  }

  forgetSubject(subject: string): void {
    for (const id of this.#bySubject.get(subject) ?? []) this.forget(id)
  }

  clear(): void {
    this.#kept.clear()
    this.#bySubject.clear()
    this.#weight = 0
  }

  #makeRoom(weight: number): void {
    for (let chances = 0; this.#weight + weight > this.#capacity; ) {
      const kept = this.#first()
      const { id } = kept.record
      if (kept.used && chances++ < MOST_CHANCES) {
        kept.used = false
        this.#kept.delete(id)
        this.#kept.set(id, kept)
      } else this.forget(id)
    }
  }

  /** The first record. All records before the iterator are gone or at the end. Call it only if there are records. */
  #first(): Kept {
    const next = this.#front.next()
    if (next.done !== true) return next.value
    this.#front = this.#kept.values()
    return this.#front.next().value as Kept
  }
}
