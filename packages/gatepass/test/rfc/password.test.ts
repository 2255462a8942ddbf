import { existsSync, readFileSync } from 'node:fs'
import { checkPassword, hashPassword, needsRehash, passwords, verifyPassword } from 'gatepass/password'
import { describe, expect, test } from 'vitest'
import { installedKdfs } from '../../src/crypto/kdf.ts'
import { parseHash } from '../../src/protocols/password/phc.ts'

const { argon2, bcrypt, scrypt, pbkdf2 } = installedKdfs()
const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('hex')
const PHRASE = 'tractor violin umbrella'

// ── vectors ───────────────────────────────────────────────────────────────────────────────────

const VECTORS = new URL('../../../../../shared/vectors/kdf/', import.meta.url)
const SHARED = new URL('../../../../../shared/', import.meta.url)

/** The rows of a vector file; none in a clone without that folder. */
function vectors<File>(name: string): File | undefined {
  const file = new URL(name, VECTORS)
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as File
  if (process.env.CI && existsSync(SHARED)) throw new Error(`${name} is missing from the vectors`)
  return undefined
}

function withVectors<File>(name: string, run: (file: File) => void): void {
  const file = vectors<File>(name)
  if (file === undefined) test.skip(`SKIPPED: the vectors in ${name} are not beside this repository`, () => {})
  else run(file)
}

interface Argon2Row {
  type: 'argon2i' | 'argon2id'
  version: number
  t: number
  memoryKiB: number
  p: number
  password: string
  salt: string
  hashLen: number
  hex: string
  phc: string
}

describe('Argon2 reference implementation, test.c', () => {
  withVectors<{ vectors: Argon2Row[]; rejectEncodings: string[] }>('argon2-reference.json', (file) => {
    const current = file.vectors.filter((row) => row.version === 19)
    const affordable = current.filter((row) => row.memoryKiB <= 262_144)

    test.each(affordable)('$phc', async (row) => {
      const work = { variant: row.type, memory: row.memoryKiB, passes: row.t, lanes: row.p, tagLength: row.hashLen }
      const tag = await argon2?.({ ...work, password: Buffer.from(row.password), salt: Buffer.from(row.salt) })
      expect(hex(tag)).toBe(row.hex)
      expect(await verifyPassword(row.password, row.phc)).toBe(true)
      expect(await verifyPassword(`${row.password}.`, row.phc)).toBe(false)
    })

    test('rows above 256 MiB are refused without being computed', async () => {
      const excessive = current.filter((row) => row.memoryKiB > 262_144)
      expect(excessive).not.toHaveLength(0)
      for (const row of excessive) expect(await verifyPassword(row.password, row.phc)).toBe(false)
    })

    test('rows of version 1.0 are not read: RFC 9106 has version 1.3 alone', () => {
      const former = file.vectors.filter((row) => row.version === 16)
      expect(former).not.toHaveLength(0)
      for (const row of former) expect(parseHash(row.phc)).toBeUndefined()
    })

    test.each(file.rejectEncodings)('%s is refused', (encoding) => {
      expect(parseHash(encoding)).toBeUndefined()
      // The same damage on an encoding whose version would be accepted.
      expect(parseHash(encoding.replace('$argon2i$', '$argon2i$v=19$'))).toBeUndefined()
    })
  })
})

interface ScryptRow {
  password: string
  salt: string
  N: number
  r: number
  p: number
  dkLen: number
  hex: string
}

describe('RFC 7914 §12: scrypt', () => {
  withVectors<{ vectors: ScryptRow[] }>('rfc7914-scrypt.json', (file) => {
    // The fourth takes 1 GiB, which no stored hash may ask for.
    const affordable = file.vectors.filter((row) => row.N * row.r * 128 <= 256 * 1024 * 1024)
    expect(affordable).toHaveLength(3)
    test.each(affordable)('N=$N r=$r p=$p', async (row) => {
      const work = { rounds: row.N, blockSize: row.r, lanes: row.p, tagLength: row.dkLen }
      expect(hex(await scrypt({ ...work, password: Buffer.from(row.password), salt: Buffer.from(row.salt) }))).toBe(
        row.hex,
      )
    })
  })
})

interface Pbkdf2Row {
  prf: 'HMAC-SHA256' | 'HMAC-SHA1'
  password: string
  salt: string
  iterations: number
  dkLen: number
  hex: string
}

