import { type Awaitable, settled } from '../awaitable.ts'
import { GatepassError, StoreError } from '../error.ts'
import type { SessionId, SessionRecord, SessionStore, SubjectIndex, Timestamp, WriteResult } from './store.ts'

/**
 * Wraps an application's store for the engine. Every error becomes a {@link StoreError}, and every thenable becomes a real
 * promise (query builders return objects that only have a `then`).
 */
export class GuardedStore implements SessionStore {
  readonly #store: SessionStore

  constructor(store: SessionStore) {
    this.#store = store
  }

  load(id: SessionId): Awaitable<SessionRecord | undefined> {
    try {
      return failingAsStore(this.#store.load(id))
    } catch (error) {
      throw storeError(error)
    }
  }

  insert(record: SessionRecord): Awaitable<void> {
    return guarded(() => this.#store.insert(record))
  }

  replace(record: SessionRecord, expectedVersion: number): Awaitable<WriteResult> {
    return guarded(() => this.#store.replace(record, expectedVersion))
  }

  touch(id: SessionId, seenAt: Timestamp, expiresAt: Timestamp): Awaitable<WriteResult> {
    return guarded(() => this.#store.touch(id, seenAt, expiresAt))
  }

  remove(id: SessionId, expectedVersion?: number): Awaitable<WriteResult> {
    return guarded(() => this.#store.remove(id, expectedVersion))
  }
}

/** Does the same for a SubjectIndex. */
export class GuardedIndex implements SubjectIndex {
  readonly #index: SubjectIndex

  constructor(index: SubjectIndex) {
    this.#index = index
  }

  listBySubject(subject: string): Awaitable<SessionRecord[]> {
    return guarded(() => this.#index.listBySubject(subject))
  }

  removeBySubject(subject: string, except?: SessionId): Awaitable<number> {
    return guarded(() => this.#index.removeBySubject(subject, except))
  }

  insertWithin(record: SessionRecord, limit: number): Awaitable<number> {
    return guarded(() => this.#index.insertWithin(record, limit))
  }
}

/** Calls a store and turns every error into a {@link StoreError}. */
export function guarded<T>(call: () => Awaitable<T>, what: string = SESSIONS): Awaitable<T> {
  try {
    return failingAsStore(call(), what)
  } catch (error) {
    throw storeError(error, what)
  }
}

const SESSIONS = 'session store'

function failingAsStore<T>(answer: Awaitable<T>, what = SESSIONS): Awaitable<T> {
  const settling = settled(answer)
  if (!(settling instanceof Promise)) return settling
  return settling.catch((error: unknown) => {
    throw storeError(error, what)
  })
}

function storeError(error: unknown, what = SESSIONS): GatepassError {
  if (error instanceof GatepassError) return error
  return new StoreError('ERR_STORE_UNAVAILABLE', `The ${what} failed`, {
    hint: 'See the cause. Until it works again, requests that need it are answered with 503.',
    cause: error,
  })
}
