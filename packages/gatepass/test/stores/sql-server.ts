import type { SessionRecord } from 'gatepass/session'
import { testClock } from 'gatepass/testing'
import { describe, expect, test } from 'vitest'
import { recordAt } from '../../src/testing/store-records.ts'

/** How long a session of these tests lives, in milliseconds. */
export const LIFETIME = 600_000

export const misused: unknown = expect.objectContaining({ code: 'ERR_STORE_OPTIONS', status: 500 })

/**
 * What the tests of an SQL store need. They run on the server of this machine, and are skipped where there is none.
 *
 * @param server its kind and address
 */
export async function sqlServer(server: string, ask: () => Promise<unknown>) {
  const reachable = await ask().then(
    () => true,
    (error: Error) => error,
  )
  const absent = reachable !== true
  if (absent && process.env.CI) throw new Error(`no ${server}`, { cause: reachable })
  const clock = testClock()
  let made = 0
  return {
    absent,
    /** For titles: why the tests are skipped. */
    here: absent ? ` (SKIPPED: no ${server})` : '',
    runner: { test: absent ? test.skip : test, describe },
    clock,
    freshTable: (): string => `gatepass_${process.pid}_${++made}`,
    session: (differing: Partial<SessionRecord> = {}): SessionRecord =>
      recordAt(clock(), { expiresAt: clock() + LIFETIME, ...differing }),
  }
}
