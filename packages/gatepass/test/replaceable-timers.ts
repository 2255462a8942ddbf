// Takes the place of `src/timers.ts` in tests that move the clock:
//     vi.mock('../timers.ts', () => import('../../test/replaceable-timers.ts'))

export const setImmediate: (...args: Parameters<typeof globalThis.setImmediate>) => NodeJS.Immediate = (...args) =>
  globalThis.setImmediate(...args)

export const setTimeout: (...args: Parameters<typeof globalThis.setTimeout>) => NodeJS.Timeout = (...args) =>
  globalThis.setTimeout(...args)

export const clearTimeout: typeof globalThis.clearTimeout = (timeout) => globalThis.clearTimeout(timeout)

export const nextTick: typeof process.nextTick = (...args) => process.nextTick(...args)

export const now: typeof performance.now = () => performance.now()
