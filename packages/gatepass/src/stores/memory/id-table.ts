import type { SessionId } from '../../session/store.ts'
import { KEY_WORDS, placeOf, type Rows } from './rows.ts'

/** One Map of a million keys stops the process for 40 ms when it grows; one of these for a fraction of a millisecond. */
const SHARD_BITS = 9
const SMALLEST = 8
const ABSENT = -1

const NOT_HEX = 0xff
const hexDigits = new Uint8Array(128).fill(NOT_HEX)
for (let digit = 0; digit < 16; digit++) hexDigits['0123456789abcdef'.charCodeAt(digit)] = digit

/** The key looked for, packed: written by `pack`, read before anything else runs. */
const sought = new Uint32Array(KEY_WORDS)

/**
 * Which row a session id is in. An id of 64 hex digits takes 32 bytes in its row and 5 to 11 here, against 120 as the
 * key of a Map. Other ids are kept as they are.
 *
 * Ids are hashes of random tokens, and only the engine chooses what is inserted: their own bits place them well enough.
 */
export class IdTable {
  readonly #rows: Rows
  readonly #shards: (Shard | undefined)[] = new Array<undefined>(1 << SHARD_BITS).fill(undefined)
  readonly #otherRows = new Map<string, number>()
  readonly #otherIds = new Map<number, SessionId>()

  constructor(rows: Rows) {
    this.#rows = rows
  }

  /** @returns the row, or -1 */
  find(id: SessionId): number {
    if (!pack(id)) return this.#otherRows.get(id) ?? ABSENT
    const place = placeOfKey(sought, 0)
    return this.#shards[place >>> (32 - SHARD_BITS)]?.find(place) ?? ABSENT
  }

  add(id: SessionId, row: number): void {
    if (!pack(id)) {
      this.#otherRows.set(id, row)
      this.#otherIds.set(row, id)
      return
    }
    const place = placeOfKey(sought, 0)
    this.#rows.page(row).key.set(sought, placeOf(row) * KEY_WORDS)
    this.#shard(place >>> (32 - SHARD_BITS)).add(place, row)
  }

  delete(row: number): void {
    const other = this.#otherIds.get(row)
    if (other !== undefined) {
      this.#otherIds.delete(row)
      this.#otherRows.delete(other)
      return
    }
    const place = placeOfRow(this.#rows, row)
    this.#shards[place >>> (32 - SHARD_BITS)]?.delete(place, row)
  }

  idOf(row: number): SessionId {
    return this.#otherIds.get(row) ?? unpack(this.#rows, row)
  }

  #shard(number: number): Shard {
    const shard = this.#shards[number] ?? new Shard(this.#rows)
    this.#shards[number] = shard
    return shard
  }
}

/** Open addressing with linear probing; a cell holds a row plus one, zero is empty. */
class Shard {
  readonly #rows: Rows
  #cells = new Int32Array(SMALLEST)
  #used = 0

  constructor(rows: Rows) {
    this.#rows = rows
  }

  find(place: number): number {
    const mask = this.#cells.length - 1
    for (let at = place & mask; ; at = (at + 1) & mask) {
      const row = (this.#cells[at] as number) - 1
      if (row === ABSENT || holdsSought(this.#rows, row)) return row
    }
  }

  add(place: number, row: number): void {
    if ((this.#used + 1) * 4 > this.#cells.length * 3) this.#resize(this.#cells.length * 2)
    this.#put(place, row)
    this.#used++
  }

  delete(place: number, row: number): void {
    const mask = this.#cells.length - 1
    let hole = place & mask
    while (this.#cells[hole] !== row + 1) hole = (hole + 1) & mask
    this.#closeHole(hole)
    this.#used--
    if (this.#used * 4 < this.#cells.length && this.#cells.length > SMALLEST) this.#resize(this.#cells.length / 2)
  }

  /** Moves later cells of the run back, so that no search stops short and no marker of the deleted is needed. */
  #closeHole(start: number): void {
    const mask = this.#cells.length - 1
    let hole = start
    for (let at = (hole + 1) & mask; this.#cells[at] !== 0; at = (at + 1) & mask) {
      const cell = this.#cells[at] as number
      const home = placeOfRow(this.#rows, cell - 1) & mask
      if (((at - home) & mask) < ((at - hole) & mask)) continue
      this.#cells[hole] = cell
      hole = at
    }
    this.#cells[hole] = 0
  }

  #resize(length: number): void {
    const cells = this.#cells
    this.#cells = new Int32Array(length)
    for (const cell of cells) if (cell !== 0) this.#put(placeOfRow(this.#rows, cell - 1), cell - 1)
  }

  #put(place: number, row: number): void {
    const mask = this.#cells.length - 1
    let at = place & mask
    while (this.#cells[at] !== 0) at = (at + 1) & mask
    this.#cells[at] = row + 1
  }
}

function placeOfRow(rows: Rows, row: number): number {
  return placeOfKey(rows.page(row).key, placeOf(row) * KEY_WORDS)
}

/** Its first bits choose the shard, its last the cell. Mixed, so that ids counted up by a test spread as well. */
function placeOfKey(key: Uint32Array, start: number): number {
  const bits = (key[start] as number) ^ (key[start + KEY_WORDS - 1] as number)
  const mixed = Math.imul(bits, 0x9e3779b1)
  return (mixed ^ (mixed >>> 15)) >>> 0
}

function holdsSought(rows: Rows, row: number): boolean {
  const key = rows.page(row).key
  const start = placeOf(row) * KEY_WORDS
  for (let word = 0; word < KEY_WORDS; word++) if (key[start + word] !== sought[word]) return false
  return true
}

/** Writes the id's 256 bits to `sought`; false if it is anything else than 64 lower-case hex digits. */
function pack(id: string): boolean {
  if (id.length !== KEY_WORDS * 8) return false
  for (let word = 0; word < KEY_WORDS; word++) {
    const value = packWord(id, word * 8)
    if (value < 0) return false
    sought[word] = value
  }
  return true
}

// Written out: a loop over the digits takes a third longer, and this runs with every request.
function packWord(id: string, at: number): number {
  const a = hexDigit(id, at)
  const b = hexDigit(id, at + 1)
  const c = hexDigit(id, at + 2)
  const d = hexDigit(id, at + 3)
  const e = hexDigit(id, at + 4)
  const f = hexDigit(id, at + 5)
  const g = hexDigit(id, at + 6)
  const h = hexDigit(id, at + 7)
  if ((a | b | c | d | e | f | g | h) > 15) return -1
  return ((a << 28) | (b << 24) | (c << 20) | (d << 16) | (e << 12) | (f << 8) | (g << 4) | h) >>> 0
}

function hexDigit(id: string, at: number): number {
  return hexDigits[id.charCodeAt(at)] ?? NOT_HEX
}

function unpack(rows: Rows, row: number): SessionId {
  const start = placeOf(row) * KEY_WORDS
  const words = rows.page(row).key.subarray(start, start + KEY_WORDS)
  return Array.from(words, (word) => word.toString(16).padStart(8, '0')).join('') as SessionId
}
