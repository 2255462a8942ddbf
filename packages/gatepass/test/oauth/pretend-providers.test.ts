/** The pretend providers of `gatepass/testing/providers`, by the strategies that log in at them. */
import { createHash, createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import { facebook } from 'gatepass/strategies/facebook'
import { google } from 'gatepass/strategies/google'
import { oidc } from 'gatepass/strategies/oidc'
import type { TestBrowser } from 'gatepass/testing'
import { type Fault, type PlainFault, pretendFacebook, pretendGoogle, pretendOpenId } from 'gatepass/testing/providers'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { listen } from '../listen.ts'
import { Accounts, type Site, site } from './express-site.ts'

const app = { clientId: 'shop', clientSecret: 'a secret that is none' }

/** Stands for the application at the provider. It listens first: the provider needs its address, the application the provider. */
interface Relay {
  readonly origin: string
  /** What the provider's back channel sent. */
  readonly told: string[]
  /** Where people are sent on to. */
  application: string
}

async function startRelay(): Promise<Relay> {
  const told: string[] = []
  const server = createServer((req, res) => {
    if (req.url !== '/back-channel') return void res.writeHead(307, { location: relay.application + req.url }).end()
    req.on('data', (chunk) => told.push(String(chunk)))
    req.on('end', () => res.writeHead(200).end())
  })
  const relay: Relay = { origin: `http://127.0.0.1:${await listen(server)}`, told, application: '' }
  return relay
}

interface World {
  readonly accounts: Accounts
  readonly site: Site
  readonly browser: TestBrowser
  readonly refusals: string[]
  /** What the provider's back channel sent. */
  readonly told: string[]
}

async function begin(
  name: string,
  strategyFor: (accounts: Accounts, refusals: string[], callback: string) => Parameters<typeof site>[0][number],
  relay: Relay,
): Promise<World> {
  const accounts = new Accounts()
  const refusals: string[] = []
  const running = await site([strategyFor(accounts, refusals, `${relay.origin}/auth/${name}/callback`)], accounts)
  onTestFinished(() => running[Symbol.asyncDispose]())
  relay.application = running.origin
  return { accounts, site: running, browser: running.browser(), refusals, told: relay.told }
}

async function googleWorld(fault?: Fault, parameters: { offline?: boolean; hostedDomain?: string } = {}) {
  const relay = await startRelay()
  const pretend = await pretendGoogle({
    clients: [
      {
        ...app,
        redirectUris: [`${relay.origin}/auth/google/callback`],
        postLogoutRedirectUris: [`${relay.origin}/`],
        backChannelLogoutUri: `${relay.origin}/back-channel`,
      },
    ],
  })
  onTestFinished(() => pretend.close())
  pretend.misbehave(fault)
  const strategyFor = (accounts: Accounts, refusals: string[], callback: string) =>
    google({
      ...app,
      issuer: pretend.issuer,
      callback,
      account: accounts.find,
      tokens: true,
      offlineAccess: parameters.offline === true,
      ...(parameters.hostedDomain !== undefined && { hostedDomain: parameters.hostedDomain }),
      onEvent: ({ code }) => refusals.push(code),
    })
  return { pretend, ...(await begin('google', strategyFor, relay)) }
}

async function facebookWorld(fault?: PlainFault) {
  const relay = await startRelay()
  const pretend = await pretendFacebook({
    clients: [{ ...app, redirectUris: [`${relay.origin}/auth/facebook/callback`] }],
  })
  onTestFinished(() => pretend.close())
  pretend.misbehave(fault)
  const strategyFor = (accounts: Accounts, refusals: string[], callback: string) =>
    facebook({
      ...app,
      endpoints: pretend.endpoints,
      callback,
      account: accounts.find,
      onEvent: ({ code }) => refusals.push(code),
    })
  return { pretend, ...(await begin('facebook', strategyFor, relay)) }
}

/** Goes to the provider's page, and chooses there. */
async function choose(browser: TestBrowser, name: string, form: Record<string, string>): Promise<Response> {
  const page = await browser.fetch(`/auth/${name}`)
  const [, action = ''] = /action="([^"]+)"/.exec(await page.text()) ?? []
  return browser.fetch(new URL(action, page.url).href, { form })
}

async function whoCameBack(response: Response) {
  return (await response.json()) as { at: string; user: { name: string } | null }
}

afterEach(() => {
  vi.unstubAllEnvs()
})

