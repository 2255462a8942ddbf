import type { Awaitable } from '../../awaitable.ts'
import type { ChangeListener, SessionId, SessionRecord, Timestamp } from '../../session/store.ts'
import { RecentRecords } from './recent-records.ts'

/** Loads a record from the store. */
type Ask = (id: SessionId) => Awaitable<SessionRecord | undefined>
type Answer = Promise<SessionRecord | undefined>

/** The limits of a cache. Durations are in milliseconds. */
export interface Limits {
  readonly maxSessions: number
  readonly maxAge: number
  readonly clock: () => Timestamp
}

/**
 * Records as the store last returned them, until a change is announced.
 *
 * A loaded record is kept only if no change of its id was announced during the load, because the answer may be older than the
 * change. Only loads in `#loads` are kept or shared. Every event for an id removes its load from there.
 */
export class NearCache implements ChangeListener {
  readonly #ask: Ask
  readonly #clock: () => Timestamp
  readonly #records: RecentRecords
  /** Running loads whose answers are not older than the last announcement for their ids. */
  readonly #loads = new Map<SessionId, Answer>()
  #listening = false

  constructor(ask: Ask, { maxSessions, maxAge, clock }: Limits) {
    this.#ask = ask
    this.#clock = clock
    this.#records = new RecentRecords(maxSessions, maxAge)
  }

  get size(): number {
    return this.#records.size
  }

  get listening(): boolean {
    return this.#listening
  }

  load(id: SessionId): Awaitable<SessionRecord | undefined> {
    const record = this.#records.find(id, this.#clock())
    if (record !== undefined) return record
    if (!this.#listening) return this.#ask(id)
    return this.#loads.get(id) ?? this.#begin(id)
  }

  changed(id: SessionId): void {
    this.forget(id)
  }

  up(): void {
    this.#clear()
    this.#listening = true
  }

  down(): void {
    this.#listening = false
    this.#clear()
  }

  /** Drops a record, so that later loads get a newer answer. */
  forget(id: SessionId): void {
    this.#records.forget(id)
    this.#loads.delete(id)
  }

  forgetSubject(subject: string): void {
    this.#records.forgetSubject(subject)
    // The subject of a running load is unknown before its answer.
    this.#loads.clear()
  }

  #clear(): void {
    this.#records.clear()
    this.#loads.clear()
  }

  #begin(id: SessionId): Answer {
    const began = this.#clock()
    const loading: Answer = this.#answer(id, (record) => {
      if (this.#loads.get(id) !== loading) return
      this.#loads.delete(id)
      // Insertions are not announced, so an absent record cannot be cached.
      if (record !== undefined) this.#records.keep(record, began)
    })
    this.#loads.set(id, loading)
    return loading
  }

  /** Calls `arrived` before other callers get the record. A failed load leaves nothing behind. */
  async #answer(id: SessionId, arrived: (record: SessionRecord | undefined) => void): Answer {
    try {
      const record = await this.#ask(id)
      arrived(record)
      return record
    } catch (error) {
      // `arrived` must not run at once: a store may throw before the load is registered.
      await undefined
      arrived(undefined)
      throw error
    }
  }
}
