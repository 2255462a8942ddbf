import { expect, test } from 'vitest'
import { passwordBytes } from './text.ts'

test('composed and decomposed spellings are the same password', () => {
  expect(passwordBytes('caf\u00e9')).toEqual(passwordBytes('cafe\u0301'))
})

test('compatible characters stay different passwords', () => {
  expect(passwordBytes('\uff41')).not.toEqual(passwordBytes('a'))
})

test('1,024 bytes after NFC are a password, one more is none', () => {
  expect(passwordBytes('a'.repeat(1024))).toHaveLength(1024)
  expect(passwordBytes('a'.repeat(1025))).toBeUndefined()
  expect(passwordBytes('e\u0301'.repeat(512))).toHaveLength(1024)
  expect(passwordBytes('e\u0301'.repeat(513))).toBeUndefined()
})

test('the longest decomposition that comes down to 1,024 bytes is still a password', () => {
  // U+1F82 is four code points decomposed and three bytes composed.
  const decomposed = '\u1f82'.normalize('NFD').repeat(341)
  expect(decomposed).toHaveLength(1364)
  expect(passwordBytes(decomposed)).toHaveLength(1023)
})

test('half a surrogate pair is no password: UTF-8 would make all of them equal', () => {
  expect(passwordBytes('good words\ud800')).toBeUndefined()
  expect(passwordBytes('good words\u{1f600}')).toBeDefined()
})

test('nothing is no password', () => {
  expect(passwordBytes('')).toBeUndefined()
})
