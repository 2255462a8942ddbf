import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { tableLines } from '../rows.ts'
import { measuredCosts } from './costs.ts'
import { processorsFor, simulateEngine } from './engine.ts'
import { simulateDay } from './population.ts'
import { Random } from './random.ts'
import { simulateLoss } from './regions.ts'
import { assumptions, simulationTables } from './tables.ts'
import { Timeline } from './timeline.ts'
import { simulateTurns } from './turns.ts'

const { habits, policy } = assumptions
const costs = { lookup: 4, key: 1, login: 20, touch: 10, change: 10, logout: 10, bytes: 500 }
const nothing = { load: 0, login: 0, touch: 0, change: 0, logout: 0 }

test('a timeline gives back in the order of time', () => {
  const random = new Random(7)
  const timeline = new Timeline<number>()
  const times = Array.from({ length: 500 }, () => random.below(300))
  for (const at of times) timeline.add(at, at)
  expect(times.map(() => timeline.take())).toEqual(times.toSorted((a, b) => a - b))
  expect(timeline.take()).toBeUndefined()
  expect(timeline.nextAt).toBe(Number.POSITIVE_INFINITY)
})

test('a day has as many requests as the habits say, and its operations add up', () => {
  const day = simulateDay({ browsers: 1000, habits, policy, settlingDays: 3, seed: 5 })
  const expected = 1000 * habits.visitsPerDay * habits.pagesPerVisit
  expect(day.requests / expected).toBeGreaterThan(0.9)
  expect(day.requests / expected).toBeLessThan(1.1)
  const { load, login, touch, change, logout } = day.operations
  // Whoever has no token any more logs in without a load.
  expect(load).toBeLessThanOrEqual(day.requests)
  expect(load + login).toBeGreaterThanOrEqual(day.requests)
  expect(touch + change + logout).toBeLessThanOrEqual(load)
  expect(day.peak.requests).toBeGreaterThan(day.requests / 86_400)
  expect(day.live).toBeLessThanOrEqual(1000)
})

test('a longer touch interval writes less', () => {
  const touches = [30, 60, 120].map((touchInterval) => {
    const options = { browsers: 300, habits, policy: { ...policy, touchInterval }, settlingDays: 1, seed: 5 }
    return simulateDay(options).operations.touch
  })
  expect(touches).toEqual(touches.toSorted((a, b) => b - a))
})

test('the busier a process, the more lookups share a command', () => {
  const batches = [0.1, 0.5, 0.9, 0.99].map(
    (load) => simulateTurns({ load, request: 30, command: 0, answer: 200, seed: 1 }).meanBatch,
  )
  expect(batches).toEqual(batches.toSorted((a, b) => a - b))
  expect(batches[0]).toBeLessThan(1.2)
})

test('an engine with one worker keeps commands waiting as queueing theory says', () => {
  // Half of the time it is busy, with pieces of work of one length: the mean wait is half a piece (Pollaczek and Khinchine).
  const rates = { ...nothing, touch: 50_000 }
  expect(processorsFor(costs, rates, 1)).toBe(0.5)
  const { p50, p99 } = simulateEngine({ costs, rates, batches: [1], workers: 1, seed: 1 })
  expect(p50).toBeGreaterThanOrEqual(10)
  expect(p50).toBeLessThan(15)
  expect(p99).toBeGreaterThan(35)
  expect(p99).toBeLessThan(50)
})

test('what a lost region takes with it grows with the lag of its replica', () => {
  const loss = (lag: number) => simulateLoss({ rates: { ...nothing, login: 100, logout: 10 }, lag, seed: 1 })
  expect(loss(0).logins).toEqual([0, 0])
  const [median, worst] = loss(1).logins
  expect(median / 69).toBeCloseTo(1, 0) // ln 2 of a hundred
  expect(worst).toBeGreaterThan(400)
  expect(loss(1).changes).toEqual([0, 0])
})

test('the tables of docs/scaling.md are what the simulation says', () => {
  const page = readFileSync(new URL('../../../docs/scaling.md', import.meta.url), 'utf8')
  for (const { title, head, rows } of simulationTables(measuredCosts())) {
    expect(page, title).toContain(tableLines(head, rows).join('\n'))
  }
  // Computing alone: on a machine that is busy otherwise it takes a while.
}, 180_000)
