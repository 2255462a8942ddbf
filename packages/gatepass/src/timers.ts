// The timers as they were when this file was loaded. Tests replace the global ones by timers that they move themselves, and a
// store's answer, or the time limit on it, must not wait for that.

export const setImmediate: typeof globalThis.setImmediate = globalThis.setImmediate
export const setTimeout: typeof globalThis.setTimeout = globalThis.setTimeout
export const clearTimeout: typeof globalThis.clearTimeout = globalThis.clearTimeout
export const nextTick: typeof process.nextTick = process.nextTick
/** Milliseconds of a clock that only goes forward. (The tests of Jest 26 have no `performance`.) */
export const now: () => number = typeof performance === 'undefined' ? Date.now : performance.now.bind(performance)