describe('a pretend Google', () => {
  test('lets in whoever is chosen, by the claims of that person', async () => {
    const w = await googleWorld()
    const back = await whoCameBack(await choose(w.browser, 'google', { person: '102' }))
    expect(back.user?.name).toBe('Grace Hopper')
    expect(w.accounts.seen[0]?.identity).toMatchObject({
      issuer: w.pretend.issuer,
      subject: '102',
      email: 'grace@navy.example',
      emailVerified: true,
      emailAuthoritative: true,
      claims: { hd: 'navy.example' },
    })
  })

  test('knows mailboxes that it runs, mailboxes from elsewhere, and addresses that nobody verified', async () => {
    const w = await googleWorld()
    for (const person of ['101', '103', '104', '105']) await choose(w.site.browser(), 'google', { person })
    const said = w.accounts.seen.map(({ identity }) => [
      identity.email,
      identity.emailVerified,
      identity.emailAuthoritative,
    ])
    expect(said).toEqual([
      ['ada.lovelace@gmail.com', true, true],
      ['alan@bletchley.example', true, false],
      ['ada.lovelace@gmail.com', false, false],
      [undefined, false, false],
    ])
  })

  test('asks anew who somebody is, and takes another answer', async () => {
    const w = await googleWorld()
    await choose(w.browser, 'google', { person: '101' })
    expect((await whoCameBack(await choose(w.browser, 'google', { person: '103' }))).user?.name).toBe('Alan Turing')
    expect((await whoCameBack(await choose(w.browser, 'google', { person: '103' }))).user?.name).toBe('Alan Turing')
  })

  test('is refused where its organisation is not let in', async () => {
    const w = await googleWorld(undefined, { hostedDomain: 'navy.example' })
    expect((await choose(w.browser, 'google', { person: '101' })).url).toContain('/login?failure=')
    expect(w.refusals).toEqual(['ERR_OIDC_HOSTED_DOMAIN'])
  })

  test('says when somebody cancels', async () => {
    const w = await googleWorld()
    const back = await choose(w.browser, 'google', { cancel: 'yes' })
    expect(back.url).toContain('/login?failure=denied')
  })

  test.each([
    ['access-denied', 'ERR_OAUTH_DENIED'],
    ['server-error', 'ERR_OAUTH_UNAVAILABLE'],
    ['expired', 'ERR_OIDC_TIME'],
    ['wrong-audience', 'ERR_OIDC_AUDIENCE'],
    ['wrong-issuer', 'ERR_OIDC_ISSUER'],
    ['wrong-nonce', 'ERR_OIDC_NONCE'],
    ['bad-signature', 'ERR_OIDC_SIGNATURE'],
  ] as const)('set to %s is refused with %s, once', async (fault, code) => {
    const w = await googleWorld(fault)
    await choose(w.browser, 'google', { person: '101' })
    expect(w.refusals).toEqual([code])
    expect((await whoCameBack(await choose(w.browser, 'google', { person: '101' }))).user?.name).toBe('Ada Lovelace')
  })

  test('misbehaves as its page is told, and not if the page takes it back', async () => {
    const w = await googleWorld()
    await choose(w.browser, 'google', { person: '101', fault: 'wrong-nonce' })
    expect(w.refusals).toEqual(['ERR_OIDC_NONCE'])
    w.pretend.misbehave('wrong-nonce')
    const back = await choose(w.browser, 'google', { person: '101', fault: '' })
    expect((await whoCameBack(back)).user?.name).toBe('Ada Lovelace')
  })

  test('set to unverified-email says so of an address that is', async () => {
    const w = await googleWorld('unverified-email')
    await choose(w.browser, 'google', { person: '101' })
    expect(w.accounts.seen[0]?.identity).toMatchObject({ email: 'ada.lovelace@gmail.com', emailVerified: false })
  })

  test('set to down answers servers with 503 until a login has failed by it', async () => {
    const w = await googleWorld('down')
    expect((await w.browser.fetch('/auth/google')).url).toContain('failure=unavailable')
    w.pretend.misbehave()
    await choose(w.browser, 'google', { person: '101', fault: 'down' })
    expect(w.refusals).toEqual(['ERR_OAUTH_UNAVAILABLE', 'ERR_OAUTH_UNAVAILABLE'])
    expect((await whoCameBack(await choose(w.browser, 'google', { person: '101' }))).user).not.toBeNull()
  })

  test('set to slow takes longer than anybody waits', async () => {
    const w = await googleWorld()
    await choose(w.browser, 'google', { person: '101', fault: 'slow' })
    expect(w.refusals).toEqual(['ERR_OAUTH_UNAVAILABLE'])
  })

  test('gives a refresh token for offline access, which gives fresh tokens', async () => {
    const w = await googleWorld(undefined, { offline: true })
    await choose(w.browser, 'google', { person: '101' })
    const { refreshToken = '', accessToken } = w.accounts.seen[0]?.request.tokens ?? {}
    const strategy = w.site.auth.passport.strategy('google') as unknown as ReturnType<typeof google>
    const fresh = await strategy.refresh(refreshToken)
    expect(fresh.accessToken).not.toBe(accessToken)
    const { userinfo_endpoint: address } = await metadata(w.pretend.issuer)
    const person = await fetch(address ?? '', { headers: { authorization: `Bearer ${fresh.accessToken}` } })
    expect(await person.json()).toMatchObject({ sub: '101', email: 'ada.lovelace@gmail.com' })
  })

  test('signs with a new key when told, and logins go on', async () => {
    const w = await googleWorld()
    const before = await kids(w.pretend.issuer)
    await w.pretend.rotateKeys()
    expect(await kids(w.pretend.issuer)).toEqual([expect.any(String), ...before])
    expect((await whoCameBack(await choose(w.browser, 'google', { person: '101' }))).user).not.toBeNull()
  })

  test('logs out at the wish of the application, and tells it by the back channel', async () => {
    const w = await googleWorld()
    await choose(w.browser, 'google', { person: '101' })
    const { end_session_endpoint: address = '' } = await metadata(w.pretend.issuer)
    const page = await w.browser.fetch(`${address}?client_id=shop`)
    const text = await page.text()
    expect(text).toContain('Log out of Google')
    const [, xsrf = ''] = /name="xsrf" value="([^"]+)"/.exec(text) ?? []
    const done = await w.browser.fetch(`${address}/confirm`, { form: { xsrf, logout: 'yes' } })
    expect(await done.text()).toContain('You are logged out of Google.')
    expect(w.told).toEqual([expect.stringMatching(/^logout_token=ey/)])
  })
})

