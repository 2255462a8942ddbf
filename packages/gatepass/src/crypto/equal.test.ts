import fc from 'fast-check'
import { expect, test } from 'vitest'
import { equal } from './equal.ts'

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

test('a difference in any one place is seen', () => {
  const text = 'abcdefghijklmnopqrstuvwxyz0123456789-_ABCDE'
  for (let i = 0; i < text.length; i++) expect(equal(text, `${text.slice(0, i)}!${text.slice(i + 1)}`)).toBe(false)
})
