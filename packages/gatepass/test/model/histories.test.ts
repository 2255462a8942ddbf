import { testClock } from 'gatepass/testing'
import { afterAll, describe, test } from 'vitest'
import { localEngines } from './engines.ts'
import { historiesOr, holdInHistories } from './histories.ts'

describe('whatever happens in whatever order, nothing acknowledged is lost and nothing that ended comes back', () => {
  for (const [name, make] of Object.entries(localEngines)) {
    const clock = testClock()
    const engine = make(clock)
    afterAll(() => engine.close())
    test(`on ${name}`, { timeout: 3_600_000 }, () => holdInHistories(engine, clock, historiesOr(1000)))
  }
})
