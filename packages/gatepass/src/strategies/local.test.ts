import { inspect } from 'node:util'
import type { Attempt, Exchange, Failure, Outcome } from 'gatepass/passport'
import { hashPassword, passwords } from 'gatepass/password'
import { type LocalAccounts, type LocalEvent, local } from 'gatepass/strategies/local'
import { describe, expect, test } from 'vitest'
import { installedKdfs, type Kdfs } from '../crypto/kdf.ts'
import { HashedPasswords } from '../protocols/password/passwords.ts'

const NOW = Date.UTC(2026, 0, 1)

const PASSWORD = 'tractor violin umbrella'
const ALICE = { id: '42', name: 'alice' }
type User = typeof ALICE
const INVALID = { type: 'failure', reason: 'invalid', message: 'Wrong name or password.' }
const MISSING = { type: 'failure', reason: 'missing', message: expect.any(String), status: 400 }
const LOCKED: Failure = { type: 'failure', reason: 'locked', message: 'Ask support.' }

function post(fields: Record<string, unknown>): Exchange {
  return { fields: async () => fields } as Partial<Exchange> as Exchange
}

function ask(strategy: ReturnType<typeof local<User>>, fields: Record<string, unknown>): Promise<Outcome<User>> {
  return Promise.resolve(strategy.authenticate(post(fields), { clock: () => NOW } as Attempt))
}

/** A strategy whose `verify` knows Alice, and what it was asked. */
function verifying() {
  const asked: unknown[] = []
  const strategy = local({
    verify: (name, password) => {
      asked.push([name, password])
      return name === 'alice' && password === PASSWORD ? ALICE : undefined
    },
  })
  return { strategy, asked }
}

/** A strategy that verifies by itself, what it looked up, and what it computed. */
function accounts(
  rows: Record<string, { hash: string | undefined; failure?: Failure }>,
  options: Partial<LocalAccounts<User>> = {},
) {
  const looked: string[] = []
  const computed: string[] = []
  const strategy = local<User>({
    find: async (name) => {
      looked.push(name)
      const row = Object.hasOwn(rows, name) ? rows[name] : undefined
      return row && { user: { ...ALICE, name }, ...row }
    },
    passwords: new HashedPasswords(noting(computed)),
    ...options,
  })
  return { strategy, looked, computed }
}

function noting(computed: string[]): Kdfs {
  const { argon2, ...others } = installedKdfs()
  if (argon2 === undefined) return expect.unreachable()
  return {
    ...others,
    argon2: (work) => {
      computed.push(`${work.variant} m=${work.memory} t=${work.passes} p=${work.lanes} ${work.tagLength}`)
      return argon2(work)
    },
  }
}

test('the right name and password are a login by password', async () => {
  const { strategy } = verifying()
  expect(strategy.name).toBe('local')
  expect(await ask(strategy, { username: 'alice', password: PASSWORD })).toEqual({
    type: 'success',
    user: ALICE,
    amr: ['pwd'],
    at: NOW,
  })
})

test('an e-mail address is read from its own field, and the first field filled in counts', async () => {
  const { strategy, asked } = verifying()
  await ask(strategy, { email: 'a@example.com', password: 'x' })
  await ask(strategy, { username: '', email: 'b@example.com', password: 'x' })
  await ask(strategy, { username: 'c', email: 'd@example.com', password: 'x' })
  expect(asked).toEqual([
    ['a@example.com', 'x'],
    ['b@example.com', 'x'],
    ['c', 'x'],
  ])
})

test('the fields can have other names', async () => {
  const asked: unknown[] = []
  const strategy = local<User>({
    verify: (name, password) => void asked.push([name, password]),
    fields: { name: 'login', password: 'pass' },
  })
  await ask(strategy, { login: 'alice', pass: 'x', username: 'bob', password: 'y' })
  expect(asked).toEqual([['alice', 'x']])
})

test('name and password arrive exactly as typed', async () => {
  const { strategy, asked } = verifying()
  await ask(strategy, { username: ' Alice ', password: ` ${PASSWORD} ` })
  expect(asked).toEqual([[' Alice ', ` ${PASSWORD} `]])
})

