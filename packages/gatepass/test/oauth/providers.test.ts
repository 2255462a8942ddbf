/** What Google, Microsoft, Apple, GitHub and Facebook do differently from everybody else. */

import type { Strategy } from 'gatepass/passport'
import { apple } from 'gatepass/strategies/apple'
import { facebook } from 'gatepass/strategies/facebook'
import { github } from 'gatepass/strategies/github'
import { google } from 'gatepass/strategies/google'
import { microsoft } from 'gatepass/strategies/microsoft'
import { type OAuth2Options, oauth2 } from 'gatepass/strategies/oauth2'
import type { OAuthEvent } from 'gatepass/strategies/oidc'
import { testClock } from 'gatepass/testing'
import { decodeJwt, exportPKCS8, generateKeyPair, jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import type { Account, Accounts } from './express-site.ts'
import { CLIENT_ID, CLIENT_SECRET, codeFor, json, type LyingProvider, lyingProvider } from './lying-provider.ts'
import { origin, Visited } from './visitor.ts'

/** What every strategy is given here. */
interface Basics {
  clientId: string
  clientSecret: string
  callback: string
  clock: () => number
  account: Accounts['find']
  onEvent: (event: OAuthEvent) => void
}

async function world(name: string, strategy: (basics: Basics, provider: LyingProvider) => Strategy<Account, string>) {
  const clock = testClock(Date.now())
  const provider = await lyingProvider(clock)
  const events: OAuthEvent[] = []
  const app = new Visited((accounts) => {
    const callback = `/auth/${name}/callback`
    const onEvent = (event: OAuthEvent) => void events.push(event)
    const basics = {
      clientId: CLIENT_ID,
      clientSecret: CLIENT_SECRET,
      callback,
      clock,
      account: accounts.find,
      onEvent,
    }
    return strategy(basics, provider)
  }, clock)
  const browser = app.browser()
  const logIn = async (extra: Record<string, string> = {}) => {
    const authorization = await browser.begin()
    return browser.back({
      state: authorization.searchParams.get('state') ?? '',
      code: codeFor(authorization),
      ...extra,
    })
  }
  return {
    ...{ clock, provider, app, browser, logIn },
    identity: () => app.accounts.seen.at(-1)?.identity,
    codes: () => events.map(({ code }) => code),
    [Symbol.asyncDispose]: () => provider[Symbol.asyncDispose](),
  }
}

const someone = expect.stringMatching(/^user-/)
const PROOF = '05a492f0524f099720b66612e16d60af8bcd16fd2cdff0646f6326f848208767'
const own = { 'sec-fetch-site': 'same-origin', origin }

describe('google', () => {
  const site = (options: Partial<Parameters<typeof google<Account>>[0]> = {}) =>
    world('google', (basics, { issuer }) => google({ ...basics, issuer, ...options }))

  test('knows whose mailbox it is at gmail.com and in organisations, and nowhere else', async () => {
    await using w = await site()
    const cases: [Record<string, unknown>, boolean][] = [
      [{ email: 'ada@gmail.com' }, true],
      [{ email: 'ada@acme.example', hd: 'acme.example' }, true],
      [{ email: 'ada@mail.example' }, false],
      [{ email: 'ada@gmail.com', email_verified: false }, false],
      [{ email: 'ada@notgmail.com' }, false],
    ]
    for (const [claims, authoritative] of cases) {
      w.provider.lies.claims = claims
      await w.logIn()
      expect(w.identity()?.emailAuthoritative).toBe(authoritative)
    }
  })

  test('attack 68: lets in a hosted domain by what the token says, not by what was asked for', async () => {
    await using w = await site({ hostedDomain: 'acme.example' })
    expect((await w.browser.begin()).searchParams.get('hd')).toBe('acme.example')
    for (const hd of [undefined, 'evil.example', 'acme.example.evil.example', ['acme.example']]) {
      w.provider.lies.claims = { hd, email: 'ada@acme.example' }
      expect(await w.logIn()).toMatchObject({ subject: undefined })
    }
    expect(new Set(w.codes())).toEqual(new Set(['ERR_OIDC_HOSTED_DOMAIN']))
    w.provider.lies.claims = { hd: 'acme.example' }
    expect(await w.logIn()).toMatchObject({ subject: someone })
  })

  test('takes a hosted domain in capitals, and none that would match no account', async () => {
    await using w = await site({ hostedDomain: 'Acme.Example' })
    w.provider.lies.claims = { hd: 'acme.example' }
    expect(await w.logIn()).toMatchObject({ subject: someone })
    for (const hostedDomain of [
      '',
      [],
      '@acme.example',
      'https://acme.example',
      'acme',
      ['acme.example', 'ada@acme.example'],
    ]) {
      const make = () =>
        google({ clientId: 'x', clientSecret: 'y', callback: '/cb', account: () => undefined, hostedDomain })
      expect(make, String(hostedDomain)).toThrow(expect.objectContaining({ code: 'ERR_OAUTH_OPTIONS' }))
    }
  })

  test('asks for a refresh token by a parameter', async () => {
    await using w = await site({ offlineAccess: true })
    expect((await w.browser.begin()).searchParams.get('access_type')).toBe('offline')
  })

  test('takes the credential of One Tap from a page of ours', async () => {
    await using w = await site()
    const credential = await w.provider.idToken({})
    const post = { method: 'POST', target: '/auth/google', headers: own, fields: { credential } }
    expect(await w.browser.login(post)).toMatchObject({ location: '/', subject: someone })
    w.browser.jar.set('g_csrf_token', 'twice')
    const twice = { ...post, fields: { credential, g_csrf_token: 'twice' } }
    expect(await w.browser.login(twice)).toMatchObject({ location: '/', subject: someone })
  })

  test('takes none that another page sends, or whose two tokens differ', async () => {
    await using w = await site()
    const credential = await w.provider.idToken({})
    const post = { method: 'POST', target: '/auth/google', headers: own, fields: { credential } }
    const foreign = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }
    await expect(w.browser.login({ ...post, headers: foreign })).rejects.toMatchObject({ code: 'ERR_CROSS_ORIGIN' })
    w.browser.jar.set('g_csrf_token', 'one')
    for (const g_csrf_token of ['other', '', undefined]) {
      const refused = await w.browser.login({ ...post, fields: { credential, g_csrf_token } })
      expect(refused).toMatchObject({ location: '/login?failure=expired', subject: undefined })
    }
    const forged = await w.app.browser().login({ ...post, fields: { credential: `${credential}x` } })
    expect(forged).toMatchObject({ location: '/login?failure=invalid', subject: undefined })
  })

  test('takes a credential for the nonce that the page gave to One Tap, and for no other', async () => {
    let nonce: string | undefined = 'of this page'
    await using w = await site({ oneTapNonce: () => nonce })
    const post = async () => ({
      ...{ method: 'POST', target: '/auth/google', headers: own },
      fields: { credential: await w.provider.idToken({ nonce: 'of this page' }) },
    })
    expect(await w.browser.login(await post())).toMatchObject({ subject: someone })
    for (const other of ['of another page', undefined]) {
      nonce = other
      expect(await w.app.browser().login(await post())).toMatchObject({ subject: undefined })
    }
    expect(w.codes()).toEqual(['ERR_OIDC_NONCE', 'ERR_OIDC_NONCE'])
  })
})

