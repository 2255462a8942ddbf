import { setImmediate } from '../timers.ts'

/** How many keys one command or query asks for at most, because the engine does nothing else meanwhile. */
const MOST_AT_ONCE = 500

/**
 * Collects the lookups of one turn of the event loop and sends them together: a hundred requests that arrive together cost one
 * query. Nothing is kept beyond the turn, so that an answer is never older than its question.
 */
export class Lookups<Key extends string, Found> {
  readonly #ask: (keys: readonly Key[]) => Promise<ReadonlyMap<Key, Found>>
  readonly #groupOf: (key: Key) => unknown
  #waiting = new Map<Key, PromiseWithResolvers<Found | undefined>>()

  /** @param groupOf only keys of the same group are asked for together */
  constructor(
    ask: (keys: readonly Key[]) => Promise<ReadonlyMap<Key, Found>>,
    groupOf: (key: Key) => unknown = () => undefined,
  ) {
    this.#ask = ask
    this.#groupOf = groupOf
  }

  find(key: Key): Promise<Found | undefined> {
    const known = this.#waiting.get(key)
    if (known !== undefined) return known.promise
    // Not a microtask: Node reads each connection in its own task, and all of them before the next `immediate`.
    if (this.#waiting.size === 0) setImmediate(() => this.#send())
    const waiting = Promise.withResolvers<Found | undefined>()
    this.#waiting.set(key, waiting)
    return waiting.promise
  }

  #send(): void {
    const collected = this.#waiting
    this.#waiting = new Map()
    for (const keys of Map.groupBy(collected.keys(), this.#groupOf).values()) {
      for (let from = 0; from < keys.length; from += MOST_AT_ONCE) {
        void this.#askFor(keys.slice(from, from + MOST_AT_ONCE), collected)
      }
    }
  }

  async #askFor(
    keys: readonly Key[],
    collected: ReadonlyMap<Key, PromiseWithResolvers<Found | undefined>>,
  ): Promise<void> {
    try {
      const found = await this.#ask(keys)
      for (const key of keys) collected.get(key)?.resolve(found.get(key))
    } catch (error) {
      for (const key of keys) collected.get(key)?.reject(error)
    }
  }
}
