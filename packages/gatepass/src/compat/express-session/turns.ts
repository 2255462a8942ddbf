import type { Awaitable } from '../../awaitable.ts'

/** Work that waits for its turn: whatever has the same key is done one after another, at once where nothing is under way. */
export class Turns {
  readonly #last = new Map<unknown, Promise<void>>()

  take<T>(key: unknown, work: () => Awaitable<T>): Awaitable<T> {
    const before = this.#last.get(key)
    const working = before === undefined ? work() : before.then(work)
    if (!(working instanceof Promise)) return working
    const over: Promise<void> = working.then(nothing, nothing).then(() => {
      if (this.#last.get(key) === over) this.#last.delete(key)
    })
    this.#last.set(key, over)
    return working
  }
}

function nothing(): void {}
