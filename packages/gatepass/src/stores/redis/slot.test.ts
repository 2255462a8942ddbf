import { expect, test } from 'vitest'
import { slotOf } from './slot.ts'

// Values of the Redis cluster specification, appendix A and "Hash tags".
test('a key has the slot that the cluster gives it', () => {
  expect(slotOf('123456789')).toBe(0x31c3)
  expect(slotOf('')).toBe(0)
  expect(slotOf('{user1000}.following')).toBe(slotOf('user1000'))
  expect(slotOf('foo{{bar}}zap')).toBe(slotOf('{bar'))
  expect(slotOf('foo{bar}{zap}')).toBe(slotOf('bar'))
})

test('empty or open braces are no tag', () => {
  expect(slotOf('foo{}{bar}')).not.toBe(slotOf('bar'))
  expect(slotOf('foo{bar')).not.toBe(slotOf('bar'))
})
