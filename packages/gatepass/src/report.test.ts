import { Passport } from 'gatepass/passport'
import { type Passwords, passwords } from 'gatepass/password'
import { SessionManager } from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'
import { apiKeys, memoryApiKeyStore } from 'gatepass/strategies/api-key'
import { local } from 'gatepass/strategies/local'
import { oidc } from 'gatepass/strategies/oidc'
import { TestExchange, type TestRequest } from 'gatepass/testing'
import { memorySigningKeyStore, signingKeys } from 'gatepass/tokens'
import { expect, test, vi } from 'vitest'
import { RemoteKeys } from './protocols/jwt/remote-keys.ts'

const user = { id: 'ada' }
const down = async (): Promise<never> => Promise.reject(new Error('down'))

function ask(strategy: ConstructorParameters<typeof Passport<{ id: string }>>[0]['strategies'][0], sent: TestRequest) {
  const sessions = new SessionManager<object>({ store: memoryStore() })
  const users = { find: () => user, subject: ({ id }: { id: string }) => id }
  const passport = new Passport<{ id: string }>({ users, strategies: [strategy], sessions })
  return passport.authenticate(new TestExchange(sent), strategy.name)
}

const cases: [string, (onEvent: () => unknown) => Promise<unknown>, unknown][] = [
  [
    'local',
    (onEvent) => {
      const verified: Partial<Passwords> = { verify: async () => ({ ok: true, rehash: 'new' }) }
      const options = { rehash: down, passwords: verified as Passwords, onEvent }
      const strategy = local({ ...options, find: () => ({ user, hash: 'old' }) })
      return ask(strategy, { method: 'POST', fields: { username: 'ada', password: 'right' } })
    },
    { type: 'success' },
  ],
  [
    'apiKeys',
    async (onEvent) => {
      const store = { ...memoryApiKeyStore(), touch: down }
      const strategy = apiKeys({ prefix: 'shop', store, account: () => user, onEvent })
      const { key } = await strategy.create({ subject: 'ada', label: 'deploy' })
      return ask(strategy, { headers: { authorization: `Bearer ${key}` } })
    },
    { type: 'success' },
  ],
  [
    'oidc',
    (onEvent) => {
      const client = { clientId: 'x', clientSecret: 'a-secret-of-at-least-thirty-two-characters' }
      const callback = '/auth/acme/callback'
      const strategy = oidc({
        ...client,
        name: 'acme',
        issuer: 'https://idp.example',
        callback,
        account: () => user,
        onEvent,
      })
      return ask(strategy, { target: `${callback}?state=unknown&code=x` })
    },
    { type: 'rejection', failures: [{ code: 'ERR_OAUTH_STATE' }] },
  ],
  ['passwords', (onEvent) => passwords({ onEvent }).verify('a password', 'plaintext'), { ok: false }],
  [
    'signingKeys',
    (onEvent) => {
      const store = memorySigningKeyStore()
      return signingKeys({ store, keys: ['a-key-of-at-least-thirty-two-characters'], onEvent }).jwks()
    },
    { keys: [{ use: 'sig' }] },
  ],
  [
    'jwt',
    async (onEvent) => {
      const url = 'https://idp.example/jwks.json'
      const keys = new RemoteKeys({ url, algorithms: ['EdDSA'], fetch: down, clock: Date.now, onEvent })
      try {
        return await keys.find('a')
      } catch (error) {
        return error
      }
    },
    { code: 'ERR_JWKS_UNAVAILABLE' },
  ],
]

test.each(cases)('a listener of %s that fails changes nothing, and is printed as a warning', async (_, act, result) => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const listeners = [
    () => {
      throw new Error('listener')
    },
    async () => Promise.reject(new Error('listener')),
  ]
  for (const listener of listeners) expect(await act(listener)).toMatchObject(result as object)
  await new Promise((resolve) => setImmediate(resolve))
  const told = expect.stringContaining('onEvent failed: listener')
  expect(warn.mock.calls).toEqual([
    [told, { code: 'GATEPASS_LISTENER' }],
    [told, { code: 'GATEPASS_LISTENER' }],
  ])
  warn.mockRestore()
})