describe('microsoft', () => {
  const one = '11111111-2222-3333-4444-555555555555'
  const people = '9188040d-6c67-4c5b-b112-36a304b66dad'
  const site = async (options: Partial<Parameters<typeof microsoft<Account>>[0]> = {}) => {
    const w = await world('microsoft', (basics, { issuer }) =>
      microsoft({ ...basics, authority: issuer, tenant: 'common', ...options }),
    )
    w.provider.lies.answer = {
      '/common/v2.0/.well-known/openid-configuration': (_req, res) => json(res, metadata(w.provider.issuer)),
      '/organizations/v2.0/.well-known/openid-configuration': (_req, res) => json(res, metadata(w.provider.issuer)),
    }
    const from = (tenant: string, tid: string | undefined = tenant) => {
      w.provider.lies.claims = { iss: `${w.provider.issuer}/${tenant}/v2.0`, tid }
      return w.logIn()
    }
    return { ...w, from }
  }
  const metadata = (issuer: string) => ({
    issuer: `${issuer}/{tenantid}/v2.0`,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
  })

  test('accepts a token of the tenant that it names, and keeps the tenant’s issuer', async () => {
    await using w = await site()
    expect(await w.from(one)).toMatchObject({ subject: someone })
    expect(w.identity()?.issuer).toBe(`${w.provider.issuer}/${one}/v2.0`)
    for (const tenant of ['common', '{tenantid}', 'evil.example', '../evil', one.toUpperCase().replaceAll('1', 'A')]) {
      expect((await w.app.browser().begin()).pathname).toBe('/authorize')
      await w.from(tenant)
    }
    await w.from(one, people)
    expect(w.codes()).toEqual(Array(6).fill('ERR_OIDC_ISSUER'))
  })

  test('lets in the tenants that are listed, and to `organizations` no accounts of people', async () => {
    await using listed = await site({ tenants: [one] })
    expect(await listed.from(people)).toMatchObject({ subject: undefined })
    expect(await listed.from(one)).toMatchObject({ subject: someone })
    await using organizations = await site({ tenant: 'organizations' })
    expect(await organizations.from(people)).toMatchObject({ subject: undefined })
    expect(await organizations.from(one)).toMatchObject({ subject: someone })
  })

  test('attack 69: an address that any administrator can write is not verified', async () => {
    await using w = await site()
    await w.from(one)
    expect(w.identity()).toMatchObject({ email: 'ada@mail.example', emailVerified: false, emailAuthoritative: false })
  })

  test('takes ids in capitals, as people copy them, and a `tid` that is null', async () => {
    const letters = 'abcdefab-1111-2222-3333-abcdefabcdef'
    await using listed = await site({ tenants: [letters.toUpperCase()] })
    expect(await listed.from(one)).toMatchObject({ subject: undefined })
    expect(await listed.from(letters)).toMatchObject({ subject: someone })
    expect(await listed.from(letters, null as never)).toMatchObject({ location: '/', subject: someone })
    const basics = { clientId: 'x', clientSecret: 'y', callback: '/cb', account: () => undefined }
    expect(() => microsoft({ ...basics, tenant: letters.toUpperCase() })).not.toThrow()
  })

  test.each([
    ['a tenant that is none', { tenant: 'acme' }],
    ['tenants that are domains', { tenant: 'common', tenants: ['acme.onmicrosoft.com'] }],
    ['no tenants', { tenant: 'common', tenants: [] }],
    ['tenants beside one tenant', { tenant: one, tenants: [one] }],
    ['tenants in a text', { tenant: 'common', tenants: one as never }],
  ])('is not made with %s, which would match no account', (_what, options) => {
    const basics = { clientId: 'x', clientSecret: 'y', callback: '/cb', account: () => undefined }
    expect(() => microsoft({ ...basics, ...options })).toThrow(expect.objectContaining({ code: 'ERR_OAUTH_OPTIONS' }))
  })
})