describe('a pretend Facebook', () => {
  test('lets in whoever is chosen, and verifies no address', async () => {
    const w = await facebookWorld()
    expect((await whoCameBack(await choose(w.browser, 'facebook', { person: '101' }))).user?.name).toBe('Ada Lovelace')
    expect(w.accounts.seen[0]?.identity).toMatchObject({
      issuer: 'https://www.facebook.com',
      subject: '101',
      email: 'ada.lovelace@gmail.com',
      emailVerified: false,
      familyName: 'Lovelace',
    })
  })

  test.each([
    ['access-denied', 'ERR_OAUTH_DENIED'],
    ['server-error', 'ERR_OAUTH_UNAVAILABLE'],
    ['down', 'ERR_OAUTH_UNAVAILABLE'],
    ['expired', 'ERR_OAUTH_IDENTITY'],
    ['wrong-audience', 'ERR_OAUTH_IDENTITY'],
  ] as const)('set to %s is refused with %s, once', async (fault, code) => {
    const w = await facebookWorld(fault)
    await choose(w.browser, 'facebook', { person: '101' })
    expect(w.refusals).toEqual([code])
    expect((await whoCameBack(await choose(w.browser, 'facebook', { person: '101' }))).user).not.toBeNull()
  })

  test('gives a token for a code once, to whoever has the secret and the verifier of the request', async () => {
    const { redirectUri, codeOf, exchange } = await facebookApp()
    const right = { client_secret: app.clientSecret, redirect_uri: redirectUri, code_verifier: VERIFIER }
    const code = await codeOf()
    expect((await exchange({ ...right, code })).status).toBe(200)
    expect((await exchange({ ...right, code })).status).toBe(400)
    for (const wrong of ['client_secret', 'redirect_uri', 'code_verifier']) {
      expect((await exchange({ ...right, [wrong]: 'another', code: await codeOf() })).status).toBe(400)
    }
  })

  test('sends nobody back to where the application is not', async () => {
    const { pretend } = await facebookApp()
    const query = new URLSearchParams({ client_id: 'shop', redirect_uri: 'https://evil.example/' })
    const page = await fetch(`${pretend.endpoints.web}/v23.0/dialog/oauth?${query}`)
    expect(page.status).toBe(400)
    expect(await page.text()).not.toContain('evil')
  })

  test('says who somebody is only with the proof of the secret', async () => {
    const { pretend, redirectUri, codeOf, exchange } = await facebookApp()
    const fields = { client_secret: app.clientSecret, redirect_uri: redirectUri, code_verifier: VERIFIER }
    const { access_token: token } = (await (await exchange({ ...fields, code: await codeOf() })).json()) as {
      access_token: string
    }
    const me = (proof: string) =>
      fetch(`${pretend.endpoints.graph}/v23.0/me?appsecret_proof=${proof}`, {
        headers: { authorization: `Bearer ${token}` },
      })
    expect((await me('0'.repeat(64))).status).toBe(400)
    const proof = createHmac('sha256', app.clientSecret).update(token).digest('hex')
    expect(await (await me(proof)).json()).toMatchObject({ id: '101', name: 'Ada Lovelace' })
  })
})

