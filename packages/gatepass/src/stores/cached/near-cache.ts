import type { Awaitable } from '../../awaitable.ts'
import type { ChangeListener, SessionId, SessionRecord, Timestamp } from '../../session/store.ts'
import { RecentRecords } from './recent-records.ts'

/** Asks the store. */
type Ask = (id: SessionId) => Awaitable<SessionRecord | undefined>
type Answer = Promise<SessionRecord | undefined>

/** What a cache keeps to; durations in milliseconds. */
export interface Limits {
  readonly maxSessions: number
  readonly maxAge: number
  readonly clock: () => Timestamp
}

/**
 * Records as the store last told them, for as long as nothing says otherwise.
 *
 * A load is kept only if nothing was said of its id between question and answer, for then the answer may be older than the
 * change. Only what is in `#loads` is kept or shared; whatever happens to an id takes its load out of there.
 */
export class NearCache implements ChangeListener {
  readonly #ask: Ask
  readonly #clock: () => Timestamp
  readonly #records: RecentRecords
  /** Loads under way of which the answer will be no older than this moment. */
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

  /** Whoever asks from now on gets a newer answer. */
  forget(id: SessionId): void {
    this.#records.forget(id)
    this.#loads.delete(id)
  }

  forgetSubject(subject: string): void {
    this.#records.forgetSubject(subject)
    // Whose session a load is about is not known before its answer.
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
      // Insertions are not announced, so that absence cannot be kept.
      if (record !== undefined) this.#records.keep(record, began)
    })
    this.#loads.set(id, loading)
    return loading
  }

  /** Tells `arrived` before anybody else; a failed load leaves nothing behind. */
  async #answer(id: SessionId, arrived: (record: SessionRecord | undefined) => void): Answer {
    try {
      const record = await this.#ask(id)
      arrived(record)
      return record
    } catch (error) {
      // Not `arrived` at once: a store may throw before the load is noted.
      await undefined
      arrived(undefined)
      throw error
    }
  }
}