describe('apple', async () => {
  const pair = await generateKeyPair('ES256', { extractable: true })
  const privateKey = await exportPKCS8(pair.privateKey)
  const site = () =>
    world('apple', ({ clientSecret: _none, ...basics }, { issuer }) =>
      apple({ ...basics, issuer, teamId: 'TEAM', keyId: 'KEY', privateKey }),
    )
  const callback = '/auth/apple/callback'
  const foreign = { 'sec-fetch-site': 'cross-site', origin: 'https://appleid.apple.com' }
  const user = JSON.stringify({ name: { firstName: 'Ada', lastName: 'Lovelace' }, email: 'x@y.example' })

  test('answers Apple’s POST with a page that posts it once more, and then logs in', async () => {
    await using w = await site()
    const authorization = await w.browser.begin()
    expect(authorization.searchParams.get('response_mode')).toBe('form_post')
    const fields = { state: authorization.searchParams.get('state') ?? '', code: codeFor(authorization), user }
    // Whatever cookies a browser sends with it: it is let through to this page, and to nothing else.
    const posted = await w.browser.login({ method: 'POST', target: callback, headers: foreign, fields })
    const { body = '', headers = {} } = posted.reply ?? {}
    expect(body).toContain(`<form method="post" action="${callback}">`)
    expect(body).toContain('<button>')
    const nonce = /<script nonce="([^"]+)">/.exec(body)?.[1]
    expect(headers['content-security-policy']).toContain(`script-src 'nonce-${nonce}'`)
    expect(headers['content-security-policy']).toContain("default-src 'none'")
    expect(headers['cache-control']).toBe('no-store')
    expect(w.provider.exchanges).toHaveLength(0)
    const again = { method: 'POST', target: callback, headers: own, fields: { ...fields, relayed: 'true' } }
    expect(await w.browser.login(again)).toMatchObject({ location: '/', subject: someone })
    expect(w.identity()).toMatchObject({ givenName: 'Ada', familyName: 'Lovelace', name: 'Ada Lovelace' })
  })

  test('lets nothing of a foreign page into ours', async () => {
    await using w = await site()
    const fields = { state: '"><script>alert(1)</script>', code: "'><img src=x>" }
    const { reply } = await w.browser.login({ method: 'POST', target: callback, headers: foreign, fields })
    expect(reply?.body).not.toMatch(/<script>|<img/)
  })

  test('takes a foreign POST at its callback alone', async () => {
    await using w = await site()
    const elsewhere = { method: 'POST', target: '/auth/apple', headers: { ...foreign, cookie: 'x=1' } }
    await expect(w.browser.login(elsewhere)).rejects.toMatchObject({ code: 'ERR_CROSS_ORIGIN' })
    const { gatepass } = w.app
    const admitted = (target: string) => () => gatepass.admit(w.browser.jar.exchange({ ...elsewhere, target }))
    expect(admitted(callback)).not.toThrow()
    expect(admitted(`${callback}/`)).toThrow(expect.objectContaining({ code: 'ERR_CROSS_ORIGIN' }))
    for (const method of ['PUT', 'PATCH', 'DELETE']) {
      const exchange = w.browser.jar.exchange({ ...elsewhere, target: callback, method })
      expect(() => gatepass.admit(exchange), method).toThrow(expect.objectContaining({ code: 'ERR_CROSS_ORIGIN' }))
    }
  })

  test('attack 27: the attacker’s callback logs nobody in, relayed or not', async () => {
    await using w = await site()
    const attacker = await w.browser.begin()
    const fields = { state: attacker.searchParams.get('state') ?? '', code: codeFor(attacker), relayed: 'true' }
    const victim = w.app.browser()
    await victim.begin()
    const forged = await victim.login({ method: 'POST', target: callback, headers: foreign, fields })
    expect(forged).toMatchObject({ location: '/login?failure=expired', subject: undefined })
  })

  test('signs its secret with ES256 for an hour, and anew before that is over', async () => {
    await using w = await site()
    const secretOf = (n: number) => w.provider.exchanges[n]?.fields.get('client_secret') ?? ''
    await w.logIn()
    await w.logIn()
    w.clock.advance(3400)
    await w.logIn()
    const { payload, protectedHeader } = await jwtVerify(secretOf(0), pair.publicKey, { algorithms: ['ES256'] })
    expect(protectedHeader.kid).toBe('KEY')
    expect(payload).toMatchObject({ iss: 'TEAM', sub: CLIENT_ID, aud: w.provider.issuer })
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(3600)
    expect(secretOf(1)).toBe(secretOf(0))
    expect(decodeJwt(secretOf(2)).iat).toBeGreaterThan(payload.iat ?? 0)
  })

  test('knows both ways in which Apple writes that an address is verified', async () => {
    await using w = await site()
    w.provider.lies.metadata = { userinfo_endpoint: undefined }
    for (const [written, verified] of [
      ['true', true],
      [true, true],
      ['false', false],
      ['TRUE', false],
    ] as const) {
      w.provider.lies.claims = { email_verified: written }
      await w.logIn()
      expect(w.identity()?.emailVerified).toBe(verified)
    }
    w.provider.lies.claims = { email: undefined, email_verified: 'true' }
    await w.logIn()
    expect(w.identity()).toMatchObject({ email: undefined, emailVerified: false })
  })

  test('a key that is none says so without repeating it', async () => {
    const w = await world('apple', ({ clientSecret: _none, ...basics }, { issuer }) =>
      apple({ ...basics, issuer, teamId: 'TEAM', keyId: 'KEY', privateKey: 'half a key' }),
    )
    const error = await w.logIn().catch((thrown: Error) => thrown)
    expect(error).toMatchObject({ code: 'ERR_OAUTH_OPTIONS' })
    expect(String(error)).not.toContain('half a key')
    await w[Symbol.asyncDispose]()
  })
})

