import { describe, expect, test } from 'vitest'
import type { ProviderTokens } from '../../protocols/oauth2/token-request.ts'
import { testClock } from '../../testing/clock.ts'
import { tokenVault } from './token-vault.ts'

const issuer = 'https://accounts.example'

function world() {
  const clock = testClock()
  const rows = new Map<string, string>()
  const refreshed: string[] = []
  const vault = tokenVault({
    keys: ['a-key-of-at-least-thirty-two-characters'],
    load: (subject, at) => rows.get(`${subject} ${at}`),
    save: (subject, at, sealed) => rows.set(`${subject} ${at}`, sealed),
    clock,
  })
  const tokens: ProviderTokens = {
    accessToken: 'access-1',
    expiresAt: clock() + 3600_000,
    refreshToken: 'refresh-1',
    idToken: 'proof',
    scope: undefined,
  }
  const strategy = {
    async refresh(token: string): Promise<ProviderTokens> {
      refreshed.push(token)
      return { ...tokens, accessToken: 'access-2', refreshToken: 'refresh-2', expiresAt: clock() + 3600_000 }
    },
  }
  return { clock, rows, refreshed, vault, tokens, strategy }
}

describe('a provider’s tokens', () => {
  test('are sealed where they are stored, and handed out again', async () => {
    const { vault, rows, tokens, strategy } = world()
    await vault.keep('ada', issuer, tokens)
    expect([...rows.values()].join()).toMatch(/^v1\./)
    expect([...rows.values()].join()).not.toMatch(/access-1|refresh-1|proof/)
    expect(await vault.accessToken('ada', issuer, strategy)).toBe('access-1')
    expect(await vault.accessToken('eve', issuer, strategy)).toBeUndefined()
  })

  test('OA-16: of one user and provider do not open for another', async () => {
    const { vault, rows, tokens, strategy } = world()
    await vault.keep('ada', issuer, tokens)
    const sealed = rows.get(`ada ${issuer}`) ?? ''
    rows.set(`eve ${issuer}`, sealed).set('ada https://other.example', sealed)
    expect(await vault.accessToken('eve', issuer, strategy)).toBeUndefined()
    expect(await vault.accessToken('ada', 'https://other.example', strategy)).toBeUndefined()
  })

  test('are renewed when they are about to expire, once for all who ask', async () => {
    const { vault, clock, refreshed, tokens, strategy } = world()
    await vault.keep('ada', issuer, tokens)
    clock.advance(3550)
    const asked = await Promise.all([1, 2, 3].map(() => vault.accessToken('ada', issuer, strategy)))
    expect(asked).toEqual(['access-2', 'access-2', 'access-2'])
    expect(await vault.accessToken('ada', issuer, strategy)).toBe('access-2')
    expect(refreshed).toEqual(['refresh-1'])
    clock.advance(3600)
    await vault.accessToken('ada', issuer, strategy)
    expect(refreshed).toEqual(['refresh-1', 'refresh-2'])
  })

  test('that have expired and cannot be renewed are none', async () => {
    const { vault, clock, tokens, strategy } = world()
    await vault.keep('ada', issuer, { ...tokens, refreshToken: undefined })
    clock.advance(3600)
    expect(await vault.accessToken('ada', issuer, strategy)).toBeUndefined()
  })
})
