/** Fewer keys per Map, so that growing one never stops the process for long. */
const SHARDS = 512
const NO_ROWS: readonly number[] = []

/** Which rows belong to a subject. Most have one: it is kept as a bare number, and a Set is made for the second. */
export class SubjectTable {
  readonly #shards = Array.from({ length: SHARDS }, () => new Map<string, number | Set<number>>())

  rowsOf(subject: string): Iterable<number> {
    const rows = this.#shard(subject).get(subject)
    if (rows === undefined) return NO_ROWS
    return typeof rows === 'number' ? [rows] : rows
  }

  add(subject: string, row: number): void {
    const shard = this.#shard(subject)
    const rows = shard.get(subject)
    if (rows === undefined) shard.set(subject, row)
    else if (typeof rows === 'number') shard.set(subject, new Set([rows, row]))
    else rows.add(row)
  }

  delete(subject: string, row: number): void {
    const shard = this.#shard(subject)
    const rows = shard.get(subject)
    if (typeof rows === 'object') rows.delete(row)
    if (rows === row || (typeof rows === 'object' && rows.size === 0)) shard.delete(subject)
  }

  #shard(subject: string): Map<string, number | Set<number>> {
    return this.#shards[hash(subject) % SHARDS] as Map<string, number | Set<number>>
  }
}

/** FNV-1a: spreads subjects over shards; a bad spread costs time to grow, nothing else. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193)
  return value >>> 0
}