describe('github', () => {
  const site = async () => {
    const w = await world('github', (basics, { issuer }) =>
      github({ ...basics, endpoints: { web: issuer, api: `${issuer}/api` } }),
    )
    const answers = {
      user: { id: 583_231, login: 'ada', name: 'Ada', email: 'typed@evil.example' } as object,
      emails: [] as unknown[],
    }
    w.provider.lies.answer = {
      '/login/oauth/access_token': (_req, res) => json(res, { access_token: 'token', token_type: 'bearer', scope: '' }),
      '/api/user': (req, res) => json(res, answers.user, req.headers.authorization === 'Bearer token' ? 200 : 401),
      '/api/user/emails': (_req, res) => json(res, answers.emails),
    }
    return { ...w, answers }
  }

  test('knows people by their number, and their primary address if it is verified', async () => {
    await using w = await site()
    w.answers.emails = [
      { email: 'second@mail.example', primary: false, verified: true },
      { email: 'ada@mail.example', primary: true, verified: true },
    ]
    expect(await w.logIn({ iss: `${w.provider.issuer}/login/oauth` })).toMatchObject({ subject: someone })
    expect(w.identity()).toMatchObject({
      issuer: `${w.provider.issuer}/login/oauth`,
      subject: '583231',
      username: 'ada',
      email: 'ada@mail.example',
      emailVerified: true,
      emailAuthoritative: false,
    })
  })

  test('takes no address that is not verified, or merely written into the profile', async () => {
    await using w = await site()
    for (const address of [{ email: 'victim@mail.example', primary: true, verified: false }, null]) {
      w.answers.emails = [address]
      await w.logIn()
      expect(w.identity()).toMatchObject({ email: undefined, emailVerified: false })
    }
  })

  test('logs in a person whose addresses are withheld', async () => {
    await using w = await site()
    w.provider.lies.answer = { ...w.provider.lies.answer, '/api/user/emails': (_req, res) => json(res, {}, 404) }
    expect(await w.logIn()).toMatchObject({ subject: someone })
    expect(w.identity()).toMatchObject({ email: undefined, emailVerified: false })
  })

  test('refuses a person without a number, and another issuer', async () => {
    await using w = await site()
    w.answers.user = { login: 'ada' }
    expect(await w.logIn()).toMatchObject({ location: '/login?failure=invalid', subject: undefined })
    expect(await w.logIn({ iss: 'https://github.com' })).toMatchObject({ subject: undefined })
    expect(w.codes()).toEqual(['ERR_OAUTH_IDENTITY', 'ERR_OAUTH_ISSUER'])
  })
})

