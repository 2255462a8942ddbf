import type { Engine } from './engine.ts'

/** Keys that one command asks for at most: the server does nothing else meanwhile. */
const MOST_AT_ONCE = 256

type Answer = Promise<string | null>

interface Waiting {
  readonly answer: Answer
  resolve(value: string | null): void
  reject(error: unknown): void
}

/**
 * Collects what is looked up in one turn of the event loop, and asks for it in one command: in a cluster, one for each
 * slot. Nothing is kept beyond the turn, so that an answer is never older than its question.
 */
export class Lookups {
  readonly #engine: Engine
  #waiting = new Map<string, Waiting>()

  constructor(engine: Engine) {
    this.#engine = engine
  }

  find(key: string): Answer {
    const known = this.#waiting.get(key)
    if (known !== undefined) return known.answer
    // Not a microtask: between two requests of a turn there are some.
    if (this.#waiting.size === 0) setImmediate(() => this.#flush())
    const waiting = Promise.withResolvers<string | null>()
    const entry = { answer: waiting.promise, resolve: waiting.resolve, reject: waiting.reject }
    this.#waiting.set(key, entry)
    return entry.answer
  }

  #flush(): void {
    const collected = this.#waiting
    this.#waiting = new Map()
    for (const keys of this.#groups(collected.keys())) void this.#ask(keys, collected)
  }

  #groups(keys: Iterable<string>): Iterable<string[]> {
    const groups = Map.groupBy(keys, (key) => this.#engine.topology.groupOf(key))
    return [...groups.values()].flatMap(slices)
  }

  async #ask(keys: readonly string[], waiting: ReadonlyMap<string, Waiting>): Promise<void> {
    try {
      const values = await this.#engine.get(keys)
      for (const [n, key] of keys.entries()) waiting.get(key)?.resolve(values[n] ?? null)
    } catch (error) {
      for (const key of keys) waiting.get(key)?.reject(error)
    }
  }
}

function slices(keys: string[]): string[][] {
  if (keys.length <= MOST_AT_ONCE) return [keys]
  return [keys.slice(0, MOST_AT_ONCE), ...slices(keys.slice(MOST_AT_ONCE))]
}
