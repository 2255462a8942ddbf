import { inspect } from 'node:util'
import { hashPassword, needsRehash, type PasswordEvent, passwords, verifyPassword } from 'gatepass/password'
import { describe, expect, test, vi } from 'vitest'
import { type Argon2Work, installedKdfs, type Kdfs, keyedTag } from '../../crypto/kdf.ts'
import { HashedPasswords, passwordBytes, WorkQueue } from './passwords.ts'
import { parseHash } from './phc.ts'

const PASSWORD = 'tractor violin umbrella'
const K1 = { id: 'k1', key: 'a key of thirty-two bytes or more, first' }
const K2 = { id: 'k2', key: 'a key of thirty-two bytes or more, second' }

/** The installed functions, and what was asked of argon2 and bcrypt. */
function counted(changes: Partial<Kdfs> = {}) {
  const installed = { ...installedKdfs(), ...changes }
  const asked: (Omit<Argon2Work, 'password' | 'salt'> | 'bcrypt' | 'scrypt')[] = []
  const { argon2, bcrypt } = installed
  const kdfs: Kdfs = {
    ...installed,
    argon2:
      argon2 &&
      (({ password, salt, ...work }) => {
        const { variant, memory, passes, lanes, tagLength } = work
        asked.push({ variant, memory, passes, lanes, tagLength })
        return argon2({ password, salt, ...work })
      }),
    bcrypt:
      bcrypt &&
      ((password, hash) => {
        asked.push('bcrypt')
        return bcrypt(password, hash)
      }),
    scrypt: (work) => {
      asked.push('scrypt')
      return installed.scrypt(work)
    },
  }
  return { kdfs, asked }
}
const ONE_HASH = [{ variant: 'argon2id', memory: 19_456, passes: 2, lanes: 1, tagLength: 32 }]

// 'tractor violin umbrella' under bcrypt with cost 4.
const BCRYPT = '$2b$04$V/xGgkS3bt1jq93kgOW4B.2F92KSWDhas2/0UYGcqOTlbDbbm5p2K'

describe('hash', () => {
  test('makes argon2id of 19 MiB and two passes, salt of 16 bytes and tag of 32, as a PHC string', async () => {
    const stored = await hashPassword(PASSWORD)
    expect(stored).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  })

  test('salts every hash on its own', async () => {
    expect(await hashPassword(PASSWORD)).not.toBe(await hashPassword(PASSWORD))
  })

  test('refuses what cannot be hashed as typed with 400, not as a fault of the server', async () => {
    for (const password of ['', 'a'.repeat(1025), '\ud800']) {
      await expect(hashPassword(password)).rejects.toMatchObject({ code: 'ERR_PASSWORD_UNUSABLE', status: 400 })
    }
  })

  test('is scrypt with N=2^17, r=8, p=1 where nothing computes argon2', async () => {
    const own = new HashedPasswords(counted({ argon2: undefined }).kdfs)
    const stored = await own.hash(PASSWORD)
    expect(stored).toMatch(/^\$scrypt\$ln=17,r=8,p=1\$/)
    expect(await own.verify(PASSWORD, stored)).toEqual({ ok: true })
  })

  test('can cost more, and not less than the floor', async () => {
    expect(await hashPassword(PASSWORD, { cost: { memory: 32_768 } })).toContain('$m=32768,t=2,p=1$')
    for (const cost of [{ memory: 8192 }, { passes: 1 }, { memory: 1_048_576 }, { passes: 1.5 }, { passes: 65 }]) {
      expect(() => passwords({ cost })).toThrow(expect.objectContaining({ code: 'ERR_PASSWORD_OPTIONS' }))
    }
  })

  test('beyond the queue is refused with 503', async () => {
    const own = passwords({ queue: { concurrency: 1, length: 0 } })
    const first = own.hash(PASSWORD)
    await expect(own.hash(PASSWORD)).rejects.toMatchObject({ code: 'ERR_PASSWORD_BUSY', status: 503, retryAfter: 1 })
    await first
  })
})