describe('fields that are not both there are missing, and nobody is looked up:', () => {
  test.each([
    ['none', {}],
    ['no password', { username: 'alice' }],
    ['no name', { password: PASSWORD }],
    ['an empty password', { username: 'alice', password: '' }],
    ['an empty name', { username: '', password: PASSWORD }],
    ['an object', { username: { $ne: '' }, password: { $ne: '' } }],
    ['a number', { username: 'alice', password: 12345 }],
    ['null', { username: null, password: PASSWORD }],
    ['only inherited ones', Object.create({ username: 'alice', password: PASSWORD })],
  ])('%s', async (_, fields) => {
    const { strategy, asked } = verifying()
    expect(await ask(strategy, fields)).toEqual(MISSING)
    expect(asked).toEqual([])
  })
})

test.each([
  ['a name', { username: ['alice', 'bob'], password: PASSWORD }],
  ['a password', { username: 'alice', password: [PASSWORD, 'another'] }],
  ['a name in either field', { username: 'alice', email: ['alice'], password: PASSWORD }],
])('%s that was sent twice is malformed, and nobody is looked up', async (_, fields) => {
  const { strategy, asked } = verifying()
  await expect(ask(strategy, fields)).rejects.toMatchObject({ code: 'ERR_BODY_MALFORMED', status: 400 })
  expect(asked).toEqual([])
})

describe('what nobody can have is refused like a wrong password, before anybody is looked up:', () => {
  test.each([
    ['a password above 1,024 bytes', 'alice', 'a'.repeat(1025)],
    ['a password that is not Unicode', 'alice', '\ud800'],
    ['a name above 256 characters', 'a'.repeat(257), PASSWORD],
    ['a name that is not Unicode', '\ud800', PASSWORD],
    ['a name with NUL', 'alice\0', PASSWORD],
    ['a name with a line end', 'alice\r\n', PASSWORD],
  ])('%s', async (_, username, password) => {
    const { strategy, asked } = verifying()
    expect(await ask(strategy, { username, password })).toEqual(INVALID)
    expect(asked).toEqual([])
    const own = accounts({ alice: { hash: await hashPassword(PASSWORD) } })
    expect(await ask(own.strategy, { username, password })).toEqual(INVALID)
    expect([own.looked, own.computed]).toEqual([[], []])
  })
})

test.each([undefined, null, false] as const)('%s from verify refuses with the one message', async (verdict) => {
  const strategy = local<User>({ verify: () => verdict })
  expect(await ask(strategy, { username: 'alice', password: PASSWORD })).toEqual(INVALID)
})

test('a failure from verify is the outcome', async () => {
  const strategy = local<User>({ verify: async () => LOCKED })
  expect(await ask(strategy, { username: 'alice', password: PASSWORD })).toBe(LOCKED)
})

test('an error from verify, from find or from reading the body is not a refusal', async () => {
  const error = new Error('database down')
  const fails = () => Promise.reject(error)
  await expect(ask(local<User>({ verify: fails }), { username: 'alice', password: 'x' })).rejects.toBe(error)
  await expect(ask(local<User>({ find: fails }), { username: 'alice', password: 'x' })).rejects.toBe(error)
  const exchange = { fields: fails } as Partial<Exchange> as Exchange
  await expect(verifying().strategy.authenticate(exchange, { clock: Date.now } as Attempt)).rejects.toBe(error)
})

test('verify may be a method that uses its object', async () => {
  class Directory {
    readonly #users = new Map([['alice', ALICE]])
    verify(name: string) {
      return this.#users.get(name)
    }
  }
  expect(await ask(local(new Directory()), { username: 'alice', password: 'x' })).toMatchObject({
    type: 'success',
    user: ALICE,
  })
})

