import { type Attempt, Gatepass } from 'gatepass/passport'
import { memoryStore } from 'gatepass/stores/memory'
import { type ApiKeyEvent, type ApiKeyStore, apiKeys, memoryApiKeyStore } from 'gatepass/strategies/api-key'
import { TestExchange, testClock } from 'gatepass/testing'
import { expect, test } from 'vitest'

const attempt = {} as Attempt
const sending = (key: string) => new TestExchange({ headers: { authorization: `Bearer ${key}` } })

function world(change: (store: ApiKeyStore) => Partial<ApiKeyStore> = () => ({})) {
  const clock = testClock()
  const memory = memoryApiKeyStore()
  const calls: unknown[][] = []
  const events: ApiKeyEvent[] = []
  const counted =
    <Given extends unknown[], Answer>(name: string, call: (...given: Given) => Answer) =>
    (...given: Given): Answer => {
      calls.push([name, ...given])
      return call(...given)
    }
  const store: ApiKeyStore = {
    insert: counted('insert', (record) => memory.insert(record)),
    find: counted('find', (hash) => memory.find(hash)),
    touch: counted('touch', (hash, usedAt) => memory.touch(hash, usedAt)),
    remove: (subject, id) => memory.remove(subject, id),
    list: (subject) => memory.list(subject),
    ...change(memory),
  }
  const account = (key: { subject: string }) => (key.subject === 'gone' ? undefined : { id: key.subject })
  const keys = apiKeys({ prefix: 'shop', store, account, clock, onEvent: (event) => void events.push(event) })
  return { clock, calls, events, keys, named: (name: string) => calls.filter(([called]) => called === name) }
}

test('a key is shown once; kept and listed are its hash, its name and its beginning', async () => {
  const { keys, calls } = world()
  const { key, record } = await keys.create({ subject: 'alice', label: 'deploy', scopes: ['orders:read'] })
  expect(key).toMatch(/^shop_[\w-]{43}[0-9a-f]{8}$/)
  expect(record).toMatchObject({ subject: 'alice', label: 'deploy', hint: key.slice(0, 9), scopes: ['orders:read'] })
  expect(await keys.list('alice')).toEqual([record])
  expect(JSON.stringify([calls, await keys.list('alice')])).not.toContain(key.slice(12))
  const outcome = await keys.authenticate(sending(key), attempt)
  expect(outcome).toMatchObject({ type: 'success', user: { id: 'alice' }, scope: ['orders:read'], persist: false })
})

test('what has not the form of a key, or not its checksum, costs no store call', async () => {
  const { keys, named } = world()
  const { key } = await keys.create({ subject: 'alice', label: 'x' })
  const flipped = (at: number) => key.slice(0, at) + (key[at] === 'a' ? 'b' : 'a') + key.slice(at + 1)
  const invented = [flipped(10), flipped(key.length - 1), key.slice(0, -1), `${key}0`, key.replace('shop', 'other')]
  for (const text of [...invented, key.toUpperCase(), 'shop_', 'a.b.c'])
    expect(await keys.authenticate(sending(text), attempt), text).toMatchObject({ reason: 'invalid' })
  expect(named('find')).toEqual([])
})

test('a revoked key is refused with the next request, and only its owner can revoke it', async () => {
  const { keys } = world()
  const { key, record } = await keys.create({ subject: 'alice', label: 'x' })
  expect(await keys.revoke('bob', record.id)).toBe(false)
  expect(await keys.authenticate(sending(key), attempt)).toMatchObject({ type: 'success' })
  expect(await keys.revoke('alice', record.id)).toBe(true)
  expect(await keys.authenticate(sending(key), attempt)).toMatchObject({ reason: 'invalid' })
  expect(await keys.revoke('alice', record.id)).toBe(false)
})

test('a key ends when its time is over, and with its account', async () => {
  const { keys, clock } = world()
  const { key } = await keys.create({ subject: 'alice', label: 'x', lifetime: 60 })
  clock.advance(59)
  expect(await keys.authenticate(sending(key), attempt)).toMatchObject({ type: 'success' })
  clock.advance(1)
  expect(await keys.authenticate(sending(key), attempt)).toMatchObject({ reason: 'expired' })
  const gone = await keys.create({ subject: 'gone', label: 'x' })
  expect(await keys.authenticate(sending(gone.key), attempt)).toMatchObject({ reason: 'invalid' })
})

