import { expect, test } from 'vitest'
import { hmacSha1Text } from './hmac-sha1.ts'

test('RFC 2202 §3, test cases 1 and 2', () => {
  const hex = (key: string | Uint8Array, text: string) =>
    Buffer.from(hmacSha1Text(key, text), 'base64url').toString('hex')
  expect(hex(new Uint8Array(20).fill(0x0b), 'Hi There')).toBe('b617318655057264e28bc0b6fb378c8ef146be00')
  expect(hex('Jefe', 'what do ya want for nothing?')).toBe('effcdf6ae5eb2fa2d27416d5f184df9c259a7c79')
})
