import type { Timestamp } from '../../session/store.ts'
import { placeOf, type Rows } from './rows.ts'

/** Milliseconds of expiry that share a bucket. */
export const BUCKET_WIDTH = 30_000
const LAST_BUCKET = 2 ** 31 - 1
const NONE = -1

/**
 * Rows in order of expiry, to within {@link BUCKET_WIDTH}: each bucket is a ring of rows through their `next` and
 * `previous`. A row whose expiry moves stays where it is until its old bucket is due, so that a touch costs nothing here.
 */
export class ExpiryBuckets {
  readonly #rows: Rows
  /** First row of each bucket. New buckets are mostly later ones, so the first in this Map is about the earliest. */
  readonly #rings = new Map<number, number>()
  /** The bucket being emptied. */
  #due: number = NONE
  #nothingDueUntil: Timestamp = 0

  constructor(rows: Rows) {
    this.#rows = rows
  }

  add(row: number): void {
    const bucket = bucketOf(this.#rows.expiresAt(row))
    this.#rows.page(row).bucket[placeOf(row)] = bucket
    this.#nothingDueUntil = Math.min(this.#nothingDueUntil, endOf(bucket))
    const head = this.#rings.get(bucket)
    if (head === undefined) this.#rings.set(bucket, row)
    const before = head === undefined ? row : this.#previous(head)
    this.#link(row, head ?? row)
    this.#link(before, row)
  }

  delete(row: number): void {
    const bucket = this.#rows.page(row).bucket[placeOf(row)] as number
    const next = this.#next(row)
    this.#link(this.#previous(row), next)
    if (next === row) this.#rings.delete(bucket)
    else if (this.#rings.get(bucket) === row) this.#rings.set(bucket, next)
  }

  /** Brings a row that was touched to where it belongs now. */
  move(row: number): void {
    this.delete(row)
    this.add(row)
  }

  /**
   * About the first row to expire, or -1. Rows found to have been touched are put in order on the way, `looks` at most.
   */
  earliest(looks: number): number {
    for (let left = looks; ; left--) {
      const row = this.#firstHead()
      if (row === NONE || left === 0 || this.#inOrder(row)) return row
      this.move(row)
    }
  }

  /** A row of a bucket whose time is over, or -1: it has expired or was touched since. */
  due(now: Timestamp): number {
    if (now < this.#nothingDueUntil) return NONE
    // Asked again although it was due before: a clock may be set back while a bucket is emptied.
    if (!this.#rings.has(this.#due) || endOf(this.#due) > now) this.#due = this.#findDue(now)
    return this.#rings.get(this.#due) ?? NONE
  }

  /** An expired row of the bucket whose time is now, among the `looks` first of it; or -1. */
  expiredNow(now: Timestamp, looks: number): number {
    const head = this.#rings.get(bucketOf(now)) ?? NONE
    let row = head
    for (let left = looks; row !== NONE && left > 0; left--) {
      if (this.#rows.expiresAt(row) <= now) return row
      row = this.#next(row)
      if (row === head) return NONE
    }
    return NONE
  }

  #firstHead(): number {
    for (const head of this.#rings.values()) return head
    return NONE
  }

  #inOrder(row: number): boolean {
    return this.#rows.page(row).bucket[placeOf(row)] === bucketOf(this.#rows.expiresAt(row))
  }

  #findDue(now: Timestamp): number {
    let until = Number.POSITIVE_INFINITY
    for (const bucket of this.#rings.keys()) {
      if (endOf(bucket) <= now) return bucket
      until = Math.min(until, endOf(bucket))
    }
    this.#nothingDueUntil = until
    return NONE
  }

  #link(row: number, next: number): void {
    this.#rows.page(row).next[placeOf(row)] = next
    this.#rows.page(next).previous[placeOf(next)] = row
  }

  #next(row: number): number {
    return this.#rows.page(row).next[placeOf(row)] as number
  }

  #previous(row: number): number {
    return this.#rows.page(row).previous[placeOf(row)] as number
  }
}

function bucketOf(expiresAt: Timestamp): number {
  const bucket = Math.floor(expiresAt / BUCKET_WIDTH)
  return bucket > 0 ? Math.min(bucket, LAST_BUCKET) : 0
}

function endOf(bucket: number): Timestamp {
  return (bucket + 1) * BUCKET_WIDTH
}
