import { describe, expect, test } from 'vitest'
import { authorizationUrl } from './authorization.ts'
import { codeOf, readCallback } from './callback.ts'
import { client } from './client.ts'

const issuer = 'https://accounts.example'
const acme = client(
  'acme',
  { issuer, metadata: { authorization_endpoint: `${issuer}/authorize?tenant=1`, token_endpoint: `${issuer}/token` } },
  { clientId: 'shop', clientSecret: 'secret' },
)

describe('a request', () => {
  test('RFC 7636 appendix B: sends the hash of the verifier', async () => {
    const url = new URL(
      await authorizationUrl(acme, {
        redirectUri: 'https://app.example/callback',
        scope: ['openid'],
        state: 'state',
        verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
        nonce: 'nonce',
      }),
    )
    expect(url.searchParams.get('code_challenge')).toBe('E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM')
    expect(url.href).not.toContain('dBjftJeZ4CVP')
    // RFC 6749 §3.1: a query that the endpoint has is kept.
    expect(url.searchParams.get('tenant')).toBe('1')
  })
})

describe('a callback', () => {
  test.each(['', 'short', 'A'.repeat(42), 'A'.repeat(44), `${'A'.repeat(42)}!`, `${'A'.repeat(43)}\n`])(
    'whose state is %j is refused before anybody looks for it',
    (state) => {
      const read = () => readCallback(new URLSearchParams({ state, code: 'x' }))
      expect(read).toThrow(expect.objectContaining({ code: 'ERR_OAUTH_STATE' }))
    },
  )

  const state = 'A'.repeat(43)
  test.each([
    ['nothing else', {}],
    ['an empty code', { code: '' }],
    ['a signed response, which was not asked for', { code: 'x', response: 'x.y.z' }],
  ])('with %s has no code', (_what, parameters) => {
    const callback = readCallback(new URLSearchParams({ state, ...parameters }))
    expect(() => codeOf(callback.parameters, { issuers: () => true, announced: false })).toThrow(
      expect.objectContaining({ code: 'ERR_OAUTH_CALLBACK' }),
    )
  })
})
