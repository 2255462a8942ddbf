/** A line of the table that `npm run bench` prints: the same work, by Gatepass and by a peer in the same run. */
export interface Row {
  group: string
  name: string
  ours: number
  peer: number
  peerName: string
  unit: string
  /** In words, what `ours` should be. */
  goal?: string
}

/** The same work, done by Gatepass and by a peer. */
export interface Comparison {
  readonly group: string
  readonly name: string
  readonly peerName: string
  readonly goal?: string
  /** Repetitions in one round. */
  readonly times: number
  ours(): unknown
  peer(): unknown
}

export const rounds = 21

const nanosecondsIn = { ns: 1, µs: 1000 } as const

/** Takes the median of each side's rounds. The sides take turns, so that other work on the machine disturbs both. */
export async function measure(comparison: Comparison, unit: keyof typeof nanosecondsIn): Promise<Row> {
  const { group, name, peerName, goal, times } = comparison
  const [ours, peer]: [number[], number[]] = [[], []]
  for (let round = 0; round < rounds; round++) {
    ours.push((await nanoseconds(comparison.ours, times)) / nanosecondsIn[unit])
    peer.push((await nanoseconds(comparison.peer, times)) / nanosecondsIn[unit])
  }
  return { group, name, ours: median(ours), peer: median(peer), peerName, unit, ...(goal !== undefined && { goal }) }
}

/** Holds each result, so that the optimizer cannot remove the work. */
export let lastResult: unknown

export function keep(result: unknown): void {
  lastResult = result
}

async function nanoseconds(work: () => unknown, times: number): Promise<number> {
  const start = process.hrtime.bigint()
  for (let i = 0; i < times; i++) {
    const result = work()
    lastResult = result instanceof Promise ? await result : result
  }
  return Number(process.hrtime.bigint() - start) / times
}

export function median(numbers: readonly number[]): number {
  return estimate(numbers).median
}

export interface Estimate {
  readonly median: number
  /** Half of the values lie between them. */
  readonly quartiles: readonly [number, number]
  readonly range: readonly [number, number]
  /** Holds the median with 95 % probability. */
  readonly interval: readonly [number, number]
}

/** What repeated measurements of one thing say. */
export function estimate(values: readonly number[]): Estimate {
  const sorted = values.toSorted((a, b) => a - b)
  const last = sorted.length - 1
  const at = (place: number): number => sorted[Math.round(place)] ?? Number.NaN
  // Whether a value lies below the median is a toss of a coin, so the interval needs no assumption about their distribution.
  const outside = Math.max(Math.floor((sorted.length - 1.96 * Math.sqrt(sorted.length)) / 2), 0)
  return {
    median: at(last / 2),
    quartiles: [at(last / 4), at((last * 3) / 4)],
    range: [at(0), at(last)],
    interval: [at(outside), at(last - outside)],
  }
}

/** @returns whether `value` is within the noise of the estimate */
export function within(value: number, { interval: [low, high] }: Estimate): boolean {
  return low <= value && value <= high
}

/** Measures one engine after another. If one does not answer, an error names it, and the others are measured. */
export async function ofEach<T>(names: readonly string[], work: (name: string) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (const name of names) {
    try {
      results.push(await work(name))
    } catch (error) {
      console.error(`${name} is NOT MEASURED: ${error instanceof Error ? error.message : error}`)
    }
  }
  return results
}

/** A table in Markdown, its columns aligned. */
export function tableLines(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, n) => cell.padEnd(widths[n] ?? 0)).join(' | ')} |`
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)]
}