describe('with accounts', () => {
  test('the right password is a login, the wrong one is not', async () => {
    const { strategy } = accounts({ alice: { hash: await hashPassword(PASSWORD) } })
    expect(await ask(strategy, { username: 'alice', password: PASSWORD })).toEqual({
      type: 'success',
      user: ALICE,
      amr: ['pwd'],
      at: NOW,
    })
    expect(await ask(strategy, { username: 'alice', password: `${PASSWORD}!` })).toEqual(INVALID)
  })

  test('nobody logs in to an account without a password', async () => {
    const { strategy } = accounts({ google: { hash: undefined }, empty: { hash: '' } })
    for (const username of ['google', 'empty', 'nobody']) {
      for (const password of [PASSWORD, 'undefined', 'null', ' ']) {
        expect(await ask(strategy, { username, password })).toEqual(INVALID)
      }
    }
  })

  test('a disabled account says so to its owner alone', async () => {
    const { strategy } = accounts({ alice: { hash: await hashPassword(PASSWORD), failure: LOCKED } })
    expect(await ask(strategy, { username: 'alice', password: 'the wrong one' })).toEqual(INVALID)
    expect(await ask(strategy, { username: 'alice', password: PASSWORD })).toEqual(LOCKED)
  })

  test('passwords() is the default', async () => {
    const hash = await hashPassword(PASSWORD)
    const strategy = local<User>({ find: () => ({ user: ALICE, hash }) })
    expect(await ask(strategy, { username: 'alice', password: PASSWORD })).toMatchObject({ type: 'success' })
  })

  // 'tractor violin umbrella' under bcrypt with cost 4.
  const OLD = '$2b$04$V/xGgkS3bt1jq93kgOW4B.2F92KSWDhas2/0UYGcqOTlbDbbm5p2K'

  test('a login that renews the hash gives the user as stored afterwards', async () => {
    let stored = { ...ALICE, hash: OLD }
    const strategy = local<typeof stored>({
      find: () => ({ user: stored, hash: stored.hash }),
      rehash: (user, { to }) => {
        stored = { ...user, hash: to }
      },
    })
    const outcome = await strategy.authenticate(post({ username: 'alice', password: PASSWORD }), {
      clock: Date.now,
    } as Attempt)
    expect(stored.hash).not.toBe(OLD)
    expect(outcome).toMatchObject({ type: 'success', user: { hash: stored.hash } })
  })

  /** An account, and a strategy that changes it after each right password, before the login is concluded. */
  async function changing(...changes: Record<string, unknown>[]) {
    const real = passwords()
    const row: { hash: string | undefined; failure?: Failure } = { hash: await hashPassword(PASSWORD) }
    const verify: typeof real.verify = async (password, stored) => {
      const verification = await real.verify(password, stored)
      Object.assign(row, changes.shift())
      return verification
    }
    const { strategy } = accounts({ alice: row }, { passwords: { ...real, verify } as typeof real })
    return () => ask(strategy, { username: 'alice', password: PASSWORD })
  }

  test.each([
    ['changed to another', async () => ({ hash: await hashPassword('another one altogether') }), INVALID],
    ['removed', () => ({ hash: undefined }), INVALID],
    ['right for an account that is disabled', () => ({ failure: LOCKED }), LOCKED],
  ])('a password that is %s while it is hashed is no login', async (_what, change, outcome) => {
    const logIn = await changing(await change())
    expect(await logIn()).toEqual(outcome)
  })

  test('a hash that another login renewed meanwhile is tried as well', async () => {
    const logIn = await changing({ hash: await hashPassword(PASSWORD) })
    expect(await logIn()).toMatchObject({ type: 'success' })
  })

  test('an outdated hash is handed back for compare-and-set after the right password', async () => {
    const stored: unknown[] = []
    const rehash = (user: User, hash: { from: string; to: string }) => void stored.push(user.id, hash.from, hash.to)
    const { strategy } = accounts({ alice: { hash: OLD } }, { rehash })
    await ask(strategy, { username: 'alice', password: 'the wrong one' })
    expect(stored).toEqual([])
    await ask(strategy, { username: 'alice', password: PASSWORD })
    expect(stored).toEqual(['42', OLD, expect.stringMatching(/^\$argon2id\$/)])
    expect(await passwords().verify(PASSWORD, String(stored[2]))).toEqual({ ok: true })
  })

  test('a current hash is left alone', async () => {
    const { strategy } = accounts(
      { alice: { hash: await hashPassword(PASSWORD) } },
      { rehash: () => expect.unreachable() },
    )
    expect(await ask(strategy, { username: 'alice', password: PASSWORD })).toMatchObject({ type: 'success' })
  })

  test('a rehash that cannot be stored is reported, and the login goes on', async () => {
    const events: LocalEvent[] = []
    const error = new Error('read-only')
    const options = { rehash: () => Promise.reject(error), onEvent: (event: LocalEvent) => void events.push(event) }
    const { strategy } = accounts({ alice: { hash: OLD } }, options)
    expect(await ask(strategy, { username: 'alice', password: PASSWORD })).toMatchObject({ type: 'success' })
    expect(events).toEqual([{ type: 'rehash_failed', error }])
  })
})