test('its last use is written down once a minute', async () => {
  const { keys, clock, named } = world()
  const { key } = await keys.create({ subject: 'alice', label: 'x' })
  for (let second = 0; second < 120; second++) {
    await keys.authenticate(sending(key), attempt)
    clock.advance(1)
  }
  expect(named('touch')).toHaveLength(2)
  expect((await keys.list('alice'))[0]?.usedAt).toBe(clock() - 60_000)
})

test.each([
  [
    'throws',
    () => {
      throw new Error('down')
    },
  ],
  ['rejects', () => Promise.reject(new Error('down'))],
])(
  'where the last use cannot be written down (the store %s), the request goes on and somebody is told',
  async (_, touch) => {
    const { keys, events } = world(() => ({ touch }))
    const { key, record } = await keys.create({ subject: 'alice', label: 'x' })
    expect(await keys.authenticate(sending(key), attempt)).toMatchObject({ type: 'success' })
    expect(events).toMatchObject([{ type: 'touch_failed', id: record.id }])
  },
)

test('a key opens what its scopes say, on the routes that a cookie opens, and is neither a recent login nor a cookie', async () => {
  const { keys } = world()
  const auth = new Gatepass(
    {
      sessions: { store: memoryStore() },
      users: { find: (id): { id: string } => ({ id }), subject: (user) => user.id },
      strategies: [keys],
      bearer: ['api-key'],
    },
    ['https://app.example'],
  )
  const { key } = await keys.create({ subject: 'alice', label: 'x', scopes: ['orders:read'] })
  const answers = []
  for (const guard of [{ scope: 'orders:read' }, { scope: 'orders:write' }, { maxAge: 300 }, { cookie: true }]) {
    const exchange = sending(key)
    await auth.admit(exchange)
    answers.push((await auth.requireLogin(exchange, guard))?.status)
  }
  expect(answers).toEqual([undefined, 403, 401, 403])
})

test.each([
  [
    'throws',
    () => {
      throw new Error('down')
    },
  ],
  ['rejects', () => Promise.reject(new Error('down'))],
])('where the store cannot say whose a key is (it %s), nobody is let in and the answer is 503', async (_, find) => {
  const { keys } = world(() => ({ find }))
  const { key } = await keys.create({ subject: 'alice', label: 'x' })
  const asking = async () => keys.authenticate(sending(key), attempt)
  await expect(asking()).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', status: 503 })
})

test('a prefix that scanners could not tell is refused at boot', () => {
  const options = { store: memoryApiKeyStore(), account: () => ({ id: 'x' }) }
  for (const prefix of ['', 'a', 'Shop', 'shop-x', '1shop', 'x'.repeat(40)])
    expect(() => apiKeys({ ...options, prefix })).toThrowError(expect.objectContaining({ code: 'ERR_TOKEN_OPTIONS' }))
})

test.each([
  ['expiresAt', { expiresAt: '2020-01-01T00:00:00Z' }],
  ['expiresAt', { expiresAt: new Date(0) }],
  ['scopes', { scopes: 'orders:read orders:write' }],
  ['subject', { subject: 'undefined' }],
])('a record with a wrong %s, as a driver may give it, opens nothing and says so', async (member, wrong) => {
  const { keys } = world((store) => ({ find: async (hash) => ({ ...(await store.find(hash)), ...wrong }) as never }))
  const { key } = await keys.create({ subject: 'alice', label: 'x' })
  await expect(keys.authenticate(sending(key), attempt)).rejects.toMatchObject({
    code: 'ERR_TOKEN_OPTIONS',
    message: expect.stringContaining(`\`${member}\``),
  })
})

test('a list of rows is not a record', async () => {
  const { keys } = world(() => ({ find: () => [] as never }))
  const { key } = await keys.create({ subject: 'alice', label: 'x' })
  expect(() => keys.authenticate(sending(key), attempt)).toThrow(expect.objectContaining({ code: 'ERR_TOKEN_OPTIONS' }))
})

test('no key is made for a subject that all users without a key would share', async () => {
  const { keys } = world()
  await expect(keys.create({ subject: 'undefined', label: 'x' })).rejects.toMatchObject({
    code: 'ERR_PASSPORT_SUBJECT',
  })
})

test('what `account` gives is a user, nobody or a failure, and nothing else', async () => {
  const store = memoryApiKeyStore()
  for (const account of [true, 'alice', []] as never[]) {
    const keys = apiKeys({ prefix: 'shop', store, account: () => account })
    const { key } = await keys.create({ subject: 'alice', label: 'x' })
    await expect((async () => keys.authenticate(sending(key), attempt))()).rejects.toMatchObject({
      code: 'ERR_PASSPORT_USER',
    })
  }
})