describe('verify', () => {
  test('accepts the password and nothing else', async () => {
    const stored = await hashPassword(PASSWORD)
    expect(await verifyPassword(PASSWORD, stored)).toBe(true)
    for (const other of [
      `${PASSWORD} `,
      ` ${PASSWORD}`,
      'Tractor violin umbrella',
      `${PASSWORD}\0`,
      PASSWORD.slice(0, -1),
    ]) {
      expect(await verifyPassword(other, stored)).toBe(false)
    }
  })

  test('accepts scrypt, PBKDF2 and bcrypt', async () => {
    const { scrypt, pbkdf2 } = installedKdfs()
    const password = Buffer.from(PASSWORD)
    const salt = Buffer.from('0123456789abcdef')
    const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64').replace(/=+$/, '')
    const scryptTag = await scrypt({ password, salt, rounds: 1024, blockSize: 8, lanes: 1, tagLength: 64 })
    const pbkdf2Tag = await pbkdf2({ password, salt, digest: 'sha512', iterations: 1000, tagLength: 20 })
    const imported = [
      `$scrypt$ln=10,r=8,p=1$${text(salt)}$${text(scryptTag)}`,
      `$pbkdf2-sha512$i=1000$${text(salt)}$${text(pbkdf2Tag)}`,
      BCRYPT,
    ]
    for (const stored of imported) {
      expect(await verifyPassword(PASSWORD, stored)).toBe(true)
      expect(await verifyPassword(`${PASSWORD}!`, stored)).toBe(false)
      const { rehash } = await passwords().verify(PASSWORD, stored)
      expect(rehash).toMatch(/^\$argon2id\$/)
    }
  })

  test('refuses more than 72 bytes and NUL on bcrypt, which would not read them, for the price of a hash', async () => {
    for (const password of [`${PASSWORD}\0junk`, 'x'.repeat(73)]) {
      const { kdfs, asked } = counted()
      expect(await new HashedPasswords(kdfs).verify(password, BCRYPT)).toEqual({ ok: false })
      expect(asked).toEqual(ONE_HASH)
    }
  })

  test('computes as much for no hash, a broken one and an excessive one as for the right one', async () => {
    const stored = await hashPassword(PASSWORD)
    for (const hash of [
      stored,
      undefined,
      '',
      'PASSWORD',
      // 41 characters of base64 are always broken. One of sixteen texts of 42 would be a shorter tag.
      stored.slice(0, -2),
      stored.replace('m=19456', 'm=4194304'),
    ]) {
      const { kdfs, asked } = counted()
      await new HashedPasswords(kdfs).verify('the wrong password', hash)
      expect(asked).toEqual(ONE_HASH)
    }
  })

  test('never accepts an absent or unreadable hash', async () => {
    for (const hash of [undefined, '', PASSWORD, '$argon2id$']) expect(await verifyPassword(PASSWORD, hash)).toBe(false)
  })

  test('reports a stored hash that can never match, without what is in it', async () => {
    const events: PasswordEvent[] = []
    const own = passwords({ onEvent: (event) => events.push(event) })
    await own.verify(PASSWORD, 'plaintext in the column')
    await own.verify(PASSWORD, (await own.hash(PASSWORD)).replace('m=19456', 'm=4194304'))
    expect(events).toEqual([
      { type: 'hash_unusable', reason: 'malformed' },
      { type: 'hash_unusable', reason: 'excessive' },
    ])
  })

  test('hashes nothing for a password that no user can have, whatever is stored', async () => {
    for (const password of ['', 'a'.repeat(1025), '\ud800']) {
      for (const hash of [undefined, await hashPassword(PASSWORD), BCRYPT]) {
        const { kdfs, asked } = counted()
        expect(await new HashedPasswords(kdfs).verify(password, hash)).toEqual({ ok: false })
        expect(asked).toEqual([])
      }
    }
  })

  test('says how to get a missing hasher', async () => {
    const withoutBcrypt = new HashedPasswords(counted({ bcrypt: undefined }).kdfs)
    await expect(withoutBcrypt.verify(PASSWORD, BCRYPT)).rejects.toMatchObject({
      code: 'ERR_PASSWORD_HASHER_MISSING',
      status: 500,
      hint: expect.stringContaining('npm install @node-rs/bcrypt'),
    })
    const withoutArgon2 = new HashedPasswords(counted({ argon2: undefined }).kdfs)
    await expect(withoutArgon2.verify(PASSWORD, await hashPassword(PASSWORD))).rejects.toMatchObject({
      code: 'ERR_PASSWORD_HASHER_MISSING',
      hint: expect.stringContaining('npm install @node-rs/argon2'),
    })
  })
})