describe('attack 71: facebook', () => {
  const site = async () => {
    const w = await world('facebook', (basics, { issuer }) =>
      facebook({ ...basics, endpoints: { web: issuer, graph: issuer } }),
    )
    const answers = {
      debug: { app_id: CLIENT_ID, is_valid: true, user_id: '7' } as object,
      me: { id: '7', name: 'Ada', email: 'ada@mail.example' },
    }
    const asked: URL[] = []
    w.provider.lies.answer = {
      '/v23.0/oauth/access_token': (_req, res) => json(res, { access_token: 'token', token_type: 'bearer' }),
      '/v23.0/debug_token': (req, res) => {
        asked.push(new URL(req.url ?? '', w.provider.issuer))
        json(
          res,
          { data: answers.debug },
          req.headers.authorization === `Bearer ${CLIENT_ID}|${CLIENT_SECRET}` ? 200 : 400,
        )
      },
      '/v23.0/me': (req, res) => {
        asked.push(new URL(req.url ?? '', w.provider.issuer))
        json(res, answers.me)
      },
    }
    return { ...w, answers, asked }
  }

  test('asks whose token it is and proves to have the secret; an address is never verified', async () => {
    await using w = await site()
    expect((await w.browser.begin()).searchParams.get('scope')).toBe('email public_profile')
    expect(await w.logIn()).toMatchObject({ subject: someone })
    expect(w.asked[0]?.searchParams.get('input_token')).toBe('token')
    // printf token | openssl dgst -sha256 -hmac a-secret-that-provider-and-application-share
    expect(w.asked[1]?.searchParams.get('appsecret_proof')).toBe(PROOF)
    expect(w.identity()).toMatchObject({ subject: '7', email: 'ada@mail.example', emailVerified: false })
  })

  test.each([
    ['another app’s token', { app_id: 'other' }],
    ['a token that is not valid', { is_valid: false }],
    ['a token whose validity is text', { is_valid: 'true' }],
    ['a token about nobody', { user_id: undefined }],
    ['a token about somebody else', { user_id: '8' }],
  ])('refuses %s', async (_what, debug) => {
    await using w = await site()
    w.answers.debug = { ...w.answers.debug, ...debug }
    expect(await w.logIn()).toMatchObject({ location: '/login?failure=invalid', subject: undefined })
    expect(w.codes()).toEqual(['ERR_OAUTH_IDENTITY'])
  })
})

