import { createHmac, hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hkdf } from './hkdf.ts'
import { hmacBytes, hmacKey, hmacText } from './hmac.ts'

const bytes = (maxLength: number) => fc.uint8Array({ maxLength })

test('hmacText agrees with createHmac for every key and text', () => {
  fc.assert(
    fc.property(bytes(200), fc.string({ unit: 'grapheme', maxLength: 200 }), (key, text) => {
      expect(hmacText(hmacKey(key), text)).toBe(createHmac('sha256', key).update(text).digest('base64url'))
    }),
  )
})

test('hmacText agrees with createHmac around and beyond the size of the scratch space', () => {
  const key = hmacKey(Buffer.from('a key'))
  for (const length of [1364, 1365, 1366, 4095, 4096, 4097, 20_000]) {
    for (const unit of ['a', 'é', '語']) {
      const text = unit.repeat(length)
      expect(hmacText(key, text)).toBe(createHmac('sha256', 'a key').update(text).digest('base64url'))
    }
  }
})

test('a short text after a long one is not mixed up with its rest', () => {
  const key = hmacKey(Buffer.from('a key'))
  hmacText(key, 'x'.repeat(1000))
  expect(hmacText(key, 'y')).toBe(createHmac('sha256', 'a key').update('y').digest('base64url'))
})

test('hmacBytes agrees with createHmac for every key and message', () => {
  fc.assert(
    fc.property(bytes(200), bytes(300), (key, message) => {
      const expected = createHmac('sha256', key).update(message).digest('binary')
      expect(hmacBytes(hmacKey(key), message)).toBe(expected)
    }),
  )
})

test('hkdf agrees with hkdfSync for every secret, salt and info', () => {
  fc.assert(
    fc.property(bytes(100), bytes(80), bytes(100), (secret, salt, info) => {
      const expected = Buffer.from(hkdfSync('sha256', secret, salt, info, 32))
      expect(Buffer.from(hkdf(secret, salt, info)).equals(expected)).toBe(true)
    }),
  )
})