describe('RFC 7914 §11 and RFC 6070 §2: PBKDF2', () => {
  withVectors<{ vectors: Pbkdf2Row[] }>('rfc6070-rfc7914-pbkdf2.json', (file) => {
    test.each(file.vectors)('$prf, $iterations iterations, $dkLen bytes', async (row) => {
      const digest = row.prf === 'HMAC-SHA1' ? 'sha1' : 'sha256'
      const work = { digest, iterations: row.iterations, tagLength: row.dkLen } as const
      expect(hex(await pbkdf2({ ...work, password: Buffer.from(row.password), salt: Buffer.from(row.salt) }))).toBe(
        row.hex,
      )
    })
  })
})

describe('bcrypt, as pyca/bcrypt tests it', () => {
  withVectors<{ vectors: { passwordHex: string; hash: string }[] }>('bcrypt-pyca.json', (file) => {
    test.each(file.vectors)('$hash of $passwordHex', async ({ passwordHex, hash }) => {
      const password = Buffer.from(passwordHex, 'hex')
      expect(await bcrypt?.(password, hash)).toBe(true)
      expect(await bcrypt?.(Buffer.concat([Buffer.from('x'), password]), hash)).toBe(false)
    })

    test('what is text without NUL is verified, the rest is refused', async () => {
      for (const { passwordHex, hash } of file.vectors) {
        const bytes = Buffer.from(passwordHex, 'hex')
        const text = bytes.toString('utf8')
        const typed = Buffer.from(text).equals(bytes) && !text.includes('\0')
        expect(await verifyPassword(text, hash), passwordHex).toBe(typed)
      }
    })
  })
})

// ── SP 800-63B-4 §3.1.1.2 ─────────────────────────────────────────────────────────────────────

test('NI-1: 15 characters where the password is the only factor, 8 with a second one, counted in code points', async () => {
  const signs = Array.from(
    '\u{1f511}\u{1f9f2}\u{1f3a9}\u{1fa81}\u{1f9ed}\u{1f419}\u{1f955}\u{1f3bb}\u{1f69c}\u{2602}\u{1f40c}\u{1f9e6}\u{1f58d}\u{1f335}\u{1f6f6}',
  )
  const first = (length: number) => signs.slice(0, length).join('')
  expect(signs).toHaveLength(15)
  expect((await checkPassword(first(14)))?.code).toBe('too_short')
  expect(await checkPassword(first(15))).toBeUndefined()
  expect((await checkPassword(first(7), { minimum: 8 }))?.code).toBe('too_short')
  expect(await checkPassword(first(8), { minimum: 8 })).toBeUndefined()
})

test('NI-2: NFC before hashing, the whole password verified; composed and decomposed log in alike, NFKC-only pairs do not', async () => {
  const stored = await hashPassword('caf\u00e9 tractor \ufb01g')
  expect(await verifyPassword('cafe\u0301 tractor \ufb01g', stored)).toBe(true)
  expect(await verifyPassword('caf\u00e9 tractor fig', stored)).toBe(false)
  expect(await verifyPassword('caf\u00e9 tractor \ufb01', stored)).toBe(false)
})

test('NI-3: the blocklist is compared with the whole password, and the reason is given', async () => {
  const blocklist = [PHRASE]
  expect((await checkPassword(PHRASE, { blocklist }))?.message).toMatch(/list/)
  expect(await checkPassword(`${PHRASE} kite`, { blocklist })).toBeUndefined()
  expect(await checkPassword('a password for tractor drivers')).toBeUndefined()
})

test('NI-4: a salt of 32 bits at least, scheme and cost are stored, a keyed hash with its key elsewhere', async () => {
  const hash = parseHash(await hashPassword(PHRASE, { pepper: [{ id: 'k1', key: 'k'.repeat(32) }] }))
  expect(hash).toMatchObject({
    scheme: 'argon2',
    variant: 'argon2id',
    memory: 19_456,
    passes: 2,
    lanes: 1,
    pepper: 'k1',
  })
  expect(hash).toHaveProperty('salt.length', 16)
})

// ── OWASP ASVS 5.0 §6.2, §11.4 ────────────────────────────────────────────────────────────────

test('ASVS 6.2.1: 7 characters are refused always, 14 where the password is the only factor', async () => {
  expect((await checkPassword('vq7-kmz', { minimum: 8 }))?.code).toBe('too_short')
  expect((await checkPassword('vq7-kmz+wd2_ht'))?.code).toBe('too_short')
  expect(() => passwords({ minimum: 7 })).toThrow()
})

