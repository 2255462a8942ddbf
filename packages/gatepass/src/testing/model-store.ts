import { StoreError } from '../error.ts'
import type { SessionId, SessionRecord, SessionStore, SubjectIndex, Timestamp, WriteResult } from '../session/store.ts'

/** The smallest store that keeps the contract. All other stores are compared with it. */
export class ModelStore implements SessionStore, SubjectIndex {
  readonly #clock: () => Timestamp
  readonly #records = new Map<SessionId, SessionRecord>()

  constructor(clock: () => Timestamp) {
    this.#clock = clock
  }

  load(id: SessionId): SessionRecord | undefined {
    const record = this.#records.get(id)
    return record !== undefined && record.expiresAt > this.#clock() ? { ...record } : undefined
  }

  insert(record: SessionRecord): void {
    if (this.load(record.id) !== undefined) throw new StoreError('ERR_STORE_DUPLICATE', 'stored already')
    this.#records.set(record.id, { ...record })
  }

  replace(record: SessionRecord, expectedVersion: number): WriteResult {
    const stored = this.load(record.id)
    if (stored?.version !== expectedVersion) return whyNot(stored)
    const { handle, createdAt } = stored
    this.#records.set(record.id, { ...record, version: expectedVersion + 1, handle, createdAt })
    return 'done'
  }

  touch(id: SessionId, seenAt: Timestamp, expiresAt: Timestamp): WriteResult {
    const stored = this.load(id)
    if (stored === undefined) return 'gone'
    const later = { seenAt: Math.max(seenAt, stored.seenAt), expiresAt: Math.max(expiresAt, stored.expiresAt) }
    this.#records.set(id, { ...stored, ...later })
    return 'done'
  }

  remove(id: SessionId, expectedVersion?: number): WriteResult {
    const stored = this.load(id)
    if (expectedVersion !== undefined && stored?.version !== expectedVersion) return whyNot(stored)
    this.#records.delete(id)
    return 'done'
  }

  listBySubject(subject: string): SessionRecord[] {
    const live = [...this.#records.keys()].flatMap((id) => this.load(id) ?? [])
    return live.filter((record) => record.subject === subject).sort((a, b) => b.createdAt - a.createdAt)
  }

  removeBySubject(subject: string, except?: SessionId): number {
    const ended = this.listBySubject(subject).filter((record) => record.id !== except)
    for (const record of ended) this.#records.delete(record.id)
    return ended.length
  }

  insertWithin(record: SessionRecord, limit: number): number {
    this.insert(record)
    const others =
      record.subject === null ? [] : this.listBySubject(record.subject).filter(({ handle }) => handle !== record.handle)
    const handles = [...new Set(others.map(({ handle }) => handle))].slice(Math.max(limit, 1) - 1)
    const surplus = others.filter(({ handle }) => handles.includes(handle))
    for (const { id } of surplus) this.#records.delete(id)
    return surplus.length
  }
}

function whyNot(stored: SessionRecord | undefined): WriteResult {
  return stored === undefined ? 'gone' : 'conflict'
}
