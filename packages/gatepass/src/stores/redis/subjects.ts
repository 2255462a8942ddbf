import { sha256Hex } from '../../crypto/random.ts'
import type { SessionId, SessionRecord, Timestamp } from '../../session/store.ts'
import type { Engine, Reply } from './engine.ts'

/** How long an index entry outlives the expiry of its record, in milliseconds. A touch within that time leaves it unchanged. */
const COVER = 24 * 3_600_000

/** What the index needs from the store. */
export interface Records {
  key(id: SessionId): string
  /** Loads the live record of the subject under this id. */
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
 * The index of a subject's sessions: one hash for each subject. It lies apart from the records, so the two cannot change in one
 * step. For every order of the steps of several processes:
 *
 * - An entry is written before its record and removed after it. A record that the index names is loaded to check it.
 * - An insertion is confirmed after its record is written. Ending sessions removes the records, then the entries that have not
 *   changed meanwhile. An insertion that finds its entry missing removes its record. So after sessions were ended, no session
 *   remains that was acknowledged before, and none without an entry.
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

  /** Until when an entry is valid for a record with this expiry. */
  coverFor(expiresAt: Timestamp): Timestamp {
    return expiresAt + COVER
  }

  /** Announces a record before it is written. Call `confirm` after that. */
  async announce(record: SessionRecord & { subject: string }): Promise<void> {
    const { subject, id, handle, expiresAt, createdAt } = record
    await this.#run('enter', subject, [id, 'p', this.coverFor(expiresAt), createdAt, handle])
  }

  /** Extends the entry of a stored record. */
  async extend(
    entry: Pick<SessionRecord, 'id' | 'handle' | 'expiresAt'> & { subject: string; createdAt: string },
  ): Promise<void> {
    const { subject, id, handle, expiresAt, createdAt } = entry
    await this.#run('enter', subject, [id, 'c', this.coverFor(expiresAt), createdAt, handle])
  }

  /**
   * Confirms that an announced record is written.
   *
   * @returns the subject's entries if there are more than `limit`, or `ended` if the session was ended meanwhile
   */
  async confirm(subject: string, id: SessionId, limit: number): Promise<Reply> {
    return this.#run('confirm', subject, [id, limit])
  }

  /** Removes the entry of a removed record in the background. If that fails, the next use of the entry finds no record. */
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
   * Ends the oldest sessions beyond `limit`, but never `own`. One step decides which, so that two logins at once do not end each
   * other. If a process stops halfway, the next login finishes.
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
   * First the records, then the entries: in the other order, a crash would leave records that cannot be found. An entry that was
   * confirmed in between stays, because its record exists.
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
