import { setTimeout as sleep } from 'node:timers/promises'
import { StoreError } from 'gatepass'
import type { SessionId, SessionRecord, SessionStore } from 'gatepass/session'
import { expect } from 'vitest'
import { recordAt } from '../../src/testing/store-records.ts'
import { eventually } from './until.ts'

/** An anonymous session that begins now. */
export function session(differing: Partial<SessionRecord> = {}): SessionRecord {
  return recordAt(Date.now(), { expiresAt: Date.now() + 600_000, ...differing })
}

/** The error of every operation while the engine is away. */
export const unavailable: unknown = expect.objectContaining({
  code: 'ERR_STORE_UNAVAILABLE',
  status: 503,
  retryAfter: 1,
})

/** Begins sessions, changes them and ends some. It notes which writes were acknowledged. */
export class Visitor {
  /** The version of each session that was acknowledged. */
  readonly acknowledged = new Map<SessionId, number>()
  readonly ended = new Set<SessionId>()
  readonly errors: unknown[] = []
  /** A write that failed may have been done or not. */
  readonly doubtful = new Set<SessionId>()
  #stopped = false
  #visits = 0

  stop(): void {
    this.#stopped = true
  }

  async keepVisiting(store: SessionStore, subject: string): Promise<void> {
    while (!this.#stopped) await this.#visit(store, session({ subject }))
  }

  async #visit(store: SessionStore, record: SessionRecord): Promise<void> {
    const { id } = record
    try {
      await this.#tell(id, () => store.insert(record))
      this.acknowledged.set(id, 1)
      await this.#tell(id, () => store.replace({ ...record, version: 2 }, 1))
      this.acknowledged.set(id, 2)
      if (++this.#visits % 2 === 0) return
      await this.#tell(id, () => store.remove(id, 2))
      this.ended.add(id)
    } catch {
      // If every attempt fails at once, the process needs time to notice that the server is back.
      await sleep(5)
    }
  }

  async #tell(id: SessionId, write: () => unknown): Promise<void> {
    try {
      await write()
    } catch (error) {
      this.errors.push(error)
      this.doubtful.add(id)
      throw error
    }
  }
}

/**
 * Checks that no acknowledged write is lost, and that no ended session is back.
 *
 * @returns how many sessions were checked
 */
export async function expectKept(store: SessionStore, visitors: readonly Visitor[]): Promise<number> {
  let seen = 0
  for (const { acknowledged, ended, doubtful } of visitors) {
    for (const [id, version] of acknowledged) {
      const record = await store.load(id)
      if (ended.has(id)) expect(record).toBeUndefined()
      else if (!doubtful.has(id)) expect(record?.version).toBe(version)
      // A change that failed may have been made; an ending that failed may have ended it.
      else if (version === 1) expect(record?.version).toBeGreaterThanOrEqual(1)
      else if (record !== undefined) expect(record.version).toBe(2)
      seen++
    }
  }
  return seen
}

/** Eight visitors at once, until `end`. */
export class Load {
  readonly visitors: readonly Visitor[] = Array.from({ length: 8 }, () => new Visitor())
  readonly #visiting: Promise<unknown>

  constructor(store: SessionStore, name: string) {
    this.#visiting = Promise.all(this.visitors.map((visitor, n) => visitor.keepVisiting(store, `${name} ${n}`)))
  }

  get errors(): unknown[] {
    return this.visitors.flatMap(({ errors }) => errors)
  }

  /** Until so many more sessions were acknowledged. */
  async goesOn(sessions: number): Promise<void> {
    const before = this.#acknowledged
    await eventually(() => expect(this.#acknowledged).toBeGreaterThan(before + sessions))
  }

  /** Until every one of them was refused something. */
  async isRefused(): Promise<void> {
    await eventually(() => expect(this.visitors.every(({ errors }) => errors.length > 0)).toBe(true))
  }

  /** Stops the visitors. Every failure must have been a 503. */
  async end(): Promise<void> {
    for (const visitor of this.visitors) visitor.stop()
    await this.#visiting
    expect(this.errors.filter((error) => !(error instanceof StoreError))).toEqual([])
    expect(this.errors).toEqual(this.errors.map(() => unavailable))
  }

  get #acknowledged(): number {
    return this.visitors.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0)
  }
}
