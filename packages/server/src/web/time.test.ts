import { expect, test } from 'vitest'
import { ago, relativeTime } from './time.ts'

const MINUTE = 60_000

test.each([
  [-1000, 'just now'],
  [-59_000, 'just now'],
  [-MINUTE, '1 minute ago'],
  [-5 * MINUTE, '5 minutes ago'],
  [-60 * MINUTE, '1 hour ago'],
  [-23 * 60 * MINUTE, '23 hours ago'],
  [-24 * 60 * MINUTE, 'yesterday'],
  [-10 * 24 * 60 * MINUTE, '10 days ago'],
  [1000, 'in a moment'],
  [24 * 60 * MINUTE - 1000, 'in 24 hours'],
  [7 * 24 * 60 * MINUTE, 'in 7 days'],
])('%d milliseconds from now is %s', (distance, words) => {
  expect(relativeTime(distance)).toBe(words)
})

test('a time says itself exactly, to programs and to people', () => {
  expect(String(ago(Date.UTC(2026, 10, 23, 9, 15), Date.UTC(2026, 10, 23, 9, 20)))).toBe(
    '<time datetime="2026-11-23T09:15:00.000Z" title="23 Nov 2026, 09:15 UTC">5 minutes ago</time>',
  )
})
