import { expect, test } from 'vitest'
import { equalTags, installedKdfs, keyedTag } from './kdf.ts'
import { builtInArgon2, packagedArgon2 } from './kdf-functions.ts'

const work = {
  variant: 'argon2id',
  password: Buffer.from('correct horse'),
  salt: Buffer.from('0123456789abcdef'),
  memory: 256,
  passes: 2,
  lanes: 1,
  tagLength: 32,
} as const

test('@node-rs/argon2 and the argon2 of Node.js compute the same', async () => {
  const packaged = packagedArgon2()
  const builtIn = builtInArgon2()
  expect(packaged).toBeDefined()
  expect(builtIn).toBeDefined()
  for (const variant of ['argon2d', 'argon2i', 'argon2id'] as const) {
    for (const lanes of [1, 2]) {
      const [one, other] = await Promise.all([
        packaged?.({ ...work, variant, lanes }),
        builtIn?.({ ...work, variant, lanes }),
      ])
      expect(Buffer.from(one ?? []).toString('hex')).toBe(Buffer.from(other ?? []).toString('hex'))
      expect(one).toHaveLength(32)
    }
  }
})

test('scrypt is allowed the memory of N=2^17, r=8', async () => {
  const { scrypt } = installedKdfs()
  const { password, salt } = work
  const tag = await scrypt({ password, salt, rounds: 2 ** 17, blockSize: 8, lanes: 1, tagLength: 32 })
  expect(tag).toHaveLength(32)
})

test('the slow functions are looked for once', () => {
  expect(installedKdfs()).toBe(installedKdfs())
})

test('a keyed tag is HMAC-SHA-256 (RFC 4231 §4.3)', () => {
  const tag = keyedTag('Jefe', Buffer.from('what do ya want for nothing?'))
  expect(Buffer.from(tag).toString('hex')).toBe('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')
})

test('tags of different lengths are different', () => {
  expect(equalTags(Buffer.from('abc'), Buffer.from('abc'))).toBe(true)
  expect(equalTags(Buffer.from('abc'), Buffer.from('abd'))).toBe(false)
  expect(equalTags(Buffer.from('abc'), Buffer.from('abcd'))).toBe(false)
})
