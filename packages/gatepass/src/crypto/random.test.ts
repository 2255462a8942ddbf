import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { randomHandle, randomToken, sha256Hex } from './random.ts'

describe('random', () => {
  test('a token is 32 bytes in canonical base64url', () => {
    for (let i = 0; i < 500; i++) {
      const token = randomToken()
      expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/)
      expect(Buffer.from(token, 'base64url').toString('base64url')).toBe(token)
    }
  })

  test('a handle is 16 bytes in canonical base64url', () => {
    for (let i = 0; i < 500; i++) {
      const handle = randomHandle()
      expect(handle).toMatch(/^[A-Za-z0-9_-]{22}$/)
      expect(Buffer.from(handle, 'base64url').toString('base64url')).toBe(handle)
    }
  })

  test('no token comes twice', () => {
    const seen = new Set<string>()
    for (let i = 0; i < 5000; i++) seen.add(randomToken()).add(randomHandle())
    expect(seen.size).toBe(10_000)
  })

  test('every bit of a token is set about half the time', () => {
    const counts = new Uint32Array(256)
    for (let i = 0; i < 4000; i++) {
      const bytes = Buffer.from(randomToken(), 'base64url')
      for (let bit = 0; bit < 256; bit++) counts[bit] = (counts[bit] ?? 0) + (((bytes[bit >> 3] ?? 0) >> (bit & 7)) & 1)
    }
    // Ten standard deviations to either side.
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(320)
  })
})

test('sha256Hex is SHA-256 of the UTF-8 text', () => {
  expect(sha256Hex('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  expect(sha256Hex('né')).toBe(createHash('sha256').update('né', 'utf8').digest('hex'))
})
