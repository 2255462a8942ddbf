import { expect, test } from 'vitest'
import { Recent } from './recent.ts'

test('what is asked for again and again is remembered, whatever else comes', () => {
  const recent = new Recent<number>(4)
  recent.keep('a', 1)
  for (let n = 0; n < 100; n++) {
    recent.keep(`other ${n}`, n)
    expect(recent.get('a')).toBe(1)
  }
})

test('what nobody asks for is forgotten, after twice as many others at most', () => {
  const recent = new Recent<number>(4)
  recent.keep('a', 1)
  for (let n = 0; n < 8; n++) recent.keep(`other ${n}`, n)
  expect(recent.get('a')).toBeUndefined()
  expect(recent.get('other 7')).toBe(7)
})