describe('rehash', () => {
  test('is not offered for a hash under the current policy, nor for a wrong password', async () => {
    const own = passwords()
    const weak = await installedWeak()
    expect(await own.verify(PASSWORD, await own.hash(PASSWORD))).toEqual({ ok: true })
    expect(await own.verify('the wrong password', weak)).toEqual({ ok: false })
  })

  test('is the same password under the current policy', async () => {
    const own = passwords()
    const { ok, rehash } = await own.verify(PASSWORD, await installedWeak())
    expect(ok).toBe(true)
    expect(await own.verify(PASSWORD, rehash)).toEqual({ ok: true })
  })

  test('is wanted below the cost, salt and tag of the policy, for another scheme, and for what cannot be read', async () => {
    const stored = await hashPassword(PASSWORD)
    const [, , , , salt = '', tag = ''] = stored.split('$')
    expect(needsRehash(stored)).toBe(false)
    for (const outdated of [
      stored.replace('m=19456', 'm=19455'),
      stored.replace('t=2', 't=1'),
      stored.replace('argon2id', 'argon2i'),
      stored.replace(salt, 'AAECAwQFBgcICQoLDA0O'),
      stored.replace(tag, 'AAECAwQFBgcICQoLDA0ODw'),
      `$scrypt$ln=17,r=8,p=1$${salt}$${tag}`,
      `$pbkdf2-sha256$i=600000$${salt}$${tag}`,
      BCRYPT,
      'nothing',
    ]) {
      expect(needsRehash(outdated), outdated).toBe(true)
    }
  })

  test('is not wanted above the policy', async () => {
    expect(needsRehash(await hashPassword(PASSWORD, { cost: { memory: 32_768, passes: 3 } }))).toBe(false)
  })

  test('is wanted below the cost of scrypt where nothing computes argon2', () => {
    const own = new HashedPasswords(counted({ argon2: undefined }).kdfs)
    const rest = '$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODwABAgMEBQYHCAkKCwwNDg8'
    expect(own.needsRehash(`$scrypt$ln=17,r=8,p=1${rest}`)).toBe(false)
    expect(own.needsRehash(`$scrypt$ln=16,r=8,p=1${rest}`)).toBe(true)
    expect(own.needsRehash(`$scrypt$ln=17,r=4,p=1${rest}`)).toBe(true)
  })

  test('that fails does not fail the verification', async () => {
    const events: PasswordEvent[] = []
    const { kdfs } = counted({ argon2: () => Promise.reject(new Error('no memory')) })
    const own = new HashedPasswords(kdfs, { onEvent: (event) => events.push(event) })
    expect(await own.verify(PASSWORD, BCRYPT)).toEqual({ ok: true })
    expect(events).toEqual([{ type: 'rehash_skipped', error: expect.objectContaining({ message: 'no memory' }) }])
  })
})