describe('facebook’s Limited Login', () => {
  const site = (nonce: string | undefined) =>
    world('facebook', (basics, { issuer }) =>
      facebook({
        ...basics,
        endpoints: { web: issuer, graph: issuer, limited: issuer },
        limitedLoginNonce: () => nonce,
      }),
    )
  const post = (id_token: string) => ({ method: 'POST', target: '/auth/facebook', headers: own, fields: { id_token } })

  test('takes an ID token for the nonce of this session, about the same person as the Graph', async () => {
    await using w = await site('of this app')
    w.provider.lies.answer = { '/.well-known/oauth/openid/jwks/': (_req, res) => w.provider.keys(res) }
    for (const iss of ['https://www.facebook.com', w.provider.issuer]) {
      const issuedAt = Math.floor(w.clock() / 1000) - 100
      const token = await w.provider.idToken({ nonce: 'of this app', iss, sub: '7', iat: issuedAt })
      expect(await w.browser.login(post(token))).toMatchObject({ subject: someone })
      expect(w.identity()).toMatchObject({ issuer: 'https://www.facebook.com', subject: '7', emailVerified: false })
      const { login } = await w.app.gatepass.sessions.open(w.browser.jar.exchange())
      expect(login?.at, 'proved when the token was issued').toBe(issuedAt * 1000)
    }
  })

  test('refuses one of another nonce, issuer or app, and any where none was begun', async () => {
    await using w = await site('of this app')
    await using none = await site(undefined)
    for (const { provider } of [w, none]) {
      provider.lies.answer = { '/.well-known/oauth/openid/jwks/': (_req, res) => provider.keys(res) }
    }
    const honest = { nonce: 'of this app' }
    for (const claims of [
      { nonce: 'other' },
      { ...honest, iss: 'https://evil.example' },
      { ...honest, aud: 'other' },
    ]) {
      const refused = await w.browser.login(post(await w.provider.idToken(claims)))
      expect(refused).toMatchObject({ location: '/login?failure=invalid', subject: undefined })
    }
    expect(w.codes()).toEqual(['ERR_OIDC_NONCE', 'ERR_OIDC_ISSUER', 'ERR_OIDC_AUDIENCE'])
    await none.browser.login(post(await none.provider.idToken(honest)))
    expect(none.codes()).toEqual(['ERR_OIDC_NONCE'])
  })
})

