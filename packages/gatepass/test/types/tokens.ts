// Compiled by `npm run check:types`, never run: what must not compile says so.
import { gatepass } from 'gatepass/express'
import { memoryStore } from 'gatepass/stores/memory'
import { apiKeys, memoryApiKeyStore } from 'gatepass/strategies/api-key'
import { jwt } from 'gatepass/strategies/jwt'
import { refreshTokens } from 'gatepass/tokens'

interface User {
  id: string
}

const jwks = 'https://login.example/jwks.json'
const issuer = 'https://login.example'
const audience = 'https://api.example'
const account = (claims: { sub: string }): User => ({ id: claims.sub })

// CVE-2020-15084, GHSA-m732-5p4w-x69g: what must be checked cannot be left out.
// @ts-expect-error: no audience
export const anyAudience = jwt({ jwks, issuer, account })
// @ts-expect-error: no issuer
export const anyIssuer = jwt({ jwks, audience, account })
// @ts-expect-error: no keys
export const anyKeys = jwt({ issuer, audience, account })
// @ts-expect-error: an algorithm that does not exist here
export const noSignature = jwt({ jwks, issuer, audience, account, algorithms: ['none'] })
// @ts-expect-error: a pattern is no audience (CVE-2026-35041)
export const pattern = jwt({ jwks, issuer, audience: /api/, account })

const keys = apiKeys({ prefix: 'shop', store: memoryApiKeyStore(), account: (key): User => ({ id: key.subject }) })
const common = {
  sessions: { store: memoryStore() },
  users: { find: (id: string): User => ({ id }), subject: (user: User) => user.id },
}

export const auth = gatepass({
  ...common,
  strategies: [keys, jwt({ jwks, issuer, audience, account, name: 'partner' })],
  bearer: ['partner', 'api-key'],
})
// @ts-expect-error: without users, refresh tokens would outlive a changed password
export const forever = refreshTokens({ sessions: auth.sessions, keys: ['k'.repeat(32)] })
export const guarded = [auth.authenticate('partner'), auth.requireLogin({ scope: 'orders:read' })]

export const misspelt = gatepass({
  ...common,
  strategies: [keys],
  // @ts-expect-error: no strategy of this name
  bearer: 'api-keys',
})
