import { oauth2 } from 'gatepass/strategies/oauth2'
import { type OidcOptions, oidc } from 'gatepass/strategies/oidc'
import { TestExchange, type TestRequest } from 'gatepass/testing'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { LOGIN } from '../passport/strategy.ts'

const options: OidcOptions<object, 'acme'> = {
  name: 'acme',
  issuer: 'https://accounts.example',
  clientId: 'shop',
  clientSecret: 'secret',
  callback: '/auth/acme/callback',
  account: () => undefined,
}

afterEach(() => {
  vi.unstubAllEnvs()
})

const nothing = async () => undefined
const attempt = {
  flow: { start: async () => 'state', finish: nothing, linking: nothing, intent: LOGIN, unknown: false },
  alone: true,
  sessions: undefined,
  stillStands: () => true,
  clock: Date.now,
}

describe('where a callback that is a path is', () => {
  const begin = (request: TestRequest, callback = '/auth/acme/callback') => {
    const strategy = oauth2<object, 'acme'>({
      ...options,
      ...{
        callback,
        authorizationEndpoint: 'https://acme.example/authorize',
        tokenEndpoint: 'https://acme.example/token',
      },
      identity: () => ({ subject: 'ada' }),
    })
    return strategy.authenticate(new TestExchange(request), { ...attempt, options: {} })
  }
  const redirectUri = async (request: TestRequest, callback?: string) => {
    const outcome = await begin(request, callback)
    return outcome.type === 'redirect' ? new URL(outcome.location).searchParams.get('redirect_uri') : outcome
  }

  test.each([
    'https://evil.example',
    'http://192.0.2.1:3000',
    'https://localhost.evil.example',
    'http://127.evil.example',
  ])('is not said by the Host field: no login begins at %s', async (origin) => {
    const forged = { origin, originConfigured: false }
    await expect(begin(forged)).rejects.toMatchObject({ code: 'ERR_OAUTH_OPTIONS', hint: expect.anything() })
  })

  test.each(['http://localhost:3000', 'http://127.8.9.10:3000', 'http://[::1]:3000'])(
    'is said by the Host field on this machine: %s',
    async (origin) => {
      expect(await redirectUri({ origin, originConfigured: false })).toBe(`${origin}/auth/acme/callback`)
    },
  )

  test('is said by the application: in `origin`, or in a callback that is a whole address', async () => {
    const whole = 'https://app.example/auth/acme/callback'
    expect(await redirectUri({ origin: 'https://app.example' })).toBe(whole)
    expect(await redirectUri({ origin: 'https://evil.example', originConfigured: false }, whole)).toBe(whole)
  })
})

describe('options', () => {
  test.each<[string, Partial<OidcOptions<object>>]>([
    ['an empty client id, as of a variable that is not set', { clientId: '' }],
    ['an empty secret', { clientSecret: '' }],
    ['a secret with the line break of its file', { clientSecret: 'secret\n' }],
    ['a client key that is public', { clientKey: { kty: 'EC', alg: 'ES256', x: 'x', y: 'y' } }],
    ['a client key without an algorithm', { clientKey: { kty: 'EC', d: 'd', x: 'x', y: 'y' } }],
    ['an issuer that is no address', { issuer: 'accounts.example' }],
    ['an issuer without TLS', { issuer: 'http://accounts.example' }],
    ['a callback that is neither a path nor an address', { callback: 'callback' }],
    ['a callback with a query', { callback: '/callback?x=1' }],
    ['a reserved parameter', { parameters: { redirect_uri: 'https://evil.example' } }],
  ])('%s is refused when the strategy is made', (_what, wrong) => {
    expect(() => oidc({ ...options, ...wrong })).toThrow(expect.objectContaining({ code: 'ERR_OAUTH_OPTIONS' }))
  })

  test('a provider on this machine is refused in production, unless it is meant', () => {
    const local = { ...options, issuer: 'http://localhost:4000' }
    expect(() => oidc(local)).not.toThrow()
    vi.stubEnv('NODE_ENV', 'production')
    expect(() => oidc(local)).toThrow(expect.objectContaining({ code: 'ERR_OAUTH_OPTIONS' }))
    expect(() => oidc({ ...local, insecureLoopback: true })).not.toThrow()
  })

  test('no message of a wrong option repeats the secret', () => {
    const wrong = { ...options, clientSecret: 'the-secret-itself', issuer: 'nonsense' }
    const caught = (() => {
      try {
        return oidc(wrong)
      } catch (error) {
        return error
      }
    })()
    expect(String(caught)).not.toContain('the-secret-itself')
  })
})
