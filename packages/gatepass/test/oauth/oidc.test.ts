/** The whole way to an OpenID provider and back, against `oidc-provider`, which knows nothing of our strategy. */

import { type OidcOptions, oidc } from 'gatepass/strategies/oidc'
import { exportJWK, generateKeyPair } from 'jose'
import type { Configuration } from 'oidc-provider'
import { describe, expect, test } from 'vitest'
import { type Account, Accounts, site } from './express-site.ts'
import { openIdProvider } from './openid-provider.ts'

const secret = 'a-secret-that-provider-and-application-share'

interface Setting {
  client?: Record<string, unknown>
  provider?: Partial<Configuration>
  options?: Partial<OidcOptions<Account, 'acme'>>
}

async function world({ client = {}, provider: configuration = {}, options = {} }: Setting = {}) {
  const accounts = new Accounts()
  const provider = await openIdProvider()
  const acme = oidc({
    name: 'acme',
    issuer: provider.issuer,
    clientId: 'shop',
    ...(options.clientKey === undefined && { clientSecret: secret }),
    callback: '/auth/acme/callback',
    account: accounts.find,
    ...options,
  })
  const app = await site([acme], accounts)
  const redirects = {
    redirect_uris: [`${app.origin}/auth/acme/callback`],
    post_logout_redirect_uris: [`${app.origin}/`],
    backchannel_logout_uri: `${app.origin}/ended/acme`,
    backchannel_logout_session_required: true,
  }
  const known = options.clientKey === undefined && { client_secret: secret }
  provider.open({ clients: [{ client_id: 'shop', ...known, ...redirects, ...client }], ...configuration })
  const here = async (response: Response) =>
    (await response.json()) as { at: string; user: Account | null; login: { amr: string[]; at: number } | null }
  return {
    acme,
    provider,
    accounts,
    app,
    browser: app.browser(),
    here,
    async [Symbol.asyncDispose]() {
      await app[Symbol.asyncDispose]()
      await provider[Symbol.asyncDispose]()
    },
  }
}

describe('the way to a provider and back', () => {
  test('logs in who comes back, by issuer and subject', async () => {
    await using w = await world()
    const page = await w.here(await w.browser.fetch('/auth/acme'))
    expect(page).toMatchObject({ at: '/', user: { id: 'user-1', name: 'Ada Lovelace' } })
    expect(w.accounts.seen[0]?.identity).toMatchObject({
      issuer: w.provider.issuer,
      subject: 'ada',
      email: 'ada@mail.example',
      emailVerified: true,
      emailAuthoritative: false,
    })
    expect(w.accounts.seen[0]?.request).toMatchObject({ purpose: 'login', subject: undefined, tokens: undefined })
    const again = await w.here(await w.app.browser().fetch('/auth/acme'))
    expect(again.user?.id).toBe('user-1')
  })

  test('remembers on the way where the login was to lead, if that is here', async () => {
    await using w = await world()
    expect((await w.here(await w.browser.fetch('/auth/acme?next=%2Fdeep%3Fa%3D1'))).at).toBe('/deep?a=1')
    const evil = await w.app.browser().fetch('/auth/acme?next=https%3A%2F%2Fevil.example%2F')
    expect((await w.here(evil)).at).toBe('/')
  })

  test('rotates the session’s token, and leaves no address with a code to be kept or sent on', async () => {
    await using w = await world()
    const before = new Set<string>()
    let response = await w.browser.fetch('/auth/acme', { manual: true })
    for (const value of w.browser.jar.values()) before.add(value)
    while (!new URL(response.url).pathname.endsWith('/callback')) {
      const next = new URL(response.headers.get('location') ?? '', response.url)
      response = await w.browser.fetch(next.href, { manual: true })
    }
    expect(response.status).toBe(303)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('referrer-policy')).toBe('no-referrer')
    const [token] = [...w.browser.jar].filter(([name]) => !name.startsWith('_')).map(([, value]) => value)
    expect(token).toEqual(expect.any(String))
    expect(before).not.toContain(token)
  })

  test('who cancels at the provider comes back to the login page', async () => {
    await using w = await world()
    w.provider.person.consents = false
    expect(await w.here(await w.browser.fetch('/auth/acme'))).toMatchObject({ at: '/login?failure=denied', user: null })
  })

  test('asks who is to be asked anew, and checks when and how it was proved', async () => {
    await using w = await world({ provider: { acrValues: ['urn:test:strong'] } })
    await w.browser.fetch('/auth/acme')
    await w.browser.fetch('/step-up/acme')
    const { login } = await w.here(await w.browser.fetch('/'))
    expect(Date.now() - (login?.at ?? 0)).toBeLessThan(30_000)
  })
})

