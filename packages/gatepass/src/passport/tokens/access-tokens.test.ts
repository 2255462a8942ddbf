import type { SessionId } from 'gatepass/session'
import { testClock } from 'gatepass/testing'
import { type AccessTokenOptions, accessTokens, memorySigningKeyStore, signingKeys } from 'gatepass/tokens'
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { expect, test } from 'vitest'
import { JwtVerifier } from '../../protocols/jwt/verifier.ts'

const issuer = 'https://login.example'
const clock = testClock()

function issuing(options: Partial<AccessTokenOptions> = {}, algorithm: 'EdDSA' | 'ES256' = 'EdDSA') {
  const keys = signingKeys({
    store: memorySigningKeyStore(),
    keys: ['a key of more than 32 characters, to seal with'],
    algorithm,
    clock,
  })
  return { keys, tokens: accessTokens({ keys, issuer, audience: ['api', 'files'], clock, ...options }) }
}

test.each(['EdDSA', 'ES256'] as const)(
  'RFC 9068: an access token in %s says who, for whom and until when',
  async (alg) => {
    const { keys, tokens } = issuing({}, alg)
    const id = 'a'.repeat(64) as SessionId
    const login = { at: clock() - 5000, amr: ['pwd', 'otp'] }
    const { token, expiresIn } = await tokens.issue({ subject: 'alice', id, login, scope: ['read', 'write'] })
    const now = clock() / 1000
    expect(decodeProtectedHeader(token)).toEqual({ alg, typ: 'at+jwt', kid: (await keys.current()).kid })
    const verifier = new JwtVerifier({ keys, issuer, audience: 'api', clock })
    expect(await verifier.verify(token)).toEqual({
      iss: issuer,
      sub: 'alice',
      aud: 'api',
      client_id: issuer,
      iat: now,
      exp: now + 600,
      jti: expect.stringMatching(/^[\w-]{22}$/),
      sid: id,
      scope: 'read write',
      auth_time: now - 5,
      amr: ['pwd', 'otp'],
    })
    expect(expiresIn).toBe(600)
    const published = createLocalJWKSet((await keys.jwks()) as never)
    const verified = await jwtVerify(token, published, {
      currentDate: new Date(clock()),
      issuer,
      audience: 'api',
      typ: 'at+jwt',
    })
    expect(verified.payload.sub).toBe('alice')
  },
)

test('9.2.4: an audience is always there, and one of those that are configured', async () => {
  const { keys, tokens } = issuing()
  const { token } = await tokens.issue({ subject: 'alice', audience: 'files' })
  expect(await new JwtVerifier({ keys, issuer, audience: 'api', clock }).verify(token)).toBe('wrong-audience')
  expect(await new JwtVerifier({ keys, issuer, audience: 'files', clock }).verify(token)).toMatchObject({
    aud: 'files',
  })
  await expect(tokens.issue({ subject: 'alice', audience: 'else' })).rejects.toMatchObject({
    code: 'ERR_TOKEN_OPTIONS',
  })
})

test('two tokens for the same grant differ', async () => {
  const { tokens } = issuing()
  expect((await tokens.issue({ subject: 'a' })).token).not.toBe((await tokens.issue({ subject: 'a' })).token)
})

test('tokens cannot outlive their key: a lifetime beyond the longest of the keys is refused at boot', () => {
  expect(() => issuing({ lifetime: 600 })).not.toThrow()
  expect(() => issuing({ lifetime: 601 })).toThrowError(expect.objectContaining({ code: 'ERR_TOKEN_OPTIONS' }))
  const keys = signingKeys({ store: memorySigningKeyStore(), keys: ['k'.repeat(32)], longestLifetime: 3600 })
  expect(() => accessTokens({ keys, issuer, audience: 'api', lifetime: 3600 })).not.toThrow()
})

test('without issuer, audience or lifetime nothing is issued', () => {
  for (const wrong of [{ issuer: '' }, { audience: [] }, { lifetime: 0 }, { lifetime: 1.5 }, { lifetime: Number.NaN }])
    expect(() => issuing(wrong)).toThrowError(expect.objectContaining({ code: 'ERR_TOKEN_OPTIONS' }))
})