describe('a pepper', () => {
  test('keys the tag with HMAC-SHA-256, and its id is in the string', async () => {
    const stored = await hashPassword(PASSWORD, { pepper: [K1] })
    expect(stored).toContain('p=1,pepper=k1$')
    const hash = parseHash(stored)
    if (hash?.scheme !== 'argon2') return expect.unreachable()
    const work = { ...hash, password: Buffer.from(PASSWORD), tagLength: 32 }
    const tag = await installedKdfs().argon2?.(work)
    expect(Buffer.from(hash.tag)).toEqual(Buffer.from(keyedTag(K1.key, tag ?? Buffer.alloc(0))))
  })

  test('is needed to verify: without the same key the right password is wrong', async () => {
    const stored = await hashPassword(PASSWORD, { pepper: [K1] })
    expect(await verifyPassword(PASSWORD, stored, { pepper: [K1] })).toBe(true)
    expect(await verifyPassword(PASSWORD, stored, { pepper: [{ ...K2, id: 'k1' }] })).toBe(false)
  })

  test('rotates: the retired one verifies, and the hash is made again under the current one', async () => {
    const stored = await hashPassword(PASSWORD, { pepper: [K1] })
    const rotated = passwords({ pepper: [K2, K1] })
    const { ok, rehash } = await rotated.verify(PASSWORD, stored)
    expect(ok).toBe(true)
    expect(rehash).toContain(',pepper=k2$')
    expect(await rotated.verify(PASSWORD, rehash)).toEqual({ ok: true })
  })

  test('is added to hashes that had none', async () => {
    const { ok, rehash } = await passwords({ pepper: [K1] }).verify(PASSWORD, await hashPassword(PASSWORD))
    expect(ok).toBe(true)
    expect(rehash).toContain(',pepper=k1$')
  })

  test('that is not configured any more is an error that names it, and not its key', async () => {
    const stored = await hashPassword(PASSWORD, { pepper: [K1] })
    const refused = verifyPassword(PASSWORD, stored, { pepper: [K2] })
    await expect(refused).rejects.toMatchObject({ code: 'ERR_PASSWORD_PEPPER', message: expect.stringContaining('k1') })
  })

  test.each([
    ['a short key', [{ id: 'k1', key: 'short' }]],
    ['an id that does not fit into the string', [{ ...K1, id: 'k$1' }]],
    ['an empty id', [{ ...K1, id: '' }]],
    ['the same id twice', [K1, { ...K2, id: 'k1' }]],
  ] as const)('with %s is refused', (_, pepper) => {
    expect(() => passwords({ pepper: [...pepper] })).toThrow(expect.objectContaining({ code: 'ERR_PASSWORD_OPTIONS' }))
  })
})

test('no error and no event holds a password, a hash or a key', async () => {
  const CANARY = 'canary-3f9a77-tractor'
  const seen: unknown[] = []
  const pepper = [{ id: 'k1', key: `${CANARY}-of-at-least-32-bytes` }] as const
  const keep = (error: unknown) => seen.push(error)
  const own = passwords({
    pepper,
    blocklist: () => Promise.reject(new Error('down')),
    onEvent: keep,
    queue: { concurrency: 1, length: 0 },
  })
  const stored = await own.hash(CANARY)
  await own.check(CANARY)
  await own.hash(`${CANARY}\ud800`).catch(keep)
  await own.hash(CANARY.repeat(100)).catch(keep)
  await own.verify(CANARY, CANARY)
  await Promise.all([own.hash(CANARY), own.verify(CANARY, stored).catch(keep)])
  await verifyPassword(CANARY, stored).catch(keep)
  await new HashedPasswords(counted({ argon2: undefined, bcrypt: undefined }).kdfs, { pepper })
    .verify(CANARY, stored)
    .catch(keep)
  await new HashedPasswords(counted({ bcrypt: undefined }).kdfs).verify(CANARY, BCRYPT).catch(keep)
  expect(seen).toHaveLength(8)
  const text = inspect(seen, { depth: 9, showHidden: true }) + JSON.stringify(seen)
  expect(text).not.toContain('canary')
  expect(text).not.toContain(stored.split('$').at(-1))
})

async function installedWeak(): Promise<string> {
  const salt = Buffer.from('0123456789abcdef')
  const weak = { variant: 'argon2id', memory: 1024, passes: 1, lanes: 1, tagLength: 32 } as const
  const tag = await installedKdfs().argon2?.({ ...weak, password: Buffer.from(PASSWORD), salt })
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64').replace(/=+$/, '')
  return `$argon2id$v=19$m=1024,t=1,p=1$${text(salt)}$${text(tag ?? salt)}`
}

/** A task that ends when told, and what has begun so far. */
function tasks() {
  const begun: number[] = []
  const ends = new Map<number, { resolve: () => void; reject: (error: Error) => void }>()
  const task = (number: number) => () =>
    new Promise<number>((resolve, reject) => {
      begun.push(number)
      ends.set(number, { resolve: () => resolve(number), reject })
    })
  return {
    begun,
    task,
    end: (number: number) => ends.get(number)?.resolve(),
    fail: (number: number) => ends.get(number)?.reject(new Error('failed')),
  }
}