describe('how the application proves to be itself', () => {
  test('client_secret_post, where the provider takes nothing else', async () => {
    await using w = await world({
      client: { token_endpoint_auth_method: 'client_secret_post' },
      provider: { clientAuthMethods: ['client_secret_post'] },
    })
    expect((await w.here(await w.browser.fetch('/auth/acme'))).user?.id).toBe('user-1')
  })

  test('private_key_jwt', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
    const [clientKey, known] = await Promise.all([exportJWK(privateKey), exportJWK(publicKey)])
    await using w = await world({
      client: { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [{ ...known, kid: 'ours' }] } },
      provider: { clientAuthMethods: ['private_key_jwt'] },
      options: { clientKey: { ...clientKey, alg: 'ES256', kid: 'ours' } },
    })
    expect((await w.here(await w.browser.fetch('/auth/acme'))).user?.id).toBe('user-1')
  })

  test('pushed requests (RFC 9126), where the provider requires them', async () => {
    await using w = await world({
      provider: {
        features: {
          devInteractions: { enabled: false },
          pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
        },
      },
    })
    const { location = '' } = Object.fromEntries((await w.browser.fetch('/auth/acme', { manual: true })).headers)
    expect([...new URL(location).searchParams.keys()].sort()).toEqual(['client_id', 'request_uri'])
    expect((await w.here(await w.app.browser().fetch('/auth/acme'))).user?.id).toBe('user-1')
  })
})

describe('a provider’s tokens', () => {
  test('are handed over where they are asked for, and renewed', async () => {
    await using w = await world({
      client: { grant_types: ['authorization_code', 'refresh_token'] },
      provider: { scopes: ['openid', 'offline_access', 'email'], issueRefreshToken: async () => true },
      options: { tokens: true, scope: ['openid', 'email', 'offline_access'] },
    })
    await w.browser.fetch('/auth/acme')
    const { tokens } = w.accounts.seen[0]?.request ?? {}
    expect(tokens).toMatchObject({ accessToken: expect.any(String), refreshToken: expect.any(String) })
    const renewed = await w.acme.refresh(tokens?.refreshToken ?? '')
    expect(renewed.accessToken).not.toBe(tokens?.accessToken)
    await expect(w.acme.refresh('nobody’s')).rejects.toMatchObject({ code: 'ERR_OAUTH_TOKEN' })
  })

  test('are seen by nobody else: neither by the browser nor in the session', async () => {
    await using w = await world({ options: { tokens: true } })
    const response = await w.browser.fetch('/auth/acme')
    const seen = JSON.stringify([await w.here(response), [...response.headers], [...w.browser.jar]])
    expect(seen).not.toContain(w.accounts.seen[0]?.request.tokens?.accessToken)
  })
})

describe('logout', () => {
  test('leads through the provider and back, and the provider ends what else was begun with that login', async () => {
    await using w = await world({
      provider: { features: { devInteractions: { enabled: false }, backchannelLogout: { enabled: true } } },
    })
    await w.browser.fetch('/auth/acme')
    // The same person at the provider, without our session: a second login with the same one there.
    const other = w.browser.clone()
    for (const name of [...other.jar.keys()]) if (!name.startsWith('_')) other.jar.delete(name)
    expect((await w.here(await other.fetch('/auth/acme'))).user?.id).toBe('user-1')
    const asked = await (await w.browser.fetch('/logout', { form: {} })).text()
    expect((await w.here(await w.browser.fetch('/'))).user).toBeNull()
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(asked)?.[1] ?? ''
    const confirmed = await w.browser.fetch(`${w.provider.issuer}/session/end/confirm`, {
      form: { xsrf, logout: 'yes' },
    })
    expect(confirmed.url).toBe(`${w.app.origin}/`)
    await expect.poll(async () => (await w.here(await other.fetch('/'))).user).toBeNull()
  })
})

describe('linking', () => {
  test('adds an identity to the account of who is logged in', async () => {
    await using w = await world()
    await w.browser.fetch('/auth/acme')
    w.provider.person.id = 'ada-at-work'
    // At the provider, this browser is another person now.
    for (const name of [...w.browser.jar.keys()]) if (name.startsWith('_')) w.browser.jar.delete(name)
    const page = await w.here(await w.browser.fetch('/link/acme', { form: {} }))
    expect(page).toMatchObject({ at: '/account', user: { id: 'user-1' } })
    expect(w.accounts.seen.at(-1)?.request).toMatchObject({ purpose: 'link', subject: 'user-1' })
    expect([...w.accounts.byIdentity.values()]).toEqual(['user-1', 'user-1'])
  })

  test('refuses an identity that is another account’s, and logs nobody in', async () => {
    await using w = await world()
    await w.app.browser().fetch('/auth/acme')
    w.provider.person.id = 'eve'
    await w.browser.fetch('/auth/acme')
    w.provider.person.id = 'ada'
    for (const name of [...w.browser.jar.keys()]) if (name.startsWith('_')) w.browser.jar.delete(name)
    const page = await w.here(await w.browser.fetch('/link/acme', { form: {} }))
    expect(page).toMatchObject({ at: '/account?failure=denied', user: { id: 'user-2' } })
  })
})
