import { describe, expect, test } from 'vitest'
import { hkdf, hmacKey, hmacText } from '../../src/crypto/hmac.ts'
import { readVectors, vectorsNote, vectorsPresent } from './vectors.ts'

interface Suite<Group> {
  testGroups: Group[]
}
interface HmacGroup {
  tagSize: number
  tests: { tcId: number; key: string; msg: string; tag: string; result: string }[]
}
interface HkdfGroup {
  tests: { tcId: number; ikm: string; salt: string; info: string; size: number; okm: string; result: string }[]
}

const hex = (text: string) => Buffer.from(text, 'hex')

describe.skipIf(!vectorsPresent)(`Wycheproof${vectorsNote}`, () => {
  test('RFC 2104: every HMAC-SHA-256 vector has its verdict', () => {
    const { testGroups } = readVectors<Suite<HmacGroup>>('wycheproof/hmac_sha256_test.json')
    let count = 0
    for (const { tagSize, tests } of testGroups) {
      for (const { tcId, key, msg, tag, result } of tests) {
        const made = Buffer.from(hmacText(hmacKey(hex(key)), hex(msg)), 'base64url').subarray(0, tagSize / 8)
        expect(made.equals(hex(tag)), `tcId ${tcId}`).toBe(result === 'valid')
        count++
      }
    }
    expect(count).toBe(174)
  })

  test('RFC 5869: every HKDF-SHA-256 vector begins with the 32 bytes that we derive', () => {
    const { testGroups } = readVectors<Suite<HkdfGroup>>('wycheproof/hkdf_sha256_test.json')
    const cases = testGroups.flatMap((group) => group.tests).filter(({ result }) => result === 'valid')
    for (const { tcId, ikm, salt, info, size, okm } of cases) {
      const made = Buffer.from(hkdf(hmacKey(hex(ikm)), hex(salt), hex(info))).toString('hex')
      const shared = 2 * Math.min(size, 32)
      expect(made.slice(0, shared), `tcId ${tcId}`).toBe(okm.slice(0, shared))
    }
    expect(cases.length).toBeGreaterThan(60)
  })
})
