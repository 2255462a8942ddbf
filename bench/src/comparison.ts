import type { Row } from './row.ts'

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

/** Our rounds and the peer's take turns, so that whatever else the machine does hits both; the median of each counts. */
export async function measure(comparison: Comparison, unit: keyof typeof nanosecondsIn): Promise<Row> {
  const { group, name, peerName, goal, times } = comparison
  const ours: number[] = []
  const peer: number[] = []
  for (let round = 0; round < rounds; round++) {
    ours.push((await nanoseconds(comparison.ours, times)) / nanosecondsIn[unit])
    peer.push((await nanoseconds(comparison.peer, times)) / nanosecondsIn[unit])
  }
  return { group, name, ours: median(ours), peer: median(peer), peerName, unit, ...(goal !== undefined && { goal }) }
}

/** Kept where the optimizer cannot prove that nobody looks at it. */
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
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
}