test('no more tasks run at once than allowed, and the others follow in their order', async () => {
  const queue = new WorkQueue({ concurrency: 2 })
  const { begun, task, end } = tasks()
  const results = [1, 2, 3, 4].map((number) => queue.run(task(number)))
  expect(begun).toEqual([1, 2])
  end(2)
  await results[1]
  expect(begun).toEqual([1, 2, 3])
  end(1)
  await results[0]
  expect(begun).toEqual([1, 2, 3, 4])
  end(3)
  end(4)
  expect(await Promise.all(results)).toEqual([1, 2, 3, 4])
})

test('beyond its length the queue refuses at once with 503 and Retry-After', async () => {
  const queue = new WorkQueue({ concurrency: 1, length: 1 })
  const { begun, task, end } = tasks()
  const first = queue.run(task(1))
  const second = queue.run(task(2))
  await expect(queue.run(task(3))).rejects.toMatchObject({ code: 'ERR_PASSWORD_BUSY', status: 503, retryAfter: 1 })
  end(1)
  await first
  end(2)
  await second
  expect(begun).toEqual([1, 2])
})

test('there is room again when the queue has emptied', async () => {
  const queue = new WorkQueue({ concurrency: 1, length: 0 })
  await queue.run(async () => {})
  expect(await queue.run(async () => 'done')).toBe('done')
})

test('a task that fails gives its place back, and its error to its caller alone', async () => {
  const queue = new WorkQueue({ concurrency: 1 })
  const { begun, task, end, fail } = tasks()
  const failing = queue.run(task(1))
  const next = queue.run(task(2))
  fail(1)
  await expect(failing).rejects.toThrow('failed')
  end(2)
  expect(await next).toBe(2)
  expect(begun).toEqual([1, 2])
})

test('a newcomer does not overtake those who wait', async () => {
  const queue = new WorkQueue({ concurrency: 1 })
  const { begun, task, end } = tasks()
  const first = queue.run(task(1))
  const second = queue.run(task(2))
  end(1)
  const third = first.then(() => queue.run(task(3)))
  await first
  end(2)
  await second
  expect(begun).toEqual([1, 2, 3])
  end(3)
  await third
})

test.each([{ concurrency: 0 }, { concurrency: 1.5 }, { length: -1 }, { length: Number.NaN }])(
  '%o is refused',
  (options) => {
    expect(() => new WorkQueue(options)).toThrow(expect.objectContaining({ code: 'ERR_PASSWORD_OPTIONS' }))
  },
)

test('by default one thread of Node.js stays free for files and host names', async () => {
  vi.stubEnv('UV_THREADPOOL_SIZE', '2')
  const queue = new WorkQueue()
  vi.unstubAllEnvs()
  const { begun, task, end } = tasks()
  const results = [1, 2].map((number) => queue.run(task(number)))
  expect(begun).toEqual([1])
  end(1)
  await results[0]
  end(2)
  await results[1]
})

test('composed and decomposed spellings are the same password', () => {
  expect(passwordBytes('caf\u00e9')).toEqual(passwordBytes('cafe\u0301'))
})

test('compatible characters stay different passwords', () => {
  expect(passwordBytes('\uff41')).not.toEqual(passwordBytes('a'))
})

test('1,024 bytes after NFC are a password, one more is none', () => {
  expect(passwordBytes('a'.repeat(1024))).toHaveLength(1024)
  expect(passwordBytes('a'.repeat(1025))).toBeUndefined()
  expect(passwordBytes('e\u0301'.repeat(512))).toHaveLength(1024)
  expect(passwordBytes('e\u0301'.repeat(513))).toBeUndefined()
})

test('the longest decomposition that comes down to 1,024 bytes is still a password', () => {
  // U+1F82 is four code points decomposed and three bytes composed.
  const decomposed = '\u1f82'.normalize('NFD').repeat(341)
  expect(decomposed).toHaveLength(1364)
  expect(passwordBytes(decomposed)).toHaveLength(1023)
})

test('half a surrogate pair is no password: UTF-8 would make all of them equal', () => {
  expect(passwordBytes('good words\ud800')).toBeUndefined()
  expect(passwordBytes('good words\u{1f600}')).toBeDefined()
})

test('nothing is no password', () => {
  expect(passwordBytes('')).toBeUndefined()
})
