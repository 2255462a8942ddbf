import type { Timestamp } from '../session/store.ts'

/** Time that stands still until it is told to move: pass it wherever a `clock` is taken. */
export interface TestClock {
  (): Timestamp
  advance(seconds: number): void
}

/** @param start epoch milliseconds; default noon of 1 January 2026, UTC */
export function testClock(start: Timestamp = Date.UTC(2026, 0, 1, 12)): TestClock {
  let now = start
  return Object.assign(() => now, {
    advance(seconds: number) {
      now += seconds * 1000
    },
  })
}
