import { sha256Hex } from '../../crypto/random.ts'
import type { SessionId, SessionRecord, Timestamp } from '../../session/store.ts'
import type { Engine, Reply } from './engine.ts'

/** How long an entry outlives what it was last told of its record, in ms: touches within it leave the index alone. */
const COVER = 24 * 3_600_000

/** What the index needs of the store. */
export interface Records {
  key(id: SessionId): string
  /** The live record of the subject under this id. */
  load(id: SessionId, subject: string): Promise<SessionRecord | undefined>
}

export interface IndexOptions {
  readonly engine: Engine
  readonly records: Records
  readonly prefix: string
  readonly clock: () => Timestamp
}

type Entry = readonly [id: SessionId, value: string]

/**
 * Which sessions a subject has: a hash per subject, in a place of its own, so that it and the records cannot change in one
 * step. What holds nevertheless, in whatever order the steps of several processes come:
 *
 * - An entry is there before its record and goes after it. What the index says of a record is checked by loading it.
 * - An insertion is confirmed after the record is written. Ending sessions removes the records, then the entries that have not
 *   changed. An insertion that finds no entry removes its record. So after sessions were ended, no session remains whose
 *   insertion was acknowledged before, and none without an entry.
 */
export class Subjects {
  readonly #engine: Engine
  readonly #records: Records
  readonly #prefix: string
  readonly #clock: () => Timestamp

  constructor({ engine, records, prefix, clock }: IndexOptions) {
    this.#engine = engine
    this.#records = records
    this.#prefix = prefix
    this.#clock = clock
  }

  key(subject: string): string {
    return `${this.#prefix}subject:${sha256Hex(subject)}`
  }

  /** Until when an entry made now holds for a record that expires then. */
  coverFor(expiresAt: Timestamp): Timestamp {
    return expiresAt + COVER
  }

  /** Announces a record that is about to be written; `confirm` has to follow. */
  async announce(record: SessionRecord & { subject: string }): Promise<void> {
    const { subject, id, handle, expiresAt, createdAt } = record
    await this.#run('enter', subject, [id, 'p', this.coverFor(expiresAt), createdAt, handle])
  }

  /** Makes an entry hold longer for a record that is there. */
  async extend(
    entry: Pick<SessionRecord, 'id' | 'handle' | 'expiresAt'> & { subject: string; createdAt: string },
  ): Promise<void> {
    const { subject, id, handle, expiresAt, createdAt } = entry
    await this.#run('enter', subject, [id, 'c', this.coverFor(expiresAt), createdAt, handle])
  }

  /**
   * Says that an announced record is written.
   *
   * @returns the subject's entries if there are more than `limit`, or `ended` if the session was ended meanwhile
   */
  async confirm(subject: string, id: SessionId, limit: number): Promise<Reply> {
    return this.#run('confirm', subject, [id, limit])
  }

  /** Removes an entry whose record is gone, in the background: an entry without a record is noticed when it is used. */
  forgetSoon(subject: string, id: SessionId): void {
    this.#run('forget', subject, [id, '']).catch(() => {})
  }

  async list(subject: string): Promise<SessionRecord[]> {
    const entries = pairs(await this.#engine.fields(this.key(subject)))
    const records = await Promise.all(entries.map(([id]) => this.#records.load(id, subject)))
    return records.filter((record) => record !== undefined).sort((a, b) => b.createdAt - a.createdAt)
  }

  /** @returns how many live records were removed */
  async endAll(subject: string, except?: SessionId): Promise<number> {
    const entries = pairs(await this.#engine.fields(this.key(subject))).filter(([id]) => id !== except)
    return entries.length === 0 ? 0 : this.#endThese(subject, entries)
  }

  /**
   * Ends the oldest sessions beyond `limit`, `own` never among them. Which ones is decided in one step, so that two logins
   * at once do not end each other; a process that stops halfway leaves the rest to the next login.
   */
  async endSurplus(
    subject: string,
    own: SessionId,
    { limit, entries }: { limit: number; entries: Reply },
  ): Promise<number> {
    const absent = await this.#absent(subject, pairs(entries))
    const condemned = pairs(await this.#run('condemn', subject, [own, limit, ...absent.flat()]))
    return condemned.length === 0 ? 0 : this.#endThese(subject, condemned)
  }

  /** Removes one record if it is this subject's; 1 if it was alive. */
  async end(subject: string, id: SessionId): Promise<number> {
    return Number(await this.#engine.run('end', [this.#records.key(id)], [this.#clock(), subject]))
  }

  /**
   * First the records, then the entries: the other way round, a crash would leave records that nobody can find. An entry
   * that was confirmed in between stays, for its record is there.
   */
  async #endThese(subject: string, entries: readonly Entry[]): Promise<number> {
    const counts = await Promise.all(entries.map(([id]) => this.end(subject, id)))
    await this.#run('forget', subject, entries.flat())
    return counts.reduce((sum, count) => sum + count, 0)
  }

  /** Entries without a live record. */
  async #absent(subject: string, entries: readonly Entry[]): Promise<Entry[]> {
    const records = await Promise.all(entries.map(([id]) => this.#records.load(id, subject)))
    return entries.filter((_, n) => records[n] === undefined)
  }

  #run(operation: 'enter' | 'confirm' | 'forget' | 'condemn', subject: string, args: readonly (string | number)[]) {
    return this.#engine.run(operation, [this.key(subject)], [this.#clock(), ...args])
  }
}

function pairs(reply: Reply): Entry[] {
  if (!Array.isArray(reply)) return []
  const list = reply as readonly string[]
  return Array.from({ length: list.length / 2 }, (_, n) => [list[2 * n] as SessionId, list[2 * n + 1] ?? ''])
}