describe('oauth2', () => {
  const site = (options: Partial<OAuth2Options<Account, 'acme'>> = {}) =>
    world('acme', (basics, { issuer }) =>
      oauth2({
        ...{ ...basics, name: 'acme', authorizationEndpoint: `${issuer}/authorize`, tokenEndpoint: `${issuer}/token` },
        identity: async ({ accessToken }, fetch) => {
          const headers = { authorization: `Bearer ${accessToken}` }
          const { sub } = (await (await fetch(`${issuer}/userinfo`, { headers })).json()) as { sub: string }
          return { subject: sub }
        },
        ...options,
      }),
    )

  test('logs in with a provider that has no ID tokens, by state and PKCE', async () => {
    await using w = await site()
    const { searchParams } = await w.browser.begin()
    expect(searchParams.has('nonce')).toBe(false)
    expect(searchParams.get('code_challenge_method')).toBe('S256')
    expect(await w.logIn()).toMatchObject({ subject: someone })
    expect(w.provider.exchanges[0]?.fields.get('code_verifier')).toMatch(/^[\w-]{43}$/)
    expect(w.identity()).toMatchObject({ issuer: w.provider.issuer, subject: 'ada', emailVerified: false })
  })

  test('refuses an identity without a subject', async () => {
    await using w = await site({ identity: () => ({ subject: '' }) })
    expect(await w.logIn()).toMatchObject({ subject: undefined })
    expect(w.codes()).toEqual(['ERR_OAUTH_IDENTITY'])
  })

  test.each(['undefined', 'null', '[object Object]'])(
    'refuses %j for a subject, which everyone would share',
    async (subject) => {
      await using w = await site({ identity: () => ({ subject }) })
      expect(await w.logIn()).toMatchObject({ subject: undefined })
      expect(w.codes()).toEqual(['ERR_OAUTH_IDENTITY'])
    },
  )

  test.each([
    ['undefined', undefined],
    ['a text', 'ada'],
    ['a `subject` that is a number', { subject: 7 }],
  ])('says what `identity` gave when it is %s', async (what, known) => {
    await using w = await site({ identity: () => known as never })
    await expect(w.logIn()).rejects.toMatchObject({
      code: 'ERR_OAUTH_OPTIONS',
      message: `\`identity\` of oauth2() gave ${what}`,
    })
  })

  test('asks at no address inside on behalf of a provider', async () => {
    await using w = await site({
      identity: async (_tokens, fetch) => {
        await fetch('https://169.254.169.254/latest/meta-data')
        return { subject: 'x' }
      },
    })
    expect(await w.logIn()).toMatchObject({ location: '/login?failure=unavailable', subject: undefined })
    expect(w.codes()).toEqual(['ERR_OAUTH_ADDRESS'])
  })
})
