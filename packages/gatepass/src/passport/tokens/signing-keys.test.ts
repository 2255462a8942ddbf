import { type TestClock, testClock } from 'gatepass/testing'
import {
  accessTokens,
  memorySigningKeyStore,
  type SigningKeyEvent,
  type SigningKeyOptions,
  type SigningKeyStore,
  signingKeys,
} from 'gatepass/tokens'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { expect, test } from 'vitest'

const keys = ['a key of more than 32 characters, to seal with'] as const
const DAY = 24 * 3600

function process(clock: TestClock, store: SigningKeyStore, options: Partial<SigningKeyOptions> = {}) {
  return signingKeys({ store, keys, clock, ...options })
}

async function kids(signing: ReturnType<typeof process>): Promise<string[]> {
  return (await signing.jwks()).keys.map((jwk) => String(jwk.kid))
}

test('JW-10: the key set holds public members only, with kid, use and alg, and may be kept for an hour', async () => {
  for (const algorithm of ['EdDSA', 'ES256'] as const) {
    const signing = process(testClock(), memorySigningKeyStore(), { algorithm })
    const reply = await signing.reply()
    expect(reply).toMatchObject({ status: 200, headers: { 'cache-control': 'public, max-age=3600, no-transform' } })
    const [jwk] = (JSON.parse(reply.body ?? '') as { keys: Record<string, unknown>[] }).keys
    const members = ['kty', 'crv', 'x', ...(algorithm === 'ES256' ? ['y'] : []), 'kid', 'use', 'alg']
    expect(Object.keys(jwk ?? {}).sort()).toEqual(members.sort())
    expect(jwk).toMatchObject({ use: 'sig', alg: algorithm })
  }
})

