import { StoreError } from 'gatepass'
import { expect, onTestFinished, test, vi } from 'vitest'
import { ErrorLog } from './error-log.ts'
import { openLog } from './log.ts'

test('a flood of refused logins is one line a second, and the last refusals are in it', () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const lines: string[] = []
  const errors = new ErrorLog(openLog({ mode: 'production', logLevel: 'info' }, (line) => lines.push(line)))
  const counts = (): number[] => lines.map((line) => JSON.parse(line).count)
  for (let n = 0; n < 10; n++) errors.record(new StoreError('ERR_PASSWORD_BUSY', 'busy'), 'x')
  expect(counts()).toEqual([1])
  vi.advanceTimersByTime(1000)
  expect(counts()).toEqual([1, 9])
  vi.advanceTimersByTime(5000)
  expect(counts()).toEqual([1, 9])
  errors.record(new StoreError('ERR_PASSWORD_BUSY', 'busy'), 'x')
  expect(counts()).toEqual([1, 9, 1])
})
