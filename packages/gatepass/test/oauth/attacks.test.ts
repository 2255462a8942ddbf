/** What attackers and lying providers try, against the strategy `oidc`; the numbers are those of the list of attacks. */
import type { ServerResponse } from 'node:http'
import { inspect } from 'node:util'
import { gzipSync } from 'node:zlib'
import { type OAuthEvent, oidc } from 'gatepass/strategies/oidc'
import { testClock } from 'gatepass/testing'
import { generateKeyPair } from 'jose'
import { describe, expect, test, vi } from 'vitest'
import type { Account } from './express-site.ts'
import { CLIENT_ID, CLIENT_SECRET, codeFor, json, type Lies, lyingProvider } from './lying-provider.ts'
import { origin, Visited } from './visitor.ts'

async function world(options: Partial<Parameters<typeof oidc<Account, 'acme'>>[0]> = {}) {
  const clock = testClock(Date.now())
  const provider = await lyingProvider(clock)
  const events: OAuthEvent[] = []
  const app = new Visited(
    (accounts) =>
      oidc({
        name: 'acme',
        issuer: provider.issuer,
        clientId: CLIENT_ID,
        clientSecret: CLIENT_SECRET,
        callback: '/auth/acme/callback',
        account: accounts.find,
        clock,
        onEvent: (event) => void events.push(event),
        ...options,
      }),
    clock,
  )
  const browser = app.browser()
  /** A whole login, with what the callback carries besides. */
  const logIn = async (extra: Record<string, string> = {}, strategy: Record<string, unknown> = {}) => {
    const authorization = await browser.begin({ strategy })
    const state = authorization.searchParams.get('state') ?? ''
    return browser.back({ state, code: codeFor(authorization), ...extra })
  }
  return {
    ...{ clock, provider, app, browser, events, logIn },
    codes: () => events.map(({ code }) => code),
    [Symbol.asyncDispose]: () => provider[Symbol.asyncDispose](),
  }
}

const other = await generateKeyPair('RS256')
const elliptic = await generateKeyPair('ES256')
const someone = expect.stringMatching(/^user-/)

describe('the request for a code', () => {
  test('carries state, nonce and an S256 challenge, new each time, and the least scope', async () => {
    await using w = await world()
    const [one, two] = [await w.browser.begin(), await w.browser.begin()]
    for (const { searchParams } of [one, two]) {
      expect(Object.fromEntries(searchParams)).toEqual({
        response_type: 'code',
        client_id: CLIENT_ID,
        redirect_uri: `${origin}/auth/acme/callback`,
        scope: 'openid email profile',
        state: expect.stringMatching(/^[\w-]{43}$/),
        nonce: expect.stringMatching(/^[\w-]{43}$/),
        code_challenge: expect.stringMatching(/^[\w-]{43}$/),
        code_challenge_method: 'S256',
      })
    }
    for (const name of ['state', 'nonce', 'code_challenge']) {
      expect(one.searchParams.get(name)).not.toBe(two.searchParams.get(name))
    }
  })

  test('does not let `parameters` replace what holds the login together', async () => {
    for (const name of ['state', 'nonce', 'redirect_uri', 'code_challenge', 'code_challenge_method', 'response_type']) {
      await expect(world({ parameters: { [name]: 'x' } })).rejects.toMatchObject({ code: 'ERR_OAUTH_OPTIONS' })
    }
    await using w = await world()
    await expect(w.browser.begin({ strategy: { parameters: { state: 'x' } } })).rejects.toMatchObject({
      code: 'ERR_OAUTH_OPTIONS',
    })
  })
})

describe('attack 61: a callback', () => {
  test.each([
    ['without a state', () => ({ code: 'x' })],
    ['with an empty state', () => ({ state: '', code: 'x' })],
    ['with a state of the right form that nobody gave', () => ({ state: 'A'.repeat(43), code: 'x' })],
  ])('%s begins nothing at the provider', async (_what, parameters) => {
    await using w = await world()
    await w.browser.begin()
    expect(await w.browser.back(parameters())).toMatchObject({ location: '/login?failure=expired', subject: undefined })
    expect(w.codes()).toEqual(['ERR_OAUTH_STATE'])
    expect(w.provider.exchanges).toHaveLength(0)
  })

  test('with two states, codes, issuers or errors is refused', async () => {
    await using w = await world()
    const state = (await w.browser.begin()).searchParams.get('state') ?? ''
    for (const name of ['state', 'code', 'iss', 'error']) {
      const twice = await w.browser.back(`state=${state}&${name}=${state}&${name}=${state}&code=x`)
      expect(twice).toMatchObject({ location: '/login?failure=invalid', subject: undefined })
    }
    expect(new Set(w.codes())).toEqual(new Set(['ERR_OAUTH_CALLBACK']))
    expect(w.provider.exchanges).toHaveLength(0)
  })

  test('of another browser is refused, and leaves the login to the one that began it', async () => {
    await using w = await world()
    const authorization = await w.browser.begin()
    const parameters = { state: authorization.searchParams.get('state') ?? '', code: codeFor(authorization) }
    const victim = w.app.browser()
    await victim.begin()
    expect(await victim.back(parameters)).toMatchObject({ location: '/login?failure=expired', subject: undefined })
    expect(await w.browser.back(parameters)).toMatchObject({ location: '/', subject: someone })
  })

  test('after ten minutes is refused', async () => {
    await using w = await world()
    const authorization = await w.browser.begin()
    w.clock.advance(600)
    const late = await w.browser.back({ state: authorization.searchParams.get('state') ?? '', code: 'x' })
    expect(late).toMatchObject({ location: '/login?failure=expired', subject: undefined })
    expect(w.provider.exchanges).toHaveLength(0)
  })

  test('asked for with HEAD uses nothing up', async () => {
    await using w = await world()
    const authorization = await w.browser.begin()
    const parameters = { state: authorization.searchParams.get('state') ?? '', code: codeFor(authorization) }
    const head = await w.browser.login({
      method: 'HEAD',
      target: `/auth/acme/callback?${new URLSearchParams(parameters)}`,
    })
    expect(head.status).toBe(405)
    expect(await w.browser.back(parameters)).toMatchObject({ location: '/', subject: someone })
  })
})

