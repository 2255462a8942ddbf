import type {
  ChangeFeed,
  ChangeListener,
  SessionId,
  SessionRecord,
  SessionStore,
  SubjectIndex,
  Timestamp,
  WriteResult,
} from 'gatepass/session'
import { cachedStore } from 'gatepass/stores/cached'
import { memoryStore } from 'gatepass/stores/memory'
import { sqliteStore } from 'gatepass/stores/sqlite'
import { AnnouncingStore, type Channel } from '../stores/announcing-store.ts'
import { answersArrived, promisesSettled, type Schedule } from './schedule.ts'

export type IndexedStore = SessionStore & SubjectIndex

/** A server process: how it reaches the records, and what it has heard of the others. */
export interface Process {
  readonly store: IndexedStore
  /** Only where reads may come from a cache. */
  readonly channel?: Channel
  close?(): void
}

/** The records that the processes of one history share. */
export interface Shared {
  readonly records: IndexedStore
  start(schedule: Schedule): Process
}

/** What histories are run on. */
export interface Engine {
  /** Records for a new history; they may be those of others, too. */
  begin(): Shared
  /** When a step has come to rest. */
  readonly settled: (running: () => number) => Promise<void>
  close(): unknown
}

/** One store, handed to every process as it is. */
export function plainEngine(store: IndexedStore & { close?(): unknown }, elsewhere?: 'elsewhere'): Engine {
  return {
    begin: () => ({ records: store, start: () => ({ store }) }),
    settled: elsewhere === undefined ? promisesSettled : answersArrived,
    close: () => store.close?.(),
  }
}

/** A cache in every process, in front of records that announce what changes when the history says so. */
export function cachedEngine(clock: () => Timestamp): Engine {
  const begin = (): Shared => {
    const records = new AnnouncingStore(clock)
    const start = (schedule: Schedule): Process => {
      // So small that sessions make room for one another.
      const store = cachedStore(new AnsweringLater(records, schedule), { clock, maxSessions: 2 })
      const channel = records.channels.at(-1) as Channel
      return { store, channel, close: () => void records.channels.splice(records.channels.indexOf(channel), 1) }
    }
    return { records, start }
  }
  return { begin, settled: promisesSettled, close: () => {} }
}

export const localEngines: Readonly<Record<string, (clock: () => Timestamp) => Engine>> = {
  memory: (clock) => plainEngine(memoryStore({ clock })),
  sqlite: (clock) => plainEngine(sqliteStore(':memory:', { clock })),
  'cached memory': cachedEngine,
}

/** What is asked takes effect at once; the answer comes when the schedule says so. */
class AnsweringLater implements SessionStore, SubjectIndex, ChangeFeed {
  readonly #store: AnnouncingStore
  readonly #schedule: Schedule

  constructor(store: AnnouncingStore, schedule: Schedule) {
    this.#store = store
    this.#schedule = schedule
  }

  load(id: SessionId): Promise<SessionRecord | undefined> {
    return this.#later(() => this.#store.load(id))
  }

  insert(record: SessionRecord): Promise<void> {
    return this.#later(() => this.#store.insert(record))
  }

  replace(record: SessionRecord, expectedVersion: number): Promise<WriteResult> {
    return this.#later(() => this.#store.replace(record, expectedVersion))
  }

  touch(id: SessionId, seenAt: Timestamp, expiresAt: Timestamp): Promise<WriteResult> {
    return this.#later(() => this.#store.touch(id, seenAt, expiresAt))
  }

  remove(id: SessionId, expectedVersion?: number): Promise<WriteResult> {
    return this.#later(() => this.#store.remove(id, expectedVersion))
  }

  listBySubject(subject: string): Promise<SessionRecord[]> {
    return this.#later(() => this.#store.listBySubject(subject))
  }

  removeBySubject(subject: string, except?: SessionId): Promise<number> {
    return this.#later(() => this.#store.removeBySubject(subject, except))
  }

  insertWithin(record: SessionRecord, limit: number): Promise<number> {
    return this.#later(() => this.#store.insertWithin(record, limit))
  }

  subscribe(listener: ChangeListener): () => void {
    return this.#store.subscribe(listener)
  }

  async #later<T>(call: () => T): Promise<T> {
    const answer = call()
    return this.#schedule.turn(this, () => answer)
  }
}
