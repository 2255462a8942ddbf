import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Circuit } from './circuit.ts'

vi.mock('../timers.ts', () => import('../../test/replaceable-timers.ts'))

const refused = expect.objectContaining({
  code: 'ERR_STORE_UNAVAILABLE',
  status: 503,
  message: 'Redis at db:6379 does not answer',
})

describe('an engine that has gone silent', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
  afterEach(() => void vi.useRealTimers())

  test('is asked by nobody after one question without an answer, and Retry-After says until when', () => {
    const circuit = new Circuit('Redis at db:6379', 2)
    expect(circuit.silent(circuit.admit())).toBe(true)
    expect(() => circuit.admit()).toThrow(refused)
    expect(() => circuit.admit()).toThrow(expect.objectContaining({ retryAfter: 2 }))
    vi.advanceTimersByTime(1500)
    expect(() => circuit.admit()).toThrow(expect.objectContaining({ retryAfter: 1 }))
  })

  test('is asked one question after each pause, and any answer to it admits all others', () => {
    const circuit = new Circuit('Redis at db:6379', 2)
    circuit.silent(circuit.admit())
    for (let round = 0; round < 3; round++) {
      vi.advanceTimersByTime(2000)
      const admitted = circuit.admit()
      expect(() => circuit.admit()).toThrow(refused)
      expect(circuit.silent(admitted)).toBe(false)
    }
    vi.advanceTimersByTime(2000)
    circuit.admit()
    circuit.answered()
    for (let n = 0; n < 3; n++) circuit.admit()
  })

  test('is not silent as long as it answers others', () => {
    const circuit = new Circuit('Redis at db:6379', 2)
    const slow = circuit.admit()
    circuit.admit()
    circuit.answered()
    expect(circuit.silent(slow)).toBe(false)
    circuit.admit()
  })
})