describe('attacks 62 and 63: the same callback again', () => {
  test('is refused, does not touch the session, and sends no code a second time', async () => {
    await using w = await world()
    const authorization = await w.browser.begin()
    const parameters = { state: authorization.searchParams.get('state') ?? '', code: codeFor(authorization) }
    const first = await w.browser.back(parameters)
    const token = w.browser.jar.get('__Host-Http-gp')
    expect(token).toMatch(/^[\w-]{43}/)
    const again = await w.browser.back(parameters)
    expect(again).toMatchObject({ location: '/', subject: first.subject })
    expect(w.browser.jar.get('__Host-Http-gp')).toBe(token)
    expect(w.provider.exchanges).toHaveLength(1)
    expect(w.app.accounts.seen).toHaveLength(1)
    expect(w.codes()).toEqual(['ERR_OAUTH_STATE'])
  })

  test('leads whoever is logged in to where the route says, and whoever is not to the login page', async () => {
    await using w = await world()
    const authorization = await w.browser.begin()
    const parameters = { state: authorization.searchParams.get('state') ?? '', code: codeFor(authorization) }
    await w.browser.back(parameters)
    expect(await w.browser.back(parameters, { success: '/home' })).toMatchObject({ location: '/home' })
    const nobody = w.app.browser()
    expect(await nobody.back(parameters, { success: '/home' })).toMatchObject({ location: '/login?failure=expired' })
    await w.app.gatepass.sessions.revokeAll('user-1')
    expect(await w.browser.back(parameters, { success: '/home' })).toMatchObject({
      location: '/login?failure=expired',
      subject: undefined,
    })
  })

  test('does not reach the handler behind a route without `success`', async () => {
    await using w = await world()
    const authorization = await w.browser.begin()
    const parameters = { state: authorization.searchParams.get('state') ?? '', code: codeFor(authorization) }
    await w.browser.back(parameters)
    const target = `/auth/acme/callback?${new URLSearchParams(parameters)}`
    expect((await w.browser.through({ target }, {})).reply).toMatchObject({ status: 401 })
  })

  test('that came too late is told so, whoever is logged in', async () => {
    await using w = await world()
    await w.logIn()
    const authorization = await w.browser.begin()
    w.clock.advance(600)
    const late = await w.browser.back({ state: authorization.searchParams.get('state') ?? '', code: 'x' })
    expect(late).toMatchObject({ location: '/login?failure=expired', subject: someone })
  })

  test('of somebody else leaves who is logged in logged in', async () => {
    await using w = await world()
    await w.logIn()
    const attacker = await w.app.browser().begin()
    const foreign = { state: attacker.searchParams.get('state') ?? '', code: codeFor(attacker) }
    const token = w.browser.jar.get('__Host-Http-gp')
    expect(await w.browser.back(foreign)).toMatchObject({ location: '/', subject: 'user-1' })
    expect(w.browser.jar.get('__Host-Http-gp')).toBe(token)
    expect([w.provider.exchanges.length, w.app.accounts.seen.length]).toEqual([1, 1])
  })

  test('twenty at once are one exchange', async () => {
    await using w = await world()
    const authorization = await w.browser.begin()
    const parameters = { state: authorization.searchParams.get('state') ?? '', code: codeFor(authorization) }
    const answers = await Promise.all(Array.from({ length: 20 }, () => w.browser.back(parameters)))
    expect(answers.filter(({ location }) => location === '/')).toHaveLength(1)
    expect(w.provider.exchanges).toHaveLength(1)
  })

  test('is refused after a failed exchange, too', async () => {
    await using w = await world()
    w.provider.lies.answer = { '/token': (_req, res) => json(res, { error: 'invalid_grant' }, 400) }
    const authorization = await w.browser.begin()
    const parameters = { state: authorization.searchParams.get('state') ?? '', code: codeFor(authorization) }
    await w.browser.back(parameters)
    w.provider.lies.answer = {}
    expect(await w.browser.back(parameters)).toMatchObject({ location: '/login?failure=expired', subject: undefined })
  })
})

