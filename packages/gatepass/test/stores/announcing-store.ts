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
import { ModelStore } from '../../src/testing/model-store.ts'

/** Records that several processes share. Changes are announced on one channel for each process. */
export class AnnouncingStore implements SessionStore, SubjectIndex, ChangeFeed {
  readonly records: ModelStore
  readonly channels: Channel[] = []
  readonly #atOnce: boolean
  /** Loads that reached the records. */
  loads = 0

  /** @param delivery whether announcements arrive with the change, or when the test calls `deliver` */
  constructor(clock: () => Timestamp, delivery: 'at once' | 'when told' = 'when told') {
    this.records = new ModelStore(clock)
    this.#atOnce = delivery === 'at once'
  }

  load(id: SessionId): SessionRecord | undefined {
    this.loads++
    return this.records.load(id)
  }

  insert(record: SessionRecord): void {
    this.records.insert(record)
  }

  replace(record: SessionRecord, expectedVersion: number): WriteResult {
    return this.#announceIfDone(record.id, this.records.replace(record, expectedVersion))
  }

  touch(id: SessionId, seenAt: Timestamp, expiresAt: Timestamp): WriteResult {
    return this.#announceIfDone(id, this.records.touch(id, seenAt, expiresAt))
  }

  remove(id: SessionId, expectedVersion?: number): WriteResult {
    return this.#announceIfDone(id, this.records.remove(id, expectedVersion))
  }

  listBySubject(subject: string): SessionRecord[] {
    return this.records.listBySubject(subject)
  }

  removeBySubject(subject: string, except?: SessionId): number {
    return this.#announceRemoved(subject, () => this.records.removeBySubject(subject, except))
  }

  insertWithin(record: SessionRecord, limit: number): number {
    return this.#announceRemoved(record.subject, () => this.records.insertWithin(record, limit))
  }

  /** Connects a new channel. The test does the rest with it. */
  subscribe(listener: ChangeListener): () => void {
    const channel = new Channel(listener)
    this.channels.push(channel)
    channel.connect()
    return () => void this.channels.splice(this.channels.indexOf(channel), 1)
  }

  #announceIfDone(id: SessionId, result: WriteResult): WriteResult {
    if (result === 'done') this.#announce(id)
    return result
  }

  #announceRemoved(subject: string | null, remove: () => number): number {
    const before = subject === null ? [] : this.listBySubject(subject)
    const count = remove()
    for (const { id } of before) if (this.records.load(id) === undefined) this.#announce(id)
    return count
  }

  #announce(id: SessionId): void {
    for (const channel of this.channels) {
      channel.send(id)
      if (this.#atOnce) channel.deliver()
    }
  }
}

/** The announcements to one process, in order and later than the changes. */
export class Channel {
  readonly #listener: ChangeListener
  readonly #onTheWay: SessionId[] = []
  #connected = false
  /** The number of announcements, and the last of them that the listener knows or need not know. */
  sent = 0
  known = 0

  constructor(listener: ChangeListener) {
    this.#listener = listener
  }

  get waiting(): number {
    return this.#onTheWay.length
  }

  get connected(): boolean {
    return this.#connected
  }

  send(id: SessionId): void {
    this.sent++
    if (this.#connected) this.#onTheWay.push(id)
  }

  /** One announcement arrives. */
  deliver(): void {
    const id = this.#onTheWay.shift()
    if (id === undefined) return
    this.known = this.sent - this.#onTheWay.length
    this.#listener.changed(id)
  }

  /** Cuts the connection: announcements on the way are lost, and the listener has not noticed yet. */
  cut(): void {
    this.#connected = false
    this.#onTheWay.length = 0
  }

  /** The listener notices the cut. */
  notice(): void {
    this.cut()
    this.known = Number.POSITIVE_INFINITY
    this.#listener.down()
  }

  connect(): void {
    this.#connected = true
    this.known = this.sent
    this.#listener.up()
  }
}
