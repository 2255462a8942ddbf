import { openSync, readSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'

/** Milliseconds in which nothing else could run. */
export interface Stall {
  /** The longest by the clock. It includes other processes, and waiting for a disk. */
  readonly elapsed: number
  /** The longest, less the time in which other processes had the cores: what this process itself did or waited for. */
  readonly own: number
  /** The longest that this thread computed without a break. */
  readonly computing: number
}

/** The longest stalls during `work`. */
export async function longestStallDuring(work: () => Promise<void>): Promise<Stall> {
  let last = now()
  const longest = { elapsed: 0, own: 0, computing: 0 }
  const tick = () => {
    const current = now()
    const elapsed = current.elapsed - last.elapsed
    longest.elapsed = Math.max(longest.elapsed, elapsed)
    longest.own = Math.max(longest.own, elapsed - (current.queued - last.queued))
    longest.computing = Math.max(longest.computing, current.computing - last.computing)
    last = current
  }
  const ticker = setInterval(tick, 0)
  try {
    await work()
    await pause(5)
    tick()
  } finally {
    clearInterval(ticker)
  }
  return longest
}

function now() {
  const { user, system } = process.threadCpuUsage()
  return { elapsed: performance.now(), computing: (user + system) / 1000, queued: queuedTime() }
}

const schedstat = openedIfThere('/proc/thread-self/schedstat')
const text: Buffer = Buffer.alloc(100)

/** Milliseconds in which this thread was ready and had no core (Documentation/scheduler/sched-stats.rst); 0 outside Linux. */
export function queuedTime(): number {
  if (schedstat === undefined) return 0
  const length = readSync(schedstat, text, 0, text.length, 0)
  return Number(text.subarray(0, length).toString().split(' ')[1]) / 1e6
}

function openedIfThere(file: string): number | undefined {
  try {
    return openSync(file, 'r')
  } catch {
    return undefined
  }
}
