import { setTimeout as sleep } from 'node:timers/promises'

/** Seconds after which something has failed, and is not slow: shorter than a test may take, so that the reason is told. */
const PATIENCE = 100

/** Waits until the condition holds. For changes whose time only the engine decides. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE * 1000
  while (!(await condition())) {
    if (performance.now() > end) throw new Error('it has not happened in time')
    await sleep(20)
  }
}

/**
 * Waits until `check` fails no more, and returns what it returned. The last failure is thrown.
 *
 * @param pause milliseconds between two checks
 */
export async function eventually<T>(check: () => T | Promise<T>, pause = 20): Promise<T> {
  const end = performance.now() + PATIENCE * 1000
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (performance.now() > end) throw error
    }
    await sleep(pause)
  }
}
