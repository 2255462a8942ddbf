import { expect, test } from 'vitest'
import { Keyring } from '../crypto/keyring.ts'
import { csrfToken, csrfTokenMatches } from './csrf-token.ts'

const key = 'a-key-of-at-least-thirty-two-characters'
const other = 'another-key-of-thirty-two-characters-or-more'
const keyring = new Keyring([key], 'csrf')

test('a token matches the session it was made for, and no other', () => {
  const token = csrfToken(keyring, 'session-a')
  expect(csrfTokenMatches(keyring, 'session-a', token)).toBe(true)
  expect(csrfTokenMatches(keyring, 'session-b', token)).toBe(false)
  expect(csrfTokenMatches(new Keyring([other], 'csrf'), 'session-a', token)).toBe(false)
  expect(csrfTokenMatches(new Keyring([key], 'another use'), 'session-a', token)).toBe(false)
})

test('a token matches after its key was retired', () => {
  const token = csrfToken(keyring, 'session-a')
  expect(csrfTokenMatches(new Keyring([other, key], 'csrf'), 'session-a', token)).toBe(true)
})

test('a token differs each time, and says nothing of its session', () => {
  const tokens = Array.from({ length: 100 }, () => csrfToken(keyring, 'session-a'))
  expect(new Set(tokens.flatMap((token) => token.split('.'))).size).toBe(200)
  expect(tokens.join()).not.toContain('session-a')
})

test('every change to a token is noticed', () => {
  const token = csrfToken(keyring, 'session-a')
  for (let at = 0; at < token.length; at += 1) {
    const changed = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1)
    expect(csrfTokenMatches(keyring, 'session-a', changed)).toBe(false)
  }
})

test('nothing may stand behind a token', () => {
  const token = csrfToken(keyring, 'session-a')
  for (const more of ['.', '.x', ' ', '\n']) expect(csrfTokenMatches(keyring, 'session-a', token + more)).toBe(false)
})

test.each([undefined, null, 5, '', '.', 'a.b', ['x'], {}, 'x'.repeat(100_000)])('%o is no token', (presented) => {
  expect(csrfTokenMatches(keyring, 'session-a', presented)).toBe(false)
})

test('moving text between the nonce and the binding makes no other token', () => {
  const token = csrfToken(keyring, 'a')
  const [nonce = '', signature] = token.split('.')
  expect(csrfTokenMatches(keyring, `${nonce.slice(-1)}.a`, `${nonce.slice(0, -1)}.${signature}`)).toBe(false)
})