describe('several tabs', () => {
  test('that begin a login all arrive, in any order; of six the oldest is forgotten', async () => {
    await using w = await world()
    const begun: URL[] = []
    for (let n = 0; n < 6; n++) begun.push(await w.browser.begin())
    const [oldest, ...newer] = begun.map((url) => ({ state: url.searchParams.get('state') ?? '', code: codeFor(url) }))
    expect(await w.browser.back(oldest ?? {})).toMatchObject({ location: '/login?failure=expired' })
    const last = await w.browser.back(newer.pop() ?? {})
    expect(last).toMatchObject({ location: '/', subject: someone })
    for (const parameters of newer) {
      expect(await w.browser.back(parameters)).toMatchObject({ location: '/', subject: last.subject })
    }
    expect(w.provider.exchanges).toHaveLength(5)
    expect(w.browser.jar.names).toEqual(['__Host-Http-gp'])
  })
})

describe('attack 65: another site that sends a browser to the login', () => {
  test.each(['cross-site', 'same-site'])('from %s gets a page with a button, and no login begins', async (site) => {
    await using w = await world()
    const target = '/auth/acme?next=%2Fdeep%22%3E%3Cscript%3E'
    const { reply, location } = await w.browser.login({ target, headers: { 'sec-fetch-site': site } })
    expect(location).toBeUndefined()
    expect(reply?.body).toContain(`href="${origin}/auth/acme?next=%2Fdeep%22%3E%3Cscript%3E"`)
    expect(reply?.body).not.toContain('<script')
    expect(reply?.headers['content-security-policy']).toContain("default-src 'none'")
    expect(reply?.headers['content-security-policy']).toContain("frame-ancestors 'none'")
    expect(w.browser.jar.names).toEqual([])
  })

  test('a link on our own page, a typed address and an old browser begin it at once', async () => {
    await using w = await world()
    for (const headers of [{ 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'none' }, {}]) {
      expect((await w.browser.login({ target: '/auth/acme', headers })).location).toContain('/authorize?')
    }
  })
})

describe('attack 66: errors', () => {
  test('a person who cancels comes back to the login page, where the login was to lead included', async () => {
    await using w = await world()
    const authorization = await w.browser.begin({ next: 'next' })
    const wished = await w.browser.login({ target: '/auth/acme?next=%2Fdeep' }, { next: 'next' })
    const state = new URL(wished.location ?? '').searchParams.get('state') ?? ''
    const back = await w.browser.back({ state, error: 'access_denied', error_description: '<script>alert(1)</script>' })
    expect(back).toMatchObject({ location: '/login?failure=denied&next=%2Fdeep', subject: undefined })
    expect(w.codes()).toEqual(['ERR_OAUTH_DENIED'])
    expect(authorization.pathname).toBe('/authorize')
  })

  test('what the provider says of an error is repeated nowhere', async () => {
    await using w = await world()
    for (const error of ['<script>alert(1)</script>', 'line\r\nSet-Cookie: x=y', 'x'.repeat(65_536)]) {
      const state = (await w.browser.begin()).searchParams.get('state') ?? ''
      const { reply } = await w.browser.back({ state, error, error_description: error })
      expect(JSON.stringify(reply)).not.toContain(error.slice(0, 20))
    }
    expect(w.events.map(({ error }) => error.message).join()).not.toMatch(/script|Set-Cookie|xxxx/)
  })

  const packed = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
  const answers: Record<string, Lies> = {
    'an error with status 200': { body: { access_token: undefined, id_token: undefined, error: 'bad_code' } },
    'no access token': { body: { access_token: undefined } },
    'no ID token': { body: { id_token: undefined } },
    'a token of another type': { body: { token_type: 'mac' } },
    'a token bound to a key that we have not': { body: { token_type: 'DPoP' } },
    'nothing where userinfo is': { metadata: { userinfo_endpoint: 'nowhere' }, claims: { email: undefined } },
    HTML: { answer: { '/token': (_req, res) => res.setHeader('content-type', 'text/html').end('<h1>hello</h1>') } },
    'a redirect': { answer: { '/token': (_req, res) => res.writeHead(307, { location: '/elsewhere' }).end() } },
    'a compressed bomb': {
      answer: { '/token': (_req, res) => res.writeHead(200, { ...packed }).end(gzipSync(Buffer.alloc(2 ** 25, 32))) },
    },
    'two mebibytes': { body: { filler: 'x'.repeat(2 * 1024 * 1024) } },
    'status 503': { answer: { '/token': (_req, res) => res.writeHead(503).end() } },
    'a closed connection': { answer: { '/token': (req) => req.socket.destroy() } },
  }
  test.each(Object.keys(answers))('the token endpoint answers %s: nobody is logged in', async (what) => {
    await using w = await world()
    Object.assign(w.provider.lies, answers[what])
    const { location, subject } = await w.logIn()
    expect({ location, subject }).toEqual({
      location: expect.stringMatching(/^\/login\?failure=(invalid|unavailable)$/),
      subject: undefined,
    })
    expect(w.provider.asked).not.toContain('POST /elsewhere')
    expect(w.provider.exchanges.length).toBeLessThanOrEqual(1)
  })

  test.each(['a-token\nx: y', 'a-token\u2028', 'a-tokén'])(
    '%j fits into no header field: it is not used',
    async (token) => {
      await using w = await world()
      w.provider.lies.body = { access_token: token }
      expect(await w.logIn()).toMatchObject({ location: '/login?failure=invalid', subject: undefined })
      expect(w.codes()).toEqual(['ERR_OAUTH_TOKEN'])
      expect(inspect(w.events, { depth: 9 })).not.toContain('a-tok')
    },
  )

  test('a provider that wants requests pushed, and says not where, is refused', async () => {
    await using w = await world()
    w.provider.lies.metadata = { require_pushed_authorization_requests: true }
    expect(await w.browser.login({ target: '/auth/acme' })).toMatchObject({ location: '/login?failure=invalid' })
    expect(w.codes()).toEqual(['ERR_OAUTH_PROVIDER'])
  })

  test('a provider that is down is said to be, when a login begins and when it ends', async () => {
    await using w = await world()
    const authorization = await w.browser.begin()
    const parameters = { state: authorization.searchParams.get('state') ?? '', code: codeFor(authorization) }
    await w.provider[Symbol.asyncDispose]()
    expect(await w.browser.back(parameters)).toMatchObject({ location: '/login?failure=unavailable' })
    await using other = await world()
    await other.provider[Symbol.asyncDispose]()
    expect(await other.browser.login({ target: '/auth/acme' })).toMatchObject({
      location: '/login?failure=unavailable',
    })
    expect(other.browser.jar.names).toEqual([])
    expect([...w.codes(), ...other.codes()]).toEqual(['ERR_OAUTH_UNAVAILABLE', 'ERR_OAUTH_UNAVAILABLE'])
  })

  test('a provider that hangs, at once or in mid-answer, is waited for five seconds', { timeout: 15_000 }, async () => {
    const drip = (_req: unknown, res: ServerResponse) => {
      res.writeHead(200, { 'content-type': 'application/json' })
      const dripping = setInterval(() => res.write(' '), 100)
      res.on('close', () => clearInterval(dripping))
    }
    const started = performance.now()
    const waited = [() => {}, drip].map(async (answer) => {
      await using w = await world()
      w.provider.lies.answer = { '/token': answer }
      expect(await w.logIn()).toMatchObject({ location: '/login?failure=unavailable', subject: undefined })
    })
    await Promise.all(waited)
    expect(performance.now() - started).toBeLessThan(8000)
  })
})

