import { expect, test } from 'vitest'
import {
  checkSignature,
  generateSigningJwk,
  makeSignature,
  privateKeyOf,
  publicKeyOf,
  secretKeyOf,
} from './signature.ts'

const data = Buffer.from('what is signed')

test.each(['Ed25519', 'ES256'] as const)(
  '%s: a signature is right for its key, its data and its algorithm alone',
  (algorithm) => {
    const [one, other] = [generateSigningJwk(algorithm), generateSigningJwk(algorithm)]
    const signature = makeSignature(algorithm, privateKeyOf(one), data)
    expect(signature).toHaveLength(64)
    expect(checkSignature(algorithm, publicKeyOf(one), { data, signature })).toBe(true)
    expect(checkSignature(algorithm, publicKeyOf(other), { data, signature })).toBe(false)
    expect(checkSignature(algorithm, publicKeyOf(one), { data: Buffer.from('else'), signature })).toBe(false)
  },
)

test('JW-11: an ECDSA signature that leaves out a leading zero is refused, though its numbers are right', () => {
  const jwk = generateSigningJwk('ES256')
  const key = publicKeyOf(jwk)
  const signatures = Array.from({ length: 4000 }, () => makeSignature('ES256', privateKeyOf(jwk), data))
  // One in 256 begins its second number so.
  const signature = signatures.find((candidate) => candidate[32] === 0) ?? expect.fail('none of 4,000')
  expect(checkSignature('ES256', key, { data, signature })).toBe(true)
  const shortened = Buffer.concat([signature.subarray(0, 32), signature.subarray(33)])
  expect(checkSignature('ES256', key, { data, signature: shortened })).toBe(false)
})

test('a signature of any length is right or wrong, and never an error', () => {
  const keys = { Ed25519: publicKeyOf(generateSigningJwk('Ed25519')), ES256: publicKeyOf(generateSigningJwk('ES256')) }
  const secret = secretKeyOf(Buffer.alloc(32, 7))
  for (let length = 0; length < 140; length++) {
    for (const fill of [0, 0xff]) {
      const signature = Buffer.alloc(length, fill)
      expect(checkSignature('Ed25519', keys.Ed25519, { data, signature })).toBe(false)
      expect(checkSignature('ES256', keys.ES256, { data, signature })).toBe(false)
      expect(checkSignature('HS256', secret, { data, signature })).toBe(false)
    }
  }
})