test('ASVS 6.2.4: what of the most common passwords is 15 characters or longer is refused', async () => {
  const common = [
    '123456789123456789',
    '1234567890123456',
    '111111111111111',
    'qwertyuiopasdfghjklzxcvbnm',
    'passwordpassword',
    '1q2w3e4r5t6y7u8i9o0p',
    '1qaz2wsx3edc4rfv',
    'iloveyouforever1',
    'abcdefghijklmnop',
    'qwerty123456789',
    'password12345678',
    'aaaaaaaaaaaaaaaa',
    'qwertyuiop123456',
    'zaq12wsxzaq12wsx',
  ]
  for (const password of common) expect((await checkPassword(password))?.code, password).toBe('guessable')
})

test('ASVS 6.2.5: no kind of character is required or forbidden', async () => {
  for (const password of [
    'hqvnzkwtmbrlcxd',
    '829407316650283',
    'tractor violin kite',
    '\u65e5\u672c\u8a9e\u306e\u5408\u8a00\u8449\u306f\u9577\u3044\u307b\u3069\u826f\u3044\u3068\u601d\u3046',
    ' leading and trailing ',
    '\'; -- <b>&amp;\\"%00',
  ]) {
    expect(await checkPassword(password), password).toBeUndefined()
  }
})

test('ASVS 6.2.8: verified exactly as typed: a trailing space, the case, the 73rd byte and NUL each change the result', async () => {
  const password = `${PHRASE} `.repeat(4).slice(0, 80)
  const stored = await hashPassword(password)
  const changed = password.slice(0, 72) + password.charAt(72).toUpperCase() + password.slice(73)
  expect(changed).not.toBe(password)
  expect(await verifyPassword(password, stored)).toBe(true)
  for (const other of [
    `${password} `,
    password.toUpperCase(),
    changed,
    password.slice(0, 72),
    `${password}\0`,
    `${password.slice(0, 72)}\0${password.slice(73)}`,
  ]) {
    expect(await verifyPassword(other, stored)).toBe(false)
  }
})

test.each([64, 128, 256, 1024])('ASVS 6.2.9: %d characters are accepted and verified to the last', async (length) => {
  const password = 'kettle orbit walnut '.repeat(60).slice(0, length)
  expect(await checkPassword(password)).toBeUndefined()
  const stored = await hashPassword(password)
  expect(await verifyPassword(password, stored)).toBe(true)
  expect(await verifyPassword(`${password.slice(0, -1)}!`, stored)).toBe(false)
})

test('ASVS 6.2.10: a password does not expire: nothing stored says when it was chosen', async () => {
  const stored = await hashPassword(PHRASE)
  expect(stored.split('$').slice(1, 4)).toEqual(['argon2id', 'v=19', 'm=19456,t=2,p=1'])
  expect(needsRehash(stored)).toBe(false)
})

test('ASVS 6.2.11: brand, e-mail local part and application name are refused as password', async () => {
  const options = { contextWords: ['Wanderlust Travel', 'wanderlust-app'], about: ['maximilian.kowalczyk@example.com'] }
  for (const password of [
    'WanderlustTravel',
    'wanderlust-app2026',
    'maximilian.kowalczyk',
    'maximilian.kowalczyk@example.com',
  ]) {
    expect((await checkPassword(password, options))?.code, password).toBe('context')
  }
})

test('ASVS 6.2.12: breached passwords are refused by whatever list the application brings; out of reach, it allows and reports', async () => {
  const events: string[] = []
  const breached = async (password: string) => {
    if (password === 'offline tractor kite') throw new Error('unreachable')
    return password === PHRASE
  }
  const own = passwords({ blocklist: breached, onEvent: (event) => events.push(event.type) })
  expect((await own.check(PHRASE))?.code).toBe('blocklisted')
  expect(await own.check('another tractor kite')).toBeUndefined()
  expect(events).toEqual([])
  expect(await own.check('offline tractor kite')).toBeUndefined()
  expect(events).toEqual(['blocklist_unavailable'])
})

test('ASVS 11.4.2: the stored PHC string is at the floor of argon2id or above: m=19456, t=2, p=1', async () => {
  const hash = parseHash(await hashPassword(PHRASE))
  if (hash?.scheme !== 'argon2') return expect.unreachable()
  expect([hash.variant, hash.memory >= 19_456, hash.passes >= 2, hash.tag.length >= 32]).toEqual([
    'argon2id',
    true,
    true,
    true,
  ])
})
