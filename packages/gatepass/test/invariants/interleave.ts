import type { SessionId, SessionRecord, SessionStore, SubjectIndex, Timestamp, WriteResult } from 'gatepass/session'

type Call = () => void

/** A store whose calls wait until the test lets the next one through: every order of calls can be tried. */
export class SteppingStore implements SessionStore, SubjectIndex {
  readonly #store: SessionStore & SubjectIndex
  readonly #waiting: Call[] = []
  /** What was called, in the order in which it took effect. */
  readonly calls: string[] = []

  constructor(store: SessionStore & SubjectIndex) {
    this.#store = store
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Lets one of the waiting calls through. */
  step(which: number): void {
    this.#waiting.splice(which, 1)[0]?.()
  }

  load(id: SessionId): Promise<SessionRecord | undefined> {
    return this.#wait('load', () => this.#store.load(id))
  }

  insert(record: SessionRecord): Promise<void> {
    return this.#wait('insert', () => this.#store.insert(record))
  }

  replace(record: SessionRecord, expectedVersion: number): Promise<WriteResult> {
    return this.#wait('replace', () => this.#store.replace(record, expectedVersion))
  }

  touch(id: SessionId, seenAt: Timestamp, expiresAt: Timestamp): Promise<WriteResult> {
    return this.#wait('touch', () => this.#store.touch(id, seenAt, expiresAt))
  }

  remove(id: SessionId, expectedVersion?: number): Promise<WriteResult> {
    return this.#wait('remove', () => this.#store.remove(id, expectedVersion))
  }

  listBySubject(subject: string): Promise<SessionRecord[]> {
    return this.#wait('listBySubject', () => this.#store.listBySubject(subject))
  }

  removeBySubject(subject: string, except?: SessionId): Promise<number> {
    return this.#wait('removeBySubject', () => this.#store.removeBySubject(subject, except))
  }

  insertWithin(record: SessionRecord, limit: number): Promise<number> {
    return this.#wait('insertWithin', () => this.#store.insertWithin(record, limit))
  }

  #wait<T>(name: string, call: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => {
        this.calls.push(name)
        try {
          resolve(call())
        } catch (error) {
          reject(error)
        }
      })
    })
  }
}

/** Requests that run at the same time on one store, and what must be true afterwards, whatever the order. */
export interface Scenario {
  readonly store: SteppingStore
  readonly requests: readonly (() => Promise<unknown>)[]
  readonly check: () => void | Promise<void>
}

/**
 * Runs a scenario once for every order in which the store calls of its requests can take effect.
 *
 * @returns how many orders there were
 */
export async function everyInterleaving(begin: () => Promise<Scenario>): Promise<number> {
  let choices: number[] | undefined = []
  let count = 0
  while (choices !== undefined) {
    const taken = await runOnce(await begin(), choices)
    count++
    choices = nextChoices(taken)
  }
  return count
}

interface Taken {
  readonly choice: number
  readonly among: number
}

async function runOnce(scenario: Scenario, choices: readonly number[]): Promise<Taken[]> {
  const { store } = scenario
  const taken: Taken[] = []
  const outcome = Promise.allSettled(scenario.requests.map((request) => request()))
  await quiet()
  while (store.waiting > 0) {
    const choice = choices[taken.length] ?? 0
    taken.push({ choice, among: store.waiting })
    store.step(choice)
    await quiet()
  }
  const failed = (await outcome).find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  await scenario.check()
  return taken
}

/** The next order in depth-first sequence. */
function nextChoices(taken: readonly Taken[]): number[] | undefined {
  const last = taken.findLastIndex(({ choice, among }) => choice + 1 < among)
  if (last === -1) return undefined
  return taken.slice(0, last + 1).map(({ choice }, at) => (at === last ? choice + 1 : choice))
}

/** Until nothing moves any more without the store. */
function quiet(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
