import { type Attempt, Gatepass } from 'gatepass/passport'
import type { Passwords } from 'gatepass/password'
import { memoryStore } from 'gatepass/stores/memory'
import { basic } from 'gatepass/strategies/basic'
import { TestExchange } from 'gatepass/testing'
import { expect, test } from 'vitest'

const attempt = { clock: Date.now } as Attempt
const encoded = (text: string | Buffer) => Buffer.from(text).toString('base64')
const sending = (credentials: string) => new TestExchange({ headers: { authorization: `Basic ${credentials}` } })
const strategy = basic({
  verify: (name, password) => (password === `pw:${name}` ? { id: name } : undefined),
})

test('RFC 7617 2: name and password are told apart at the first colon, and count for this request alone', async () => {
  const outcome = await strategy.authenticate(sending(encoded('alice:pw:alice')), attempt)
  expect(outcome).toMatchObject({ type: 'success', user: { id: 'alice' }, amr: ['pwd'], persist: false })
})

test('RFC 7617 2.1: the example in UTF-8', async () => {
  const seen: string[] = []
  const watching = basic({ verify: (name, password) => void seen.push(name, password) })
  await watching.authenticate(sending('dGVzdDoxMjPCow=='), attempt)
  expect(seen).toEqual(['test', '123£'])
})

test('what is refused says how to try again', async () => {
  const challenge = 'Basic realm="api", charset="UTF-8"'
  const outcome = await strategy.authenticate(new TestExchange(), attempt)
  expect(outcome).toEqual({ type: 'failure', reason: 'missing', challenge })
  const wrong = await strategy.authenticate(sending(encoded('alice:wrong')), attempt)
  expect(wrong).toMatchObject({ reason: 'invalid', challenge })
})

test('attack 75: what is no name and password never reaches the application', async () => {
  const called: string[] = []
  const watching = basic({ verify: (name) => void called.push(name) })
  const invalid = [0xff, 0xfe, 0x3a, 0x61]
  const junk = [
    '',
    '%',
    'YQ',
    'YTpi!',
    'Y T p i',
    'YTpi====',
    // With a search that looks at each of them again and again this would take a minute.
    `${'='.repeat(200_000)}x`,
    encoded('nocolon'),
    encoded(':nobody'),
    encoded(Buffer.from(invalid)),
  ]
  for (const credentials of [...junk, encoded('a\0b:c'), encoded(`a:${'x'.repeat(5000)}`), encoded('\ud800:x')].slice(
    0,
    -1,
  ))
    expect(await watching.authenticate(sending(credentials), attempt)).toMatchObject({ type: 'failure' })
  expect(called).toEqual([])
})

test('refusing takes as much work for a name nobody has as for a wrong password', async () => {
  const hashes: (string | undefined)[] = []
  const passwords = {
    verify: async (_: string, hash: string | undefined) => {
      hashes.push(hash)
      return { ok: false }
    },
  } as unknown as Passwords
  const find = (name: string) => (name === 'alice' ? { user: { id: name }, hash: 'h' } : undefined)
  const accounts = basic({ find, passwords })
  for (const name of ['alice', 'nobody']) await accounts.authenticate(sending(encoded(`${name}:x`)), attempt)
  expect(hashes).toEqual(['h', undefined])
})

test('a browser that sends a password by itself, for another site, is refused; a machine says nothing and is not', async () => {
  const auth = new Gatepass(
    {
      sessions: { store: memoryStore() },
      users: { find: (id): { id: string } => ({ id }), subject: (user) => user.id },
      strategies: [strategy],
    },
    ['https://app.example'],
  )
  const post = (headers: Record<string, string>) => {
    const authorization = `Basic ${encoded('alice:pw:alice')}`
    return async () => auth.admit(new TestExchange({ method: 'POST', headers: { authorization, ...headers } }))
  }
  await expect(post({ 'sec-fetch-site': 'cross-site' })()).rejects.toMatchObject({ code: 'ERR_CROSS_ORIGIN' })
  await expect(post({ origin: 'https://attacker.example' })()).rejects.toMatchObject({ code: 'ERR_CROSS_ORIGIN' })
  await expect(post({ 'sec-fetch-site': 'same-origin' })()).resolves.toBeUndefined()
  await expect(post({})()).resolves.toBeUndefined()
})
