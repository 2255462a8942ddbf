import { afterEach, describe, expect, test, vi } from 'vitest'
import { type OidcOptions, oidc } from './oidc.ts'

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
