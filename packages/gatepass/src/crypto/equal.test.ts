import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { equal } from './equal.ts'

// Node's own function, watched and not replaced.
const compared = vi.hoisted(() => vi.fn())
vi.mock(import('node:crypto'), async (original) => {
  const crypto = await original()
  const timingSafeEqual: typeof crypto.timingSafeEqual = (a, b) => {
    compared(a.byteLength, b.byteLength)
    return crypto.timingSafeEqual(a, b)
  }
  return { ...crypto, timingSafeEqual }
})

test('equal says what === says, for every pair of texts', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
      expect(equal(a, b)).toBe(a === b)
      expect(equal(a, `${a}`)).toBe(true)
    }),
  )
})

test('two different lone surrogates are not equal', () => {
  expect(equal('\ud800', '\ud801')).toBe(false)
})

test('CVE-2016-1000236: two texts of one length are compared to their ends, wherever they differ', () => {
  const text = 'x'.repeat(43)
  for (let i = 0; i < text.length; i++) {
    compared.mockClear()
    equal(text, `${text.slice(0, i)}!${text.slice(i + 1)}`)
    expect(compared.mock.calls).toEqual([[2 * text.length, 2 * text.length]])
  }
})

test('a difference in any one place is seen', () => {
  const text = 'abcdefghijklmnopqrstuvwxyz0123456789-_ABCDE'
  for (let i = 0; i < text.length; i++) expect(equal(text, `${text.slice(0, i)}!${text.slice(i + 1)}`)).toBe(false)
})
