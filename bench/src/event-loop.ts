import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'

/** Milliseconds in which nothing else could run. */
export interface Stall {
  /** The longest by the clock. It includes other processes, and waiting for a disk. */
  readonly elapsed: number
  /** The longest that this thread computed without a break. */
  readonly computing: number
}

/** The longest stalls during `work`. */
export async function longestStallDuring(work: () => Promise<void>): Promise<Stall> {
  let last = now()
  const longest = { elapsed: 0, computing: 0 }
  const tick = () => {
    const current = now()
    longest.elapsed = Math.max(longest.elapsed, current.elapsed - last.elapsed)
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

function now(): Stall {
  const { user, system } = process.threadCpuUsage()
  return { elapsed: performance.now(), computing: (user + system) / 1000 }
}