test('refusing credentials takes as long for unknown users as for known ones', async () => {
  const hash = await hashPassword(PASSWORD)
  const rows = {
    alice: { hash },
    disabled: { hash, failure: LOCKED },
    google: { hash: undefined },
    damaged: { hash: hash.slice(0, -2) },
    excessive: { hash: hash.replace('m=19456', 'm=4194304') },
  }
  const oneHash = ['argon2id m=19456 t=2 p=1 32']
  for (const username of ['alice', 'nobody', 'disabled', 'google', 'damaged', 'excessive', '__proto__']) {
    const { strategy, looked, computed } = accounts(rows)
    expect(await ask(strategy, { username, password: 'the wrong one' })).toEqual(INVALID)
    expect([looked, computed]).toEqual([[username], oneHash])
  }
  // What cannot be right is refused before the lookup, so that it cannot depend on it.
  for (const username of ['alice', 'nobody']) {
    const { strategy, looked, computed } = accounts(rows)
    expect(await ask(strategy, { username, password: 'a'.repeat(1025) })).toEqual(INVALID)
    expect([looked, computed]).toEqual([[], []])
  }
})

test('no refusal, no event and no error holds what was typed', async () => {
  const CANARY = 'canary-3f9a77-tractor'
  const seen: unknown[] = []
  const busy = passwords({ queue: { concurrency: 1, length: 0 } })
  const hash = await hashPassword(CANARY)
  const strategy = local<User>({ find: () => ({ user: ALICE, hash }), passwords: busy })
  const typed = [CANARY, `${CANARY}!`, CANARY.repeat(100), `${CANARY}\ud800`]
  for (const password of typed) seen.push(await ask(strategy, { username: `${CANARY}`, password }))
  const hashing = busy.hash(CANARY)
  await ask(strategy, { username: CANARY, password: CANARY }).catch((error: unknown) => seen.push(error))
  await hashing
  expect(seen).toHaveLength(5)
  expect(seen.at(-1)).toMatchObject({ code: 'ERR_PASSWORD_BUSY' })
  expect(inspect(seen, { depth: 9, showHidden: true })).not.toContain('canary')
})

test('the user is inferred from find or verify, and a failure beside it does not become one', () => {
  const found = local({ find: async (name) => (name === '' ? undefined : { user: ALICE, hash: undefined }) })
  const verified = local({ verify: async (name) => (name === '' ? LOCKED : name === 'alice' ? ALICE : null) })
  const accept = (strategy: ReturnType<typeof local<User>>) => strategy.name
  expect([accept(found), accept(verified)]).toEqual(['local', 'local'])
})

describe('what the application gives that is not what it should be', () => {
  const right = { username: 'alice', password: PASSWORD }

  test.each([[true], ['alice'], [7], [[]], [new Error('wrong password')], [{ type: 'failure' }]])(
    'from `verify` is an error and not a login: %s',
    async (verdict) => {
      await expect(ask(local<User>({ verify: () => verdict as unknown as User }), right)).rejects.toMatchObject({
        code: 'ERR_PASSPORT_USER',
        message: expect.stringContaining('`verify` gave'),
      })
    },
  )

  test.each([
    ['user', { id: '42', hash: undefined }],
    ['user', { user: 'alice', hash: undefined }],
    ['hash', { user: ALICE, hash: Promise.resolve('$argon2id$') }],
    ['failure', { user: ALICE, hash: undefined, failure: true }],
    ['failure', { user: ALICE, hash: undefined, failure: 'locked' }],
  ])('from `find` is named by its member: %s', async (member, account) => {
    const strategy = local<User>({ find: () => account as never, passwords: new HashedPasswords(noting([])) })
    await expect(ask(strategy, right)).rejects.toMatchObject({
      code: 'ERR_PASSPORT_USER',
      message: expect.stringContaining(`\`${member}\` is`),
    })
  })

  test('from `find` may be null or false, as a driver and `&&` give it, and so may `hash` and `failure`', async () => {
    const hash = await hashPassword(PASSWORD)
    const finding = (account: unknown) =>
      ask(local<User>({ find: () => account as never, passwords: new HashedPasswords(noting([])) }), right)
    expect(await finding(null)).toEqual(INVALID)
    expect(await finding(false)).toEqual(INVALID)
    expect(await finding({ user: ALICE, hash: null })).toEqual(INVALID)
    expect(await finding({ user: ALICE, hash, failure: null })).toMatchObject({ type: 'success' })
    expect(await finding({ user: ALICE, hash, failure: false })).toMatchObject({ type: 'success' })
  })
})
