import { expect, test } from 'vitest'
import { randomToken } from '../crypto/random.ts'
import { idOf, SessionTokens } from './token.ts'

const first = 'the first key, at least thirty-two characters'
const second = 'the second key, at least thirty-two characters'
const secret = randomToken()

test('a token is 43 characters of base64url, and names its session by a hash of 64', () => {
  expect(secret).toMatch(/^[\w-]{43}$/)
  expect(Buffer.from(secret, 'base64url')).toHaveLength(32)
  expect(idOf(secret)).toMatch(/^[0-9a-f]{64}$/)
  expect(new SessionTokens(undefined).write(secret)).toBe(secret)
  expect(new SessionTokens(undefined).read(secret)).toBe('genuine')
})

test('of the four spellings of one secret only the canonical one is a token', () => {
  const tokens = new SessionTokens(undefined)
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const readings = [...alphabet].map((last) => tokens.read('A'.repeat(42) + last))
  expect(readings.filter((reading) => reading === 'genuine')).toHaveLength(16)
})

test.each([
  '',
  'a',
  'A'.repeat(42),
  'A'.repeat(44),
  `${'A'.repeat(42)}=`,
  `${'A'.repeat(43)}.`,
  `${'A'.repeat(43)}.short`,
  `${'A'.repeat(43)}\n`,
])('%j is malformed', (token) => {
  expect(new SessionTokens(undefined).read(token)).toBe('malformed')
  expect(new SessionTokens([first]).read(token)).toBe('malformed')
})

test('with keys a token carries a tag of 96 bits that names no other session', () => {
  const tokens = new SessionTokens([first])
  const token = tokens.write(secret)
  expect(token).toMatch(/^[\w-]{43}\.[\w-]{16}$/)
  expect(idOf(token)).toBe(idOf(secret))
  expect(tokens.read(token)).toBe('genuine')
  expect(new SessionTokens([first]).write(secret)).toBe(token)
})

test('every changed character of a tagged token is found out', () => {
  const tokens = new SessionTokens([first])
  const token = tokens.write(secret)
  for (let at = 0; at < token.length; at++) {
    const other = token[at] === 'A' ? 'E' : 'A'
    expect(tokens.read(token.slice(0, at) + other + token.slice(at + 1))).toMatch(/^(forged|malformed)$/)
  }
})

test('a tag under a retired key is genuine, under an unknown key forged', () => {
  const token = new SessionTokens([first]).write(secret)
  expect(new SessionTokens([second, first]).read(token)).toBe('genuine')
  expect(new SessionTokens([second]).read(token)).toBe('forged')
})

test('a token from before there were keys is recognised as such, and one from after them is outdated', () => {
  expect(new SessionTokens([first]).read(secret)).toBe('untagged')
  expect(new SessionTokens(undefined).read(new SessionTokens([first]).write(secret))).toBe('genuine')
})

test('an empty list of keys is refused rather than taken for none', () => {
  expect(() => new SessionTokens([] as never)).toThrow(expect.objectContaining({ code: 'ERR_COOKIE_KEYS' }))
})
