import assert from 'node:assert/strict'
import type { Awaitable } from '../awaitable.ts'
import { hasSubjectIndex, type SessionStore, type SubjectIndex } from '../session/store.ts'
import { type TestClock, testClock } from './clock.ts'
import { storeCases, subjectCases } from './store-cases.ts'
import { interleavings } from './store-interleavings.ts'

/** The store of one test. Each test makes a new one. */
export interface StoreUnderTest {
  /** A store without records. */
  readonly store: SessionStore
  /** The same records through another connection, which every second request of a test uses. Default: `store` itself. */
  readonly second?: SessionStore
  close?(): Awaitable<void>
}

/** The functions of your test runner, and what the store offers. */
export interface StoreSuiteOptions {
  /** `test` of vitest or node:test, or another function that registers a test with a name. */
  test(name: string, body: () => Promise<void>): unknown
  /** Groups the tests under the suite's name. Without it, each test's name begins with the suite's name. */
  describe?(name: string, body: () => void): unknown
  /** False for a store that is not a `SubjectIndex`. Default true. */
  subjectIndex?: boolean
}

/** What every test gets: a new store, through two connections that may be the same. */
export interface Fixture {
  readonly store: SessionStore & SubjectIndex
  readonly second: SessionStore & SubjectIndex
  readonly clock: TestClock
}

/**
 * Registers the tests that every session store must pass: the four rules of `SessionStore` one by one, then two and three
 * requests in every possible order of their steps.
 *
 * ```ts
 * import { storeSuite } from 'gatepass/testing'
 * import { memoryStore } from 'gatepass/stores/memory'
 * import { describe, test } from 'node:test'
 *
 * storeSuite('memory', ({ clock }) => ({ store: memoryStore({ clock }) }), { test, describe })
 * ```
 *
 * @param make makes a store without records that uses `clock`
 */
export function storeSuite(
  name: string,
  make: (context: { readonly clock: TestClock }) => Awaitable<StoreUnderTest>,
  options: StoreSuiteOptions,
): void {
  const indexed = options.subjectIndex ?? true
  const cases = { ...storeCases, ...(indexed && subjectCases), ...interleavings(indexed) }
  const { describe } = options
  const prefix = describe === undefined ? `${name}: ` : ''
  const register = () => {
    for (const [title, run] of Object.entries(cases)) {
      options.test(`${prefix}${title}`, () => withStore({ make, indexed }, run))
    }
  }
  if (describe === undefined) register()
  else describe(name, register)
}

async function withStore(
  { make, indexed }: { make: Parameters<typeof storeSuite>[1]; indexed: boolean },
  run: (fixture: Fixture) => Promise<void>,
): Promise<void> {
  const clock = testClock()
  const made = await make({ clock })
  try {
    const store = checked(made.store, indexed)
    await run({ store, second: made.second === undefined ? store : checked(made.second, indexed), clock })
  } finally {
    await made.close?.()
  }
}

/** Checks the store: cases that ask by subject run only if the store is a SubjectIndex. */
function checked(store: SessionStore, indexed: boolean): Fixture['store'] {
  if (indexed) assert(hasSubjectIndex(store), 'the store is not a SubjectIndex: pass `subjectIndex: false`')
  return store as Fixture['store']
}
