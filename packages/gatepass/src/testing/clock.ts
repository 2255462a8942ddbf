import type { Timestamp } from '../session/store.ts'

/** A clock that stands still until the test moves it. Pass it as an option `clock`. */
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
