import type { SessionId, SessionRecord } from '../../session/store.ts'

/** Records that one query asks for at most. */
const BATCH = 500

type Loaded = ReadonlyMap<string, SessionRecord>

/** Gathers what is asked for in one turn of the event loop, so that a hundred requests that arrive together cost one query. */
export class LoadBatch {
  readonly #loadAll: (ids: readonly SessionId[]) => Promise<Loaded>
  #waiting: Batch | undefined

  constructor(loadAll: (ids: readonly SessionId[]) => Promise<Loaded>) {
    this.#loadAll = loadAll
  }

  async load(id: SessionId): Promise<SessionRecord | undefined> {
    const batch = this.#batch()
    const first = !batch.ids.has(id)
    batch.ids.add(id)
    const record = (await batch.loaded.promise).get(id)
    return first || record === undefined ? record : { ...record }
  }

  #batch(): Batch {
    if (this.#waiting === undefined || this.#waiting.ids.size >= BATCH) {
      const batch: Batch = { ids: new Set(), loaded: Promise.withResolvers() }
      this.#waiting = batch
      // Not a microtask: each connection of a browser is read in a task of its own, all of them before the next `immediate`.
      setImmediate(() => this.#send(batch))
    }
    return this.#waiting
  }

  #send(batch: Batch): void {
    if (this.#waiting === batch) this.#waiting = undefined
    this.#loadAll([...batch.ids]).then(batch.loaded.resolve, batch.loaded.reject)
  }
}

interface Batch {
  readonly ids: Set<SessionId>
  readonly loaded: PromiseWithResolvers<Loaded>
}
