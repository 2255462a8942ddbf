import { createHmac, hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hkdf, hmacKey, hmacText } from './hmac.ts'

const bytes = (maxLength: number) => fc.uint8Array({ maxLength })

test('hmacText agrees with createHmac for every key and text', () => {
  fc.assert(
    fc.property(bytes(200), fc.string({ unit: 'grapheme', maxLength: 200 }), (key, text) => {
      expect(hmacText(hmacKey(key), text)).toBe(createHmac('sha256', key).update(text).digest('base64url'))
    }),
  )
})

test('hmacText agrees with createHmac for long texts', () => {
  const key = hmacKey(Buffer.from('a key'))
  for (const length of [1364, 1365, 1366, 4095, 4096, 4097, 20_000]) {
    for (const unit of ['a', 'é', '語']) {
      const text = unit.repeat(length)
      expect(hmacText(key, text)).toBe(createHmac('sha256', 'a key').update(text).digest('base64url'))
    }
  }
})

test('hmacText agrees with createHmac for every key and message of bytes', () => {
  fc.assert(
    fc.property(bytes(200), bytes(300), (key, message) => {
      const expected = createHmac('sha256', key).update(message).digest('base64url')
      expect(hmacText(hmacKey(key), message)).toBe(expected)
    }),
  )
})

test('hkdf agrees with hkdfSync for every secret, salt and info', () => {
  fc.assert(
    fc.property(bytes(100), bytes(80), bytes(100), (secret, salt, info) => {
      const expected = Buffer.from(hkdfSync('sha256', secret, salt, info, 32))
      expect(Buffer.from(hkdf(hmacKey(secret), salt, info)).equals(expected)).toBe(true)
    }),
  )
})