test('a private key is stored sealed, and opens under the configured keys alone', async () => {
  const store = memorySigningKeyStore()
  const signing = process(testClock(), store)
  await signing.current()
  const { text = '' } = (await store.load()) ?? {}
  expect(text).not.toMatch(/"d"/)
  expect(text).toMatch(/"sealed":"v1\./)
  const other = process(testClock(), store, { keys: ['another key of more than 32 characters here'] })
  await expect(other.current()).rejects.toMatchObject({ code: 'ERR_JWT_KEYS' })
  expect(() => process(testClock(), store, { keys: ['short'] })).toThrow()
})

test('a sealed key of one name does not open under another', async () => {
  const store = memorySigningKeyStore()
  const [one, other] = [process(testClock(), store), memorySigningKeyStore()]
  await one.current()
  const stored = await store.load()
  const plan = JSON.parse(stored?.text ?? '') as { keys: { kid: string }[] }
  const [key] = plan.keys
  if (key !== undefined) key.kid = 'A'.repeat(43)
  await other.save({ version: 1, text: JSON.stringify(plan) }, 0)
  await expect(process(testClock(), other).current()).rejects.toMatchObject({ code: 'ERR_JWT_KEYS' })
})

test('who can write to the store, and has no key, cannot put a public key of their own under the name of another', async () => {
  const store = memorySigningKeyStore()
  await process(testClock(), store).current()
  const foreign = memorySigningKeyStore()
  const [stranger] = (await process(testClock(), foreign).jwks()).keys
  const stored = await store.load()
  const plan = JSON.parse(stored?.text ?? '') as { keys: { kid: string; jwk: unknown }[] }
  for (const key of plan.keys) key.jwk = { ...stranger, kid: key.kid }
  await store.save({ version: 2, text: JSON.stringify(plan) }, 1)
  await expect(process(testClock(), store).jwks()).rejects.toMatchObject({ code: 'ERR_JWT_KEYS' })
})

test('a change of the sealing key seals the stored keys anew', async () => {
  const store = memorySigningKeyStore()
  const [kid] = await kids(process(testClock(), store))
  const renewed = ['the new key of more than 32 characters, in front', keys[0]] as const
  expect(await kids(process(testClock(), store, { keys: renewed }))).toEqual([kid])
  expect((await process(testClock(), store, { keys: [renewed[0]] }).current()).kid).toBe(kid)
})

test('the sealing key changes in three rollouts, in each of which old and new processes restart in any order', async () => {
  const clock = testClock()
  const store = memorySigningKeyStore()
  const [old, next] = [keys[0], 'the new key of more than 32 characters, in front']
  const { kid } = await process(clock, store).current()
  const rollouts = [
    [[old], [old, next]],
    [
      [old, next],
      [next, old],
    ],
    [[next, old], [next]],
  ] as const
  for (const [before, after] of rollouts)
    for (const sealing of [before, after, before, after])
      expect((await process(clock, store, { keys: sealing }).current()).kid).toBe(kid)
  await expect(process(clock, store).current()).rejects.toMatchObject({ code: 'ERR_JWT_KEYS' })
})

test('while old and new processes run beside each other, each takes what the other has sealed', async () => {
  const clock = testClock()
  const store = memorySigningKeyStore()
  const events: SigningKeyEvent[] = []
  const [old, next] = [keys[0], 'the new key of more than 32 characters, in front']
  const running = [[old, next] as const, [next, old] as const].map((sealing) =>
    process(clock, store, { keys: sealing, onEvent: (event) => void events.push(event) }),
  )
  for (let hour = 0; hour < 91 * 24; hour += 6) {
    const [one, other] = await Promise.all(running.map((each) => each.current()))
    expect(one?.kid).toBe(other?.kid)
    clock.advance(6 * 3600)
  }
  expect(events.filter(({ type }) => type === 'keys_unavailable')).toEqual([])
})

test('attack 80: the next key is published a day before it signs, the old one until its last token has expired', async () => {
  const clock = testClock()
  const signing = process(clock, memorySigningKeyStore())
  const old = (await signing.current()).kid
  clock.advance(87 * DAY)
  expect(await kids(signing)).toEqual([old])
  clock.advance(DAY)
  const [, next] = await kids(signing)
  expect(next).toBeDefined()
  expect((await signing.current()).kid).toBe(old)
  clock.advance(2 * DAY - 1)
  expect((await signing.current()).kid).toBe(old)
  clock.advance(1)
  expect((await signing.current()).kid).toBe(next)
  clock.advance(DAY + 599)
  expect(await kids(signing)).toEqual([old, next])
  clock.advance(301)
  expect(await kids(signing)).toEqual([next])
})

test('where nobody asked for keys in time, a next one is published for a day all the same', async () => {
  const clock = testClock()
  const signing = process(clock, memorySigningKeyStore())
  const old = (await signing.current()).kid
  clock.advance(400 * DAY)
  expect((await signing.current()).kid).toBe(old)
  clock.advance(DAY - 1)
  expect((await signing.current()).kid).toBe(old)
  clock.advance(1)
  expect((await signing.current()).kid).not.toBe(old)
})

test('attack 80: every token is verified throughout a year of rotation, by whoever keeps the key set for an hour', async () => {
  const clock = testClock()
  const signing = process(clock, memorySigningKeyStore())
  const tokens = accessTokens({ keys: signing, issuer: 'https://login.example', audience: 'api', clock })
  let published = createLocalJWKSet((await signing.jwks()) as never)
  const seen = new Set<string>()
  for (let hour = 0; hour < 366 * 24; hour += 7) {
    const { token } = await tokens.issue({ subject: 'alice' })
    const { protectedHeader } = await jwtVerify(token, published, { currentDate: new Date(clock()) })
    seen.add(String(protectedHeader.kid))
    published = createLocalJWKSet((await signing.jwks()) as never)
    clock.advance(7 * 3600)
  }
  expect(seen.size).toBe(5)
})

test('several processes that rotate at once end with the same keys', async () => {
  const clock = testClock()
  const memory = memorySigningKeyStore()
  // Each answers in a later turn, so that all have read before one has saved.
  const store: SigningKeyStore = {
    load: async () => memory.load(),
    save: async (saved, version) => memory.save(saved, version),
  }
  const processes = Array.from({ length: 8 }, () => process(clock, store))
  const first = await Promise.all(processes.map(kids))
  expect(new Set(first.flat()).size).toBe(1)
  clock.advance(88 * DAY)
  const second = await Promise.all(processes.map(kids))
  expect(new Set(second.map(String)).size).toBe(1)
  expect(second[0]).toHaveLength(2)
  clock.advance(2 * DAY)
  const signing = await Promise.all(processes.map((one) => one.current()))
  expect(new Set(signing.map(({ kid }) => kid))).toEqual(new Set([second[0]?.[1]]))
})

test('while the store does not answer, the keys known go on signing and verifying, and somebody is told', async () => {
  const clock = testClock()
  const memory = memorySigningKeyStore()
  const state = { down: false, asked: 0 }
  const events: SigningKeyEvent[] = []
  const store: SigningKeyStore = {
    load() {
      state.asked++
      if (state.down) throw new Error('down')
      return memory.load()
    },
    save: (saved, version) => memory.save(saved, version),
  }
  const signing = process(clock, store, { onEvent: (event) => void events.push(event) })
  const { kid } = await signing.current()
  state.down = true
  clock.advance(3600)
  expect((await signing.current()).kid).toBe(kid)
  expect((await signing.find(kid))?.kid).toBe(kid)
  expect(events.map(({ type }) => type)).toEqual(['keys_rotated', 'keys_unavailable'])
  const asked = state.asked
  for (let n = 0; n < 100; n++) await signing.current()
  expect(state.asked).toBe(asked)
  await expect(process(clock, store).current()).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', status: 503 })
})

test('JW-4: an unknown kid finds nothing, and what is stored by somebody else is no key', async () => {
  const store = memorySigningKeyStore()
  const signing = process(testClock(), store)
  await signing.current()
  for (const kid of ['', '__proto__', 'x']) expect(await signing.find(kid)).toBeUndefined()
  for (const text of ['', 'null', '{}', '{"keys":[]}', '{"keys":[{}]}']) {
    const strange = memorySigningKeyStore()
    await strange.save({ version: 1, text }, 0)
    await expect(process(testClock(), strange).jwks()).rejects.toMatchObject({ code: 'ERR_JWT_KEYS' })
  }
})

test('options that cannot be kept are refused at boot', () => {
  const store = memorySigningKeyStore()
  for (const options of [{ rotateAfterDays: 1 }, { rotateAfterDays: 4000 }, { longestLifetime: 0 }])
    expect(() => process(testClock(), store, options)).toThrowError(
      expect.objectContaining({ code: 'ERR_TOKEN_OPTIONS' }),
    )
})
