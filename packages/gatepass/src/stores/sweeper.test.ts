import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Sweeper } from './sweeper.ts'

beforeEach(() => void vi.useFakeTimers({ loopLimit: 100_000 }))
afterEach(() => void vi.useRealTimers())

interface Slice {
  readonly most: number
  readonly at: number
}

/** An engine that has `due` records to check and needs `cost(checked)` milliseconds of the test's clock for that. */
function engine(due: number, cost: (checked: number) => number) {
  const slices: Slice[] = []
  let [left, worked] = [due, 0]
  const sweep = (most: number) => {
    slices.push({ most, at: Date.now() })
    const checked = Math.min(most, left)
    left -= checked
    worked += cost(checked)
    return checked
  }
  const sweeper = new Sweeper({ sweep, slice: 2, least: 20, clock: () => worked })
  const pauses = () => slices.slice(1).map(({ at }, n) => at - (slices[n] as Slice).at)
  return { sweeper, slices, pauses, sweep, left: () => left }
}

async function finished(round: Promise<void>): Promise<void> {
  await vi.runAllTimersAsync()
  await round
}

describe('a slice', () => {
  test('grows until it takes as long as it should, and no longer', async () => {
    const { sweeper, slices, left } = engine(20_000, (checked) => checked / 100)
    await finished(sweeper.sweep())
    expect(left()).toBe(0)
    expect(slices.slice(0, 4).map(({ most }) => most)).toEqual([20, 40, 80, 160])
    expect(new Set(slices.slice(4).map(({ most }) => most))).toEqual(new Set([200]))
  })

  test('shrinks when the engine becomes slow, but not to nothing, and grows again', async () => {
    let perRecord = 0.01
    const { sweeper, slices } = engine(20_000, (checked) => checked * perRecord)
    const round = sweeper.sweep()
    await vi.advanceTimersByTimeAsync(200)
    perRecord = 5
    await vi.advanceTimersByTimeAsync(1000)
    expect(slices.at(-1)?.most).toBe(20)
    perRecord = 0.01
    await vi.advanceTimersByTimeAsync(500)
    expect(slices.at(-1)?.most).toBe(200)
    await finished(round)
  })

  test('is followed by a pause that is longer after a slow slice, within limits', async () => {
    const [fast, slower, slowest] = [engine(200, () => 0.1), engine(200, () => 6), engine(200, () => 500)]
    for (const { sweeper } of [fast, slower, slowest]) await finished(sweeper.sweep())
    expect(new Set(fast.pauses())).toEqual(new Set([10]))
    expect(new Set(slower.pauses())).toEqual(new Set([24]))
    expect(new Set(slowest.pauses())).toEqual(new Set([50]))
  })

  test('waits until the engine is ready', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const sweep = vi.fn(() => 0)
    const round = new Sweeper({ sweep, slice: 2, least: 20, ready: () => promise }).sweep()
    await vi.advanceTimersByTimeAsync(1000)
    expect(sweep).not.toHaveBeenCalled()
    resolve()
    await round
    expect(sweep).toHaveBeenCalledOnce()
  })
})

test('half a million records are swept within minutes, also by an engine that needs a tenth of a millisecond for each', async () => {
  const { sweeper, slices } = engine(500_000, (checked) => checked / 10)
  await finished(sweeper.sweep())
  const waited = (slices.at(-1) as Slice).at - (slices[0] as Slice).at
  expect(waited + 500_000 / 10).toBeLessThan(6 * 60_000)
})

describe('rounds', () => {
  test('begin half a minute to one and a half after the last, each at another time', async () => {
    const { sweeper, slices, pauses } = engine(0, () => 0)
    sweeper.start()
    await vi.advanceTimersByTimeAsync(20 * 60_000)
    expect(slices.length).toBeGreaterThan(12)
    expect(Math.min(...pauses())).toBeGreaterThanOrEqual(30_000)
    expect(Math.max(...pauses())).toBeLessThanOrEqual(90_000)
    expect(new Set(pauses()).size).toBeGreaterThan(5)
    sweeper.stop()
  })

  test('go on after a failure, which a caller of its own is told', async () => {
    const sweep = vi.fn(() => Promise.reject(new Error('down')))
    const sweeper = new Sweeper({ sweep, slice: 2, least: 20 })
    sweeper.start()
    await vi.advanceTimersByTimeAsync(10 * 60_000)
    expect(sweep.mock.calls.length).toBeGreaterThan(5)
    await expect(sweeper.sweep()).rejects.toThrow('down')
    sweeper.stop()
  })

  test('end when the sweeper is stopped, also between two slices', async () => {
    const { sweeper, slices } = engine(1_000_000, () => 2)
    sweeper.start()
    await vi.advanceTimersByTimeAsync(95_000)
    const swept = slices.length
    expect(swept).toBeGreaterThan(10)
    sweeper.stop()
    await vi.advanceTimersByTimeAsync(10 * 60_000)
    expect(slices.length).toBe(swept)
    expect(vi.getTimerCount()).toBe(0)
  })
})
