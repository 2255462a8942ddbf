import type { ChangeListener, SessionStore, SubjectIndex, Timestamp } from 'gatepass/session'
import { cachedStore } from 'gatepass/stores/cached'
import { memoryStore } from 'gatepass/stores/memory'
import { sqliteStore } from 'gatepass/stores/sqlite'
import { aroundStore } from '../../src/testing/around-store.ts'
import { AnnouncingStore, type Channel } from '../stores/announcing-store.ts'
import { answersArrived, promisesSettled, type Schedule } from './schedule.ts'

export type IndexedStore = SessionStore & SubjectIndex

/** A server process: its store, and the channel with the announcements of the others. */
export interface Process {
  readonly store: IndexedStore
  /** Only if reads may come from a cache. */
  readonly channel?: Channel
  close?(): void
}

/** The records that the processes of one history share. */
export interface Shared {
  readonly records: IndexedStore
  start(schedule: Schedule): Process
}

/** An engine that histories run on. */
export interface Engine {
  /** The records of a new history. Other histories may use the same. */
  begin(): Shared
  /** Waits until a step has come to rest. */
  readonly settled: (running: () => number) => Promise<void>
  close(): unknown
}

/** One store that all processes share. */
export function plainEngine(store: IndexedStore & { close?(): unknown }, elsewhere?: 'elsewhere'): Engine {
  return {
    begin: () => ({ records: store, start: () => ({ store }) }),
    settled: elsewhere === undefined ? promisesSettled : answersArrived,
    close: () => store.close?.(),
  }
}

/** A cache in every process, in front of shared records. Announcements arrive when the history says so. */
export function cachedEngine(clock: () => Timestamp): Engine {
  const begin = (): Shared => {
    const records = new AnnouncingStore(clock)
    const start = (schedule: Schedule): Process => {
      // A call takes effect at once, and its answer comes when the schedule says so.
      const answeringLater = aroundStore(async (call) => {
        const answer = call(records)
        return schedule.turn(records, () => answer)
      })
      const announcing = Object.assign(answeringLater, {
        subscribe: (listener: ChangeListener) => records.subscribe(listener),
      })
      // So small that sessions take each other's place.
      const store = cachedStore(announcing, { clock, maxSessions: 2 })
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
