import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { affordable, formatHash, parseHash } from './phc.ts'

const SALT = 'AAECAwQFBgcICQoLDA0ODw'
const TAG = 'AAECAwQFBgcICQoLDA0ODwABAgMEBQYHCAkKCwwNDg8'
const ARGON2 = `$argon2id$v=19$m=19456,t=2,p=1$${SALT}$${TAG}`

test('an argon2 string is read as its parameters', () => {
  expect(parseHash(ARGON2)).toMatchObject({
    scheme: 'argon2',
    variant: 'argon2id',
    memory: 19_456,
    passes: 2,
    lanes: 1,
    pepper: undefined,
  })
  expect(parseHash(ARGON2)).toHaveProperty('salt', Buffer.from(SALT, 'base64'))
})

test('scrypt, PBKDF2 and bcrypt are read too', () => {
  expect(parseHash(`$scrypt$ln=17,r=8,p=1$${SALT}$${TAG}`)).toMatchObject({
    scheme: 'scrypt',
    rounds: 131_072,
    blockSize: 8,
    lanes: 1,
  })
  expect(parseHash(`$pbkdf2-sha256$i=600000$${SALT}$${TAG}`)).toMatchObject({
    scheme: 'pbkdf2',
    digest: 'sha256',
    iterations: 600_000,
  })
  expect(parseHash(`$2b$10$${'a'.repeat(53)}`)).toMatchObject({ scheme: 'bcrypt', cost: 10 })
})

test('the pepper id stands behind the parameters', () => {
  expect(parseHash(ARGON2.replace('p=1', 'p=1,pepper=2026-a'))).toMatchObject({ pepper: '2026-a' })
})

test('what is written is read back', () => {
  const bytes = (minLength: number) => fc.uint8Array({ minLength, maxLength: 64 }).map((array) => Buffer.from(array))
  const salted = {
    salt: bytes(8),
    tag: bytes(16),
    pepper: fc.option(fc.stringMatching(/^[A-Za-z0-9.-]{1,32}$/), { nil: undefined }),
    lanes: fc.integer({ min: 1, max: 16 }),
  }
  const argon2 = fc.record({
    scheme: fc.constant('argon2' as const),
    variant: fc.constantFrom('argon2id', 'argon2i', 'argon2d'),
    memory: fc.integer({ min: 1, max: 262_144 }),
    passes: fc.integer({ min: 1, max: 64 }),
    ...salted,
  })
  const scrypt = fc.record({
    scheme: fc.constant('scrypt' as const),
    rounds: fc.integer({ min: 1, max: 29 }).map((exponent) => 2 ** exponent),
    blockSize: fc.integer({ min: 1, max: 64 }),
    ...salted,
  })
  fc.assert(
    fc.property(fc.oneof(argon2, scrypt), (hash) => {
      expect(parseHash(formatHash(hash))).toEqual(hash)
    }),
  )
})

describe('what no hasher wrote is refused:', () => {
  test.each([
    ['the empty text', ''],
    ['a password in plain', 'correct horse battery staple'],
    ['a line end behind it', `${ARGON2}\n`],
    ['padding', `${ARGON2}=`],
    ['the URL alphabet', ARGON2.replace(SALT, '__ECAwQFBgcICQoLDA0ODw')],
    ['stray bits at the end of the salt', ARGON2.replace(SALT, 'AAECAwQFBgcICQoLDA0ODx')],
    ['another order of parameters', ARGON2.replace('m=19456,t=2', 't=2,m=19456')],
    ['a leading zero', ARGON2.replace('t=2', 't=02')],
    ['a sign', ARGON2.replace('t=2', 't=+2')],
    ['no passes', ARGON2.replace('t=2', 't=0')],
    ['an exponent', ARGON2.replace('m=19456', 'm=1e4')],
    ['eleven digits', ARGON2.replace('m=19456', 'm=10000000000')],
    ['argon2 version 1.0', ARGON2.replace('v=19', 'v=16')],
    ['argon2 without a version', ARGON2.replace('v=19$', '')],
    ['a parameter nobody knows', ARGON2.replace('p=1', 'p=1,keyid=AAAA')],
    ['a pepper id with a space', ARGON2.replace('p=1', 'p=1,pepper=a b')],
    ['a salt of seven bytes', ARGON2.replace(SALT, 'AAECAwQFBg')],
    ['a tag of fifteen bytes', ARGON2.replace(TAG, 'AAECAwQFBgcICQoLDA0O')],
    ['no tag', ARGON2.replace(`$${TAG}`, '')],
    ['something behind the tag', `${ARGON2}$AAAA`],
    ['a tag of 65 bytes', ARGON2.replace(TAG, Buffer.alloc(65).toString('base64').slice(0, -1))],
    ['scrypt with N=2^30', `$scrypt$ln=30,r=8,p=1$${SALT}$${TAG}`],
    ['PBKDF2 with MD5', `$pbkdf2-md5$i=600000$${SALT}$${TAG}`],
    ['bcrypt of 2x, which had a bug', `$2x$10$${'a'.repeat(53)}`],
    ['bcrypt cut short', `$2b$10$${'a'.repeat(52)}`],
  ])('%s', (_, text) => {
    expect(parseHash(text)).toBeUndefined()
  })
})

test('no text makes it throw', () => {
  const damaged = fc
    .tuple(fc.nat(ARGON2.length), fc.string())
    .map(([at, text]) => ARGON2.slice(0, at) + text + ARGON2.slice(at))
  fc.assert(fc.property(fc.oneof(fc.string(), damaged), (text) => void parseHash(text)))
})

describe('a stored hash that would cost a server too much is not affordable:', () => {
  test.each([
    ['argon2 with 4 GiB', ARGON2.replace('m=19456', 'm=4194304')],
    ['argon2 with a thousand passes', ARGON2.replace('t=2', 't=1000')],
    ['argon2 with 17 lanes', ARGON2.replace('p=1', 'p=17')],
    ['argon2 with less memory than its lanes need', ARGON2.replace('m=19456,t=2,p=1', 'm=8,t=2,p=2')],
    ['scrypt with 512 MiB', `$scrypt$ln=19,r=8,p=1$${SALT}$${TAG}`],
    ['scrypt with wide blocks', `$scrypt$ln=2,r=1000000,p=1$${SALT}$${TAG}`],
    ['scrypt with many lanes', `$scrypt$ln=14,r=8,p=1000$${SALT}$${TAG}`],
    ['PBKDF2 with a thousand million iterations', `$pbkdf2-sha256$i=1000000000$${SALT}$${TAG}`],
    ['bcrypt with cost 31', `$2b$31$${'a'.repeat(53)}`],
    ['bcrypt with cost 3, which bcrypt has not', `$2b$03$${'a'.repeat(53)}`],
  ])('%s', (_, text) => {
    const hash = parseHash(text)
    expect(hash).toBeDefined()
    expect(hash && affordable(hash)).toBe(false)
  })

  test.each([
    ['but argon2 with 256 MiB is', ARGON2.replace('m=19456', 'm=262144')],
    ['but scrypt with 256 MiB is', `$scrypt$ln=18,r=8,p=1$${SALT}$${TAG}`],
    ['but PBKDF2 as OWASP wants it is', `$pbkdf2-sha1$i=1300000$${SALT}$${TAG}`],
    ['but bcrypt with cost 12 is', `$2b$12$${'a'.repeat(53)}`],
  ])('%s', (_, text) => {
    const hash = parseHash(text)
    expect(hash && affordable(hash)).toBe(true)
  })
})
