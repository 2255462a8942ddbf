/** How many ids one query loads at most. */
const BATCH = 500

/** Collects the loads of one turn of the event loop, so that a hundred requests that arrive together cost one query. */
export class LoadBatch<Id extends string, Value> {
  readonly #loadAll: (ids: readonly Id[]) => Promise<ReadonlyMap<string, Value>>
  readonly #copy: (value: Value) => Value
  #waiting: Batch<Id, Value> | undefined

  /** @param copy copies a loaded value, so that callers that loaded the same id do not share it */
  constructor(loadAll: (ids: readonly Id[]) => Promise<ReadonlyMap<string, Value>>, copy: (value: Value) => Value) {
    this.#loadAll = loadAll
    this.#copy = copy
  }

  async load(id: Id): Promise<Value | undefined> {
    const batch = this.#batch()
    const first = !batch.ids.has(id)
    batch.ids.add(id)
    const value = (await batch.loaded.promise).get(id)
    return first || value === undefined ? value : this.#copy(value)
  }

  #batch(): Batch<Id, Value> {
    if (this.#waiting === undefined || this.#waiting.ids.size >= BATCH) {
      const batch: Batch<Id, Value> = { ids: new Set(), loaded: Promise.withResolvers() }
      this.#waiting = batch
      // Not a microtask: Node reads each connection in its own task, and all of them before the next `immediate`.
      setImmediate(() => this.#send(batch))
    }
    return this.#waiting
  }

  #send(batch: Batch<Id, Value>): void {
    if (this.#waiting === batch) this.#waiting = undefined
    this.#loadAll([...batch.ids]).then(batch.loaded.resolve, batch.loaded.reject)
  }
}

interface Batch<Id, Value> {
  readonly ids: Set<Id>
  readonly loaded: PromiseWithResolvers<ReadonlyMap<string, Value>>
}
