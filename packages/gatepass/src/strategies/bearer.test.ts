import type { Attempt, Failure } from 'gatepass/passport'
import { bearer } from 'gatepass/strategies/bearer'
import { TestExchange } from 'gatepass/testing'
import { expect, test } from 'vitest'
import { sha256Hex } from '../crypto/random.ts'

const attempt = {} as Attempt
const sending = (authorization: string) => new TestExchange({ headers: { authorization } })

test('the application is given the hash of a token, and never the token', async () => {
  const seen: string[] = []
  const strategy = bearer({
    find(hash) {
      seen.push(hash)
      return hash === sha256Hex('right') ? { id: 'robot' } : undefined
    },
  })
  const right = await strategy.authenticate(sending('Bearer right'), attempt)
  expect(right).toEqual({ type: 'success', user: { id: 'robot' }, persist: false })
  expect(await strategy.authenticate(sending('bearer  wrong'), attempt)).toMatchObject({
    reason: 'invalid',
    challenge: 'Bearer realm="api", error="invalid_token", error_description="The token is unknown."',
  })
  expect(seen).toEqual([sha256Hex('right'), sha256Hex('wrong')])
})

test('no credentials and malformed ones are told apart, and neither is looked up', async () => {
  const strategy = bearer({ find: () => expect.fail('asked'), realm: 'shop', name: 'robots' })
  expect(strategy.name).toBe('robots')
  const missing = { type: 'failure', reason: 'missing', challenge: 'Bearer realm="shop"' }
  expect(await strategy.authenticate(new TestExchange(), attempt)).toEqual(missing)
  expect(await strategy.authenticate(sending('Basic x'), attempt)).toEqual(missing)
  for (const malformed of [
    'Bearer',
    'Bearer ',
    'Bearer a b',
    'Bearer a, Bearer b',
    'Bearer a,b',
    'Bearer\ta',
    'Bearer a\tb',
  ])
    expect(await strategy.authenticate(sending(malformed), attempt), malformed).toMatchObject({ status: 400 })
})

test('the application may refuse in its own words', async () => {
  const locked: Failure = { type: 'failure', reason: 'locked', message: 'Suspended.' }
  const strategy = bearer({ find: async () => locked })
  const challenge = 'Bearer realm="api"'
  expect(await strategy.authenticate(sending('Bearer x'), attempt)).toEqual({ ...locked, challenge })
})

test('what `find` gives is a user, nobody or a failure, and nothing else', () => {
  for (const found of [true, 'robot', [], { type: 'failure' }] as never[]) {
    const strategy = bearer({ find: () => found })
    expect(() => strategy.authenticate(sending('Bearer x'), attempt)).toThrow(
      expect.objectContaining({
        code: 'ERR_PASSPORT_USER',
        message: expect.stringContaining('`find` of bearer() gave'),
      }),
    )
  }
})