describe('attack 67: mix-up', () => {
  test('a callback that names another issuer is refused before its code is sent anywhere', async () => {
    await using w = await world()
    expect(await w.logIn({ iss: 'https://evil.example' })).toMatchObject({ subject: undefined })
    expect(w.codes()).toEqual(['ERR_OAUTH_ISSUER'])
    expect(w.provider.exchanges).toHaveLength(0)
  })

  test('one that names none is refused if the provider says that it always does', async () => {
    await using w = await world()
    w.provider.lies.metadata = { authorization_response_iss_parameter_supported: true }
    expect(await w.logIn()).toMatchObject({ subject: undefined })
    expect(w.codes()).toEqual(['ERR_OAUTH_ISSUER'])
    expect(await w.logIn({ iss: w.provider.issuer })).toMatchObject({ subject: someone })
  })
})

describe('attack 68: an ID token', () => {
  const now = () => Math.floor(Date.now() / 1000)
  const forged: [string, string, () => Lies][] = [
    ['of another issuer', 'ERR_OIDC_ISSUER', () => ({ claims: { iss: 'https://evil.example' } })],
    ['without an issuer', 'ERR_OIDC_ISSUER', () => ({ claims: { iss: undefined } })],
    ['for another application', 'ERR_OIDC_AUDIENCE', () => ({ claims: { aud: 'other' } })],
    ['for several, without azp', 'ERR_OIDC_AUDIENCE', () => ({ claims: { aud: [CLIENT_ID, 'other'] } })],
    ['issued to another application', 'ERR_OIDC_AUDIENCE', () => ({ claims: { azp: 'other' } })],
    ['without an audience', 'ERR_OIDC_AUDIENCE', () => ({ claims: { aud: undefined } })],
    ['with another nonce', 'ERR_OIDC_NONCE', () => ({ claims: { nonce: 'x'.repeat(43) } })],
    ['without a nonce', 'ERR_OIDC_NONCE', () => ({ claims: { nonce: undefined } })],
    ['that has expired', 'ERR_OIDC_TIME', () => ({ claims: { exp: now() - 60 } })],
    ['that never expires', 'ERR_OIDC_TIME', () => ({ claims: { exp: undefined } })],
    ['whose end is text', 'ERR_OIDC_TIME', () => ({ claims: { exp: '9999999999' } })],
    ['without a beginning', 'ERR_OIDC_TIME', () => ({ claims: { iat: undefined } })],
    ['from the future', 'ERR_OIDC_TIME', () => ({ claims: { iat: now() + 3600 } })],
    ['that does not count yet', 'ERR_OIDC_TIME', () => ({ claims: { nbf: now() + 3600 } })],
    ['of another type', 'ERR_OIDC_FORM', () => ({ header: { typ: 'at+jwt' } })],
    ['that is a logout token', 'ERR_OIDC_FORM', () => ({ header: { typ: 'logout+jwt' } })],
    [
      'with a critical extension',
      'ERR_OIDC_FORM',
      () => ({ token: (honest) => rehead(honest, { crit: ['x'], x: 1 }) }),
    ],
    [
      'signed with nothing',
      'ERR_OIDC_FORM',
      () => ({ token: (honest) => `${rehead(honest, { alg: 'none' }).replace(/[^.]*$/, '')}` }),
    ],
    ['keyed with the secret', 'ERR_OIDC_FORM', () => ({ token: (honest) => rehead(honest, { alg: 'HS256' }) })],
    [
      'of an algorithm that is not announced',
      'ERR_OIDC_FORM',
      () => ({ token: (honest) => rehead(honest, { alg: 'PS256' }) }),
    ],
    ['signed by another key', 'ERR_OIDC_SIGNATURE', () => ({ key: other.privateKey })],
    ['of an unknown key', 'ERR_OIDC_SIGNATURE', () => ({ header: { kid: 'unknown' } })],
    [
      'signed by a key of another kind',
      'ERR_OIDC_SIGNATURE',
      () => ({ key: elliptic.privateKey, header: { alg: 'ES256' } }),
    ],
    ['that was changed', 'ERR_OIDC_SIGNATURE', () => ({ token: (honest) => reclaim(honest, { sub: 'eve' }) })],
    ['bound to another access token', 'ERR_OIDC_HASH', () => ({ claims: { at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' } })],
    ['bound to another code', 'ERR_OIDC_HASH', () => ({ claims: { c_hash: 'AAAAAAAAAAAAAAAAAAAAAA' } })],
    ['about nobody', 'ERR_OIDC_SUBJECT', () => ({ claims: { sub: '' } })],
    ['about a number', 'ERR_OIDC_SUBJECT', () => ({ claims: { sub: 7 } })],
    ['about 256 characters', 'ERR_OIDC_SUBJECT', () => ({ claims: { sub: 'a'.repeat(256) } })],
    ['of three parts that are none', 'ERR_OIDC_FORM', () => ({ token: () => 'a.b.c' })],
    ['of 17 KiB', 'ERR_OIDC_FORM', () => ({ claims: { filler: 'x'.repeat(17 * 1024) } })],
  ]
  test.each(forged)('%s is refused: %s', async (_what, code, lies) => {
    await using w = await world()
    Object.assign(w.provider.lies, lies())
    expect(await w.logIn()).toMatchObject({ location: '/login?failure=invalid', subject: undefined })
    expect(w.codes()).toEqual([code])
    expect(w.app.accounts.seen).toEqual([])
  })

  test('from a clock that is 25 seconds off is accepted', async () => {
    await using w = await world()
    w.provider.lies.claims = { iat: now() + 25 }
    expect(await w.logIn()).toMatchObject({ subject: someone })
    w.provider.lies.claims = { exp: now() - 25 }
    expect(await w.logIn()).toMatchObject({ subject: someone })
  })

  test.each([false, 'true', 'false', 1, undefined])('an e-mail address is not verified by %j', async (verified) => {
    await using w = await world()
    w.provider.lies.claims = { email_verified: verified }
    await w.logIn()
    expect(w.app.accounts.seen[0]?.identity).toMatchObject({ email: 'ada@mail.example', emailVerified: false })
  })

  test('an e-mail address is not verified by what is said of another one', async () => {
    await using w = await world()
    const [ours, theirs] = [{ email: 'ada@mail.example' }, { email: 'ada@work.example' }]
    w.provider.lies.claims = { ...ours, email_verified: undefined, name: undefined }
    w.provider.lies.userinfo = { ...theirs, email_verified: true }
    await w.logIn()
    w.provider.lies.claims = { email: undefined, email_verified: true }
    w.provider.lies.userinfo = { ...theirs, email_verified: false }
    await w.logIn()
    expect(w.app.accounts.seen.map(({ identity }) => identity)).toMatchObject([
      { ...ours, emailVerified: false },
      { ...theirs, emailVerified: false },
    ])
  })

  test('that lacks what was asked for is completed by an answer about the same person, and no other', async () => {
    await using w = await world()
    w.provider.lies.claims = { email: undefined, email_verified: undefined }
    w.provider.lies.userinfo = { email_verified: true }
    await w.logIn()
    expect(w.app.accounts.seen[0]?.identity).toMatchObject({ email: 'ada@mail.example', emailVerified: true })
    w.provider.lies.userinfo = { sub: 'eve' }
    expect(await w.app.browser().begin()).toBeInstanceOf(URL)
    expect(await w.logIn()).toMatchObject({ location: '/login?failure=invalid' })
    expect(w.codes()).toEqual(['ERR_OIDC_USERINFO'])
  })
})

describe('ASVS 6.8.4: what was asked for is checked in return', () => {
  test('a login older than `maxAge` is refused, and one without a time', async () => {
    await using w = await world()
    const seconds = Math.floor(w.clock() / 1000)
    for (const auth_time of [seconds - 700, undefined, 'yesterday']) {
      w.provider.lies.claims = { auth_time }
      expect(await w.logIn({}, { maxAge: 600 })).toMatchObject({
        location: '/login?failure=invalid',
        subject: undefined,
      })
    }
    expect(w.codes()).toEqual(['ERR_OIDC_AUTH_TIME', 'ERR_OIDC_AUTH_TIME', 'ERR_OIDC_AUTH_TIME'])
    // The provider's clock may be a few minutes ahead of ours.
    for (const auth_time of [seconds - 500, seconds + 200]) {
      w.provider.lies.claims = { auth_time }
      expect(await w.logIn({}, { maxAge: 600 })).toMatchObject({ subject: someone })
    }
    expect(w.codes()).toHaveLength(3)
  })

  test('a login by another method than asked for is refused', async () => {
    await using w = await world()
    w.provider.lies.claims = { acr: 'weak' }
    expect(await w.logIn({}, { acrValues: ['strong'] })).toMatchObject({ subject: undefined })
    expect(w.codes()).toEqual(['ERR_OIDC_ACR'])
    w.provider.lies.claims = { acr: 'strong' }
    expect(await w.logIn({}, { acrValues: ['strong'] })).toMatchObject({ subject: someone })
  })

  test('a login counts from when it was proved, not from when we heard of it', async () => {
    await using w = await world()
    w.provider.lies.claims = { auth_time: Math.floor(w.clock() / 1000) - 3600, amr: ['pwd', 'otp'] }
    await w.logIn()
    expect((await w.browser.link()).status).toBe(401)
  })
})

describe('attack 78 and RFC 8414 §3.3: metadata', () => {
  test.each<[string, (issuer: string) => Lies]>([
    ['name another issuer', () => ({ metadata: { issuer: 'https://evil.example' } })],
    ['name the issuer with a slash more', (issuer) => ({ metadata: { issuer: `${issuer}/` } })],
    ['have no keys', () => ({ metadata: { jwks_uri: undefined } })],
    ['send people to a script', () => ({ metadata: { authorization_endpoint: 'javascript:alert(1)' } })],
    ['send people anywhere without TLS', () => ({ metadata: { authorization_endpoint: 'http://evil.example/' } })],
    ['redeem codes without HTTP', () => ({ metadata: { token_endpoint: 'ftp://evil.example/' } })],
    ['are no JSON', () => ({ answer: { '/.well-known/openid-configuration': (_req, res) => res.end('hello') } })],
    [
      'redirect',
      () => ({
        answer: { '/.well-known/openid-configuration': (_req, res) => res.writeHead(302, { location: '/jwks' }).end() },
      }),
    ],
  ])('that %s begin no login', async (_what, lies) => {
    await using w = await world()
    Object.assign(w.provider.lies, lies(w.provider.issuer))
    expect(await w.browser.login({ target: '/auth/acme' })).toMatchObject({ location: '/login?failure=unavailable' })
    expect(w.provider.asked).toHaveLength(1)
  })

  test('are kept for an hour, and longer if the provider is down then', async () => {
    await using w = await world()
    const fetched = () => w.provider.asked.filter((path) => path.includes('well-known')).length
    await w.browser.begin()
    await w.browser.begin()
    expect(fetched()).toBe(1)
    w.clock.advance(3600)
    w.provider.lies.answer = { '/.well-known/openid-configuration': (_req, res) => res.writeHead(500).end() }
    await w.browser.begin()
    await w.browser.begin()
    expect(fetched()).toBe(2)
    w.clock.advance(60)
    w.provider.lies.answer = {}
    await w.browser.begin()
    expect(fetched()).toBe(3)
  })
})

describe('the provider’s keys', () => {
  test.each<[string, NonNullable<Lies['answer']>[string]]>([
    ['are nowhere', (_req, res) => res.writeHead(404).end()],
    ['are no JSON', (_req, res) => res.end('<h1>hello</h1>')],
    ['are no keys', (_req, res) => json(res, { keys: 'none' })],
    ['are not given', (_req, res) => res.writeHead(503).end()],
  ])('that %s make the provider unavailable, and log nobody in', async (_what, answer) => {
    await using w = await world()
    w.provider.lies.answer = { '/jwks': answer }
    expect(await w.logIn()).toMatchObject({ location: '/login?failure=unavailable', subject: undefined })
  })

  test('that it has changed are fetched anew, at most once a minute', async () => {
    await using w = await world()
    const fetched = () => w.provider.asked.filter((path) => path === 'GET /jwks').length
    await w.logIn()
    await w.provider.rotateKey('second')
    await w.logIn()
    await w.logIn()
    expect(w.codes()).toEqual(['ERR_OIDC_SIGNATURE', 'ERR_OIDC_SIGNATURE'])
    expect(fetched()).toBe(1)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 })
    try {
      expect(await w.logIn()).toMatchObject({ subject: someone })
      expect(fetched()).toBe(2)
    } finally {
      vi.useRealTimers()
    }
  })
})

function rehead(token: string, header: Record<string, unknown>): string {
  const [head = '', payload, signature] = token.split('.')
  const changed = { ...JSON.parse(Buffer.from(head, 'base64url').toString()), ...header }
  return [Buffer.from(JSON.stringify(changed)).toString('base64url'), payload, signature].join('.')
}

function reclaim(token: string, claims: Record<string, unknown>): string {
  const [head, payload = '', signature] = token.split('.')
  const changed = { ...JSON.parse(Buffer.from(payload, 'base64url').toString()), ...claims }
  return [head, Buffer.from(JSON.stringify(changed)).toString('base64url'), signature].join('.')
}

describe('a provider that takes liberties', () => {
  const body = (member: Record<string, unknown>): Lies => ({ body: member })
  const claims = (member: Record<string, unknown>): Lies => ({ claims: member })
  const metadata = (member: Record<string, unknown>): Lies => ({ metadata: member })

  test.each<[string, Lies]>([
    ['`scope` is a list', body({ scope: ['openid', 'email'] })],
    ['`scope` is null', body({ scope: null })],
    ['`scope` is an object', body({ scope: { openid: true } })],
    ['`refresh_token` is null', body({ refresh_token: null })],
    ['`refresh_token` is a number', body({ refresh_token: 7 })],
    ['`expires_in` is a text', body({ expires_in: '3600' })],
    ['`expires_in` is null', body({ expires_in: null })],
    ['`expires_in` is below nothing', body({ expires_in: -1 })],
    ['`expires_in` is a word', body({ expires_in: 'never' })],
    ['`token_type` is missing', body({ token_type: undefined })],
    ['`token_type` is null', body({ token_type: null })],
    ['`error` is beside a token', body({ error: null })],
    ['`azp` is null', claims({ azp: null })],
    ['`nbf` is null', claims({ nbf: null })],
    ['`nbf` is a text', claims({ nbf: 'now' })],
    ['`at_hash` is null', claims({ at_hash: null })],
    ['`c_hash` is a list', claims({ c_hash: [] })],
    ['`auth_time` is a text', claims({ auth_time: 'yesterday' })],
    ['`amr` is a text', claims({ amr: 'pwd' })],
    ['`acr` is a number', claims({ acr: 1 })],
    ['`sid` is null', claims({ sid: null })],
    ['`email` is null', claims({ email: null })],
    ['`name` is a number', claims({ name: 7 })],
    ['`picture` is an object', claims({ picture: { url: 'x' } })],
    ['the algorithms are a number', metadata({ id_token_signing_alg_values_supported: 7 })],
    ['the algorithms are null', metadata({ id_token_signing_alg_values_supported: null })],
    ['the algorithms are a text', metadata({ id_token_signing_alg_values_supported: 'RS256' })],
    ['the ways to authenticate are an object', metadata({ token_endpoint_auth_methods_supported: {} })],
    ['the ways to authenticate are null', metadata({ token_endpoint_auth_methods_supported: null })],
    ['`userinfo_endpoint` is null', { ...metadata({ userinfo_endpoint: null }), claims: { email: null } }],
    ['`end_session_endpoint` is a list', metadata({ end_session_endpoint: [] })],
    ['`email` of userinfo is a number', { userinfo: { email: 7 }, claims: { email: undefined } }],
  ])('logs in where %s: a login does not need it', async (_what, lies) => {
    await using w = await world()
    Object.assign(w.provider.lies, lies)
    expect(await w.logIn()).toMatchObject({ location: '/', subject: someone })
    expect(w.codes()).toEqual([])
  })

  test('that names one algorithm or one way to authenticate as a text has named that one', async () => {
    await using w = await world()
    w.provider.lies.metadata = { token_endpoint_auth_methods_supported: 'client_secret_post' }
    expect(await w.logIn()).toMatchObject({ subject: someone })
    const [{ fields, authorization } = {}] = w.provider.exchanges
    expect([fields?.get('client_secret'), authorization]).toEqual([CLIENT_SECRET, undefined])

    await using strict = await world()
    strict.provider.lies.metadata = { id_token_signing_alg_values_supported: 'ES256' }
    expect(await strict.logIn()).toMatchObject({ subject: undefined })
    expect(strict.codes()).toEqual(['ERR_OIDC_FORM'])
  })

  test('logs in by the keys that can be used, whatever is beside them', async () => {
    await using w = await world()
    w.provider.lies.answer = {
      '/jwks': async (_req, res) => {
        let text = ''
        await w.provider.keys({ writeHead: () => ({ end: (sent: string) => (text = sent) }) } as never)
        const [key] = JSON.parse(text).keys
        json(res, {
          keys: [null, 'key', { kty: 7 }, { kty: 'XYZ', kid: null }, { ...key, use: null, key_ops: null, x5c: 7 }],
        })
      },
    }
    expect(await w.logIn()).toMatchObject({ location: '/', subject: someone })
  })

  test.each<[string, string, Lies]>([
    ['access_token', 'ERR_OAUTH_TOKEN', body({ access_token: 7 })],
    ['access_token', 'ERR_OAUTH_TOKEN', body({ access_token: null })],
    ['token_type', 'ERR_OAUTH_TOKEN', body({ token_type: 'mac' })],
    ['token_type', 'ERR_OAUTH_TOKEN', body({ token_type: ['Bearer'] })],
    ['ID token', 'ERR_OAUTH_TOKEN', body({ id_token: null })],
    ['bad_code', 'ERR_OAUTH_TOKEN', body({ access_token: undefined, error: 'bad_code' })],
    ['no JSON object', 'ERR_OAUTH_TOKEN', { answer: { '/token': (_req, res) => res.end('a-secret=1') } }],
    [
      'invalid_grant',
      'ERR_OAUTH_TOKEN',
      { answer: { '/token': (_req, res) => json(res, { error: 'invalid_grant' }, 400) } },
    ],
    [
      '401',
      'ERR_OAUTH_TOKEN',
      { answer: { '/token': (_req, res) => json(res, { error: { code: 'a-secret' } }, 401) } },
    ],
    ['`exp`', 'ERR_OIDC_TIME', claims({ exp: '9999999999' })],
    ['`iat`', 'ERR_OIDC_TIME', claims({ iat: null })],
    ['`sub`', 'ERR_OIDC_SUBJECT', claims({ sub: 7 })],
    ['`sub`', 'ERR_OIDC_USERINFO', { claims: { email: undefined }, userinfo: { sub: null } }],
    ['another person’s', 'ERR_OIDC_USERINFO', { claims: { email: undefined }, userinfo: { sub: 'a-secret' } }],
    [
      'no JSON object',
      'ERR_OIDC_USERINFO',
      { claims: { email: undefined }, answer: { '/userinfo': (_req, res) => res.end('a.signed.token') } },
    ],
    [
      '403',
      'ERR_OIDC_USERINFO',
      { claims: { email: undefined }, answer: { '/userinfo': (_req, res) => json(res, {}, 403) } },
    ],
    ['`jwks_uri`', 'ERR_OIDC_METADATA', metadata({ jwks_uri: null })],
    ['`issuer`', 'ERR_OIDC_METADATA', metadata({ issuer: 7 })],
    [
      '404',
      'ERR_OIDC_METADATA',
      { answer: { '/.well-known/openid-configuration': (_req, res) => json(res, {}, 404) } },
    ],
  ])('has what is wrong named in the event, and its value nowhere: %s', async (named, code, lies) => {
    await using w = await world()
    Object.assign(w.provider.lies, lies)
    if (code === 'ERR_OIDC_METADATA') await w.browser.login({ target: '/auth/acme' })
    else expect(await w.logIn()).toMatchObject({ subject: undefined })
    expect(w.codes()).toEqual([code])
    expect(w.events[0]?.error.message).toContain(named)
    expect(inspect(w.events, { depth: 9 })).not.toContain('a-secret')
  })

  test('that says when in milliseconds does not say when', async () => {
    await using w = await world()
    w.provider.lies.claims = { auth_time: w.clock() }
    expect(await w.logIn({}, { maxAge: 600 })).toMatchObject({ subject: undefined })
    expect(w.codes()).toEqual(['ERR_OIDC_AUTH_TIME'])
  })
})

describe('an error of the provider', () => {
  test.each([
    'access_denied',
    'user_cancelled_authorize',
    'user_cancelled_login',
    'user_canceled_authorize',
    'user_denied',
  ])('%s is a login that a person has cancelled', async (error) => {
    await using w = await world()
    const state = (await w.browser.begin()).searchParams.get('state') ?? ''
    expect(await w.browser.back({ state, error })).toMatchObject({
      location: '/login?failure=denied',
      subject: undefined,
    })
    expect(w.codes()).toEqual(['ERR_OAUTH_DENIED'])
  })

  test.each([
    ['invalid_scope', 'invalid', 'ERR_OAUTH_PROVIDER'],
    ['user_cancelled_authorize', 'denied', 'ERR_OAUTH_DENIED'],
  ])(
    '%s without a state is refused, named in the event, and not told as a login that took too long',
    async (error, failure, code) => {
      await using w = await world()
      const begun = await w.browser.begin()
      expect(await w.browser.back({ error })).toMatchObject({
        location: `/login?failure=${failure}`,
        subject: undefined,
      })
      expect(w.codes()).toEqual([code])
      expect(w.events[0]?.error.message).toBe(`The provider's callback has no state of ours, and says ${error}`)
      // It may be anybody's: the login goes on.
      const parameters = { state: begun.searchParams.get('state') ?? '', code: codeFor(begun) }
      expect(await w.browser.back(parameters)).toMatchObject({ location: '/', subject: someone })
    },
  )

  test('with a state that nobody gave is named in the event', async () => {
    await using w = await world()
    await w.browser.begin()
    await w.browser.back({ state: 'A'.repeat(43), error: 'invalid_scope' })
    await w.browser.back({ state: 'A'.repeat(43), error: 'a secret' })
    expect(w.events.map(({ code, error }) => [code, error.message.split(', ')[1]])).toEqual([
      ['ERR_OAUTH_STATE', 'and says invalid_scope'],
      ['ERR_OAUTH_STATE', 'and says an unknown error'],
    ])
  })
})