const VERIFIER = 'a-verifier-of-forty-three-characters-or-more'

/** Facebook, and an application that speaks to it by hand. */
async function facebookApp() {
  const redirectUri = 'http://127.0.0.1:9/auth/facebook/callback'
  const pretend = await pretendFacebook({ clients: [{ ...app, redirectUris: [redirectUri] }] })
  onTestFinished(() => pretend.close())
  const { web, graph } = pretend.endpoints
  const codeOf = async () => {
    const challenge = createHash('sha256').update(VERIFIER).digest('base64url')
    const query = new URLSearchParams({ client_id: 'shop', redirect_uri: redirectUri, code_challenge: challenge })
    const page = await (await fetch(`${web}/v23.0/dialog/oauth?${query}`)).text()
    const [, action = ''] = /action="([^"]+)"/.exec(page) ?? []
    const body = new URLSearchParams({ person: '101' })
    const back = await fetch(web + action, { method: 'POST', body, redirect: 'manual' })
    return new URL(back.headers.get('location') ?? '').searchParams.get('code') ?? ''
  }
  const exchange = (form: Record<string, string>) => {
    const body = new URLSearchParams({ client_id: 'shop', ...form })
    return fetch(`${graph}/v23.0/oauth/access_token`, { method: 'POST', body })
  }
  return { pretend, redirectUri, codeOf, exchange }
}

describe('every pretend provider', () => {
  test('any OpenID provider can be pretended', async () => {
    const relay = await startRelay()
    const clients = [{ ...app, redirectUris: [`${relay.origin}/auth/acme/callback`] }]
    const pretend = await pretendOpenId({ clients, label: 'Acme', people: [{ id: 'x', name: 'Xenia' }] })
    onTestFinished(() => pretend.close())
    const w = await begin(
      'acme',
      (accounts, _refusals, callback) =>
        oidc({ ...app, name: 'acme', issuer: pretend.issuer, callback, account: accounts.find }),
      relay,
    )
    expect((await whoCameBack(await choose(w.browser, 'acme', { person: 'x' }))).user?.name).toBe('Xenia')
  })

  test('says that it is one, loads nothing from elsewhere, and allows no script', async () => {
    const w = await googleWorld()
    const page = await w.browser.fetch('/auth/google')
    const text = await page.text()
    expect(text).toContain('This is a <strong>pretend Google</strong> on this machine.')
    expect(text).not.toMatch(/<script|src=|https:\/\//)
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'nonce-/)
  })

  test('starts in production under no circumstances, and listens on this machine alone', async () => {
    const options = { clients: [{ ...app, redirectUris: ['http://127.0.0.1:9/'] }] }
    const pretend = await pretendFacebook(options)
    onTestFinished(() => pretend.close())
    expect(new URL(pretend.origin).hostname).toBe('127.0.0.1')
    // Whoever listens on all addresses answers at this one, too.
    await expect(fetch(pretend.origin.replace('127.0.0.1', '127.0.0.2'))).rejects.toThrow()
    vi.stubEnv('NODE_ENV', 'production')
    for (const start of [pretendGoogle, pretendFacebook, pretendOpenId]) {
      await expect(start(options)).rejects.toMatchObject({ code: 'ERR_OAUTH_OPTIONS' })
    }
  })

  test('has nothing to warn of', async () => {
    const warn = vi.spyOn(console, 'warn')
    const info = vi.spyOn(console, 'info')
    const w = await googleWorld()
    await choose(w.browser, 'google', { person: '101' })
    expect([...warn.mock.calls, ...info.mock.calls]).toEqual([])
    vi.restoreAllMocks()
  })
})

async function metadata(issuer: string): Promise<Record<string, string>> {
  return (await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()) as Record<string, string>
}

async function kids(issuer: string): Promise<string[]> {
  const { jwks_uri: address = '' } = await metadata(issuer)
  const { keys } = (await (await fetch(address)).json()) as { keys: { kid: string }[] }
  return keys.map(({ kid }) => kid)
}
