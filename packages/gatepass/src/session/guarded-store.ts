import type { Awaitable } from '../awaitable.ts'
import { type ErrorCode, GatepassError, StoreError } from '../error.ts'
import type { SessionId, SessionRecord, SessionStore, SubjectIndex, Timestamp, WriteResult } from './store.ts'

/**
 * Wraps an application's store for the engine. An error that is not Gatepass's own becomes a {@link StoreError}, and every thenable becomes a real
 * promise (query builders return objects that only have a `then`).
 */
export class GuardedStore implements SessionStore {
  readonly #store: SessionStore

  constructor(store: SessionStore) {
    this.#store = store
  }

  load(id: SessionId): Awaitable<SessionRecord | undefined> {
    try {
      const answer = this.#store.load(id)
      return answer && 'then' in answer ? promised(answer) : answer
    } catch (error) {
      throw failed(error)
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

/** Calls a store and turns errors that are not Gatepass's own into a {@link StoreError}. */
export function guarded<T>(call: () => Awaitable<T>, what?: string): Awaitable<T> {
  try {
    const answer = call()
    return typeof answer === 'object' && answer !== null && 'then' in answer ? promised(answer, what) : answer
  } catch (error) {
    throw failed(error, what)
  }
}

async function promised<T>(answer: Awaitable<T>, what?: string): Promise<T> {
  try {
    return await answer
  } catch (error) {
    throw failed(error, what)
  }
}

function failed(error: unknown, what = 'session store'): GatepassError {
  return storeError(error, () => ({
    message: `The ${what} failed`,
    hint: 'See the cause. Until it works again, requests that need it are answered with 503.',
  }))
}

/** What an error that is not Gatepass's own means to an operator. */
export interface Failure {
  /** Default `ERR_STORE_UNAVAILABLE`. */
  readonly code?: ErrorCode
  readonly message: string
  readonly hint: string
  /** Default: the error itself. */
  readonly cause?: unknown
}

/** What a store throws for an error of its driver. An error of Gatepass stays as it is. */
export function storeError(error: unknown, failureOf: (error: unknown) => Failure): GatepassError {
  if (error instanceof GatepassError) return error
  const { code = 'ERR_STORE_UNAVAILABLE', message, hint, cause = error } = failureOf(error)
  return new StoreError(code, message, { hint, cause })
}
