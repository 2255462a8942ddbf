import { createHash } from 'node:crypto'
import { describe, expect, test, vi } from 'vitest'
import { fillRandom, randomHandle, randomToken, sha256Hex } from './random.ts'

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

  test('no token comes twice, across many refills of the pool and all sizes mixed', () => {
    const seen = new Set<string>()
    const bytes = new Uint8Array(28)
    for (let i = 0; i < 5000; i++) {
      fillRandom(bytes, 0, 28)
      seen.add(randomToken()).add(randomHandle()).add(Buffer.from(bytes).toString('hex'))
    }
    expect(seen.size).toBe(15_000)
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

  test('bytes that were handed out are wiped from the pool', async () => {
    const pools: Buffer[] = []
    vi.resetModules()
    vi.doMock('node:crypto', async (importOriginal) => {
      const original = await importOriginal<typeof import('node:crypto')>()
      return {
        ...original,
        randomFillSync: (buffer: Buffer) => {
          pools.push(buffer)
          return original.randomFillSync(buffer)
        },
      }
    })
    const random = await import('./random.ts')
    const token = random.randomToken()
    const bytes = new Uint8Array(28)
    random.fillRandom(bytes, 0, 28)
    expect(pools).toHaveLength(1)
    expect(pools[0]?.includes(Buffer.from(token, 'base64url'))).toBe(false)
    expect(pools[0]?.subarray(0, 60).every((byte) => byte === 0)).toBe(true)
    vi.doUnmock('node:crypto')
  })

  test('filling leaves the bytes around the range alone', () => {
    const bytes = new Uint8Array(40)
    fillRandom(bytes, 10, 30)
    expect(bytes.subarray(0, 10).every((byte) => byte === 0)).toBe(true)
    expect(bytes.subarray(30).every((byte) => byte === 0)).toBe(true)
    expect(bytes.subarray(10, 30).some((byte) => byte !== 0)).toBe(true)
  })
})

test('sha256Hex is SHA-256 of the UTF-8 text', () => {
  expect(sha256Hex('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  expect(sha256Hex('né')).toBe(createHash('sha256').update('né', 'utf8').digest('hex'))
})
