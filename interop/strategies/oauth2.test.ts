import { request } from 'node:http'
import express from 'express'
import { fromPassport, type LegacyStrategy } from 'gatepass/compat/legacy-strategy'
import { gatepass } from 'gatepass/express'
import { memoryStore } from 'gatepass/stores/memory'
import { describe, expect, test, vi } from 'vitest'
import { type FakeOAuth2, fakeOAuth2 } from './fake-oauth2.ts'
import { hosts, listen, type MakeStrategy, require } from './site.ts'

type Done = (error: unknown, user?: unknown) => void
interface Profile {
  readonly id: string
  readonly displayName?: string
  readonly emails?: readonly { readonly value: string }[]
}

/** A strategy of the passport-oauth2 family at the fake provider, with further options of an application. */
function made(name: string, provider: FakeOAuth2, further: object = { state: true }): MakeStrategy {
  return ({ origin, known }) => {
    const { Strategy } = require(name)
    const options = {
      clientID: 'us',
      clientSecret: 'secret',
      callbackURL: `${origin}/login`,
      authorizationURL: `${provider.origin}/authorize`,
      tokenURL: `${provider.origin}/token`,
      userProfileURL: `${provider.origin}/profile`,
      profileURL: `${provider.origin}/profile`,
      userEmailURL: `${provider.origin}/emails`,
      ...further,
    }
    return new Strategy(
      options,
      (_access: string, _refresh: string, { id = 'ada', displayName, emails }: Profile, done: Done) =>
        done(null, known({ id, ...(displayName && { displayName }), ...(emails && { email: emails[0]?.value }) })),
    )
  }
}

const github = { id: 1, login: 'ada', name: 'Ada', email: 'ada@example.org' }
const google = { sub: '1', name: 'Ada', email: 'ada@example.org', email_verified: true }
const facebook = { id: '1', name: 'Ada', email: 'ada@example.org' }

describe.each(hosts)('%s', (hostName, host) => {
  test.each([
    ['passport-oauth2', {}, { id: 'ada' }],
    ['passport-google-oauth20', google, { id: '1', displayName: 'Ada', email: 'ada@example.org' }],
    ['passport-github2', github, { id: '1', displayName: 'Ada', email: 'ada@example.org' }],
    ['passport-facebook', facebook, { id: '1', displayName: 'Ada', email: 'ada@example.org' }],
  ])('%s logs in at a provider and comes back', async (name, profile, person) => {
    const provider = await fakeOAuth2(profile)
    const further = { state: true, scope: ['profile'], profileFields: ['id', 'displayName', 'email'] }
    const browser = await host(made(name, provider, further))
    expect(await (await browser.fetch('/login')).json()).toMatchObject(person)
    expect(await (await browser.fetch('/me')).json()).toMatchObject(person)
    expect(provider.asked[0]?.scope).toContain('profile')
  })

  test('PKCE reaches the provider and comes back', async () => {
    const provider = await fakeOAuth2({})
    const browser = await host(made('passport-oauth2', provider, { state: true, pkce: true }))
    expect((await browser.fetch('/login')).status).toBe(200)
    expect(provider.asked[0]?.code_challenge_method).toBe('S256')
  })

  test('with `state: true`, a callback that this browser did not ask for is refused', async () => {
    const provider = await fakeOAuth2({})
    const mallory = await host(made('passport-oauth2', provider))
    const begun = await mallory.fetch('/login', { manual: true })
    const callback = await fetch(begun.headers.get('location') ?? '', { redirect: 'manual' })
    const victim = mallory.clone()
    victim.jar.clear()
    expect((await victim.fetch(callback.headers.get('location') ?? '')).status).toBe(403)
    expect(await (await victim.fetch('/me')).json()).toBeNull()
  })

  test('who says no at the provider is refused', async () => {
    const browser = await host(made('passport-oauth2', await fakeOAuth2({})))
    const response = await browser.fetch('/login?error=access_denied&error_description=No')
    expect(response.status).toBe(401)
  })

  test('a provider that is down is an error', async () => {
    const browser = await host(made('passport-oauth2', { origin: 'http://127.0.0.1:1', asked: [] }, {}))
    const { status } = await browser.fetch('/login?code=1')
    // fromPassport() adds a state, and refuses the unknown callback before it asks the provider.
    expect(status).toBe(hostName.startsWith('fromPassport') ? 403 : 500)
  })
})

const [[, passport], [, dropIn], [, native]] = hosts as [
  (typeof hosts)[number],
  (typeof hosts)[number],
  (typeof hosts)[number],
]

test('without `state`, the drop-in does as Passport does, and warns once', async () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const provider = await fakeOAuth2({})
  for (const host of [passport, dropIn]) {
    const browser = await host(made('passport-oauth2', provider, {}))
    expect((await browser.fetch('/login')).status).toBe(200)
    expect((await browser.fetch('/login')).status).toBe(200)
  }
  expect(provider.asked.filter(({ state }) => state !== undefined)).toEqual([])
  const codes = warn.mock.calls.map(([, options]) => (options as { code?: string } | undefined)?.code)
  expect(codes.filter((code) => code === 'GATEPASS_OAUTH_STATE')).toHaveLength(1)
  warn.mockRestore()
})

test('without `state`, fromPassport() adds state and PKCE, and refuses a callback it did not ask for', async () => {
  const provider = await fakeOAuth2({})
  const browser = await native(made('passport-oauth2', provider, {}))
  expect((await browser.fetch('/login')).status).toBe(200)
  expect(provider.asked[0]).toMatchObject({ state: expect.any(String), code_challenge_method: 'S256' })
  const begun = await browser.fetch('/login', { manual: true })
  const callback = await fetch(begun.headers.get('location') ?? '', { redirect: 'manual' })
  const victim = browser.clone()
  victim.jar.clear()
  expect((await victim.fetch(callback.headers.get('location') ?? '')).status).toBe(403)
  expect((await browser.fetch('/login?code=1&state=made-up')).status).toBe(403)
})

/** What a bundler makes of the store of passport-oauth2 that checks nothing: the same functions under another name. */
class Minified {
  store(_req: object, done: Done): void {
    done(null)
  }
  verify(_req: object, _state: string, done: Done): void {
    done(null, true)
  }
}

test('fromPassport() gives a state to a strategy whose store accepts any, whatever its class is called', async () => {
  const provider = await fakeOAuth2({})
  const browser = await native(async (site) => {
    const strategy = await made('passport-oauth2', provider, {})(site)
    return Object.assign(strategy, { _stateStore: new Minified() })
  })
  expect((await browser.fetch('/login?code=1&state=made-up')).status).toBe(403)
  expect((await browser.fetch('/login')).status).toBe(200)
  expect(provider.asked[0]).toMatchObject({ state: expect.any(String), code_challenge_method: 'S256' })
})

test('fromPassport() leaves a store of the application alone that checks the state', async () => {
  const provider = await fakeOAuth2({})
  const store = {
    store: (_req: object, done: Done) => done(null, 'of the application'),
    verify: (_req: object, state: string, done: Done) => done(null, state === 'of the application'),
  }
  const browser = await native(made('passport-oauth2', provider, { store }))
  expect((await browser.fetch('/login')).status).toBe(200)
  expect(provider.asked[0]?.state).toBe('of the application')
  expect((await browser.fetch('/login?code=1&state=made-up')).status).toBe(403)
})

test('without `state`, a second tab that begins a login leaves that of the first alone in fromPassport()', async () => {
  const browser = await native(made('passport-oauth2', await fakeOAuth2({}), {}))
  const first = await browser.fetch('/login', { manual: true })
  await browser.fetch('/login', { manual: true })
  expect((await browser.fetch(first.headers.get('location') ?? '')).status).toBe(200)
})

test('a state of the application is kept from the provider, and comes back with the user', async () => {
  const provider = await fakeOAuth2({})
  const browser = await native(made('passport-oauth2', provider, {}), { authenticate: { state: 'cart-7' } })
  expect((await browser.fetch('/login')).status).toBe(200)
  expect(provider.asked[0]?.state).not.toBe('cart-7')
})

test('without `state`, fromPassport() refuses a strategy that it cannot give one', async () => {
  const provider = await fakeOAuth2({})
  const browser = await native((site) => {
    const { Strategy } = require('passport-oauth2')
    const Base = Strategy as new (options: object, verify: unknown) => LegacyStrategy
    class WithPrivateMembers extends Base {
      readonly #realm = 'here'
      authorizationParams(): object {
        return { realm: this.#realm }
      }
    }
    const { _callbackURL, _verify } = made('passport-oauth2', provider, {})(site) as never as Record<string, never>
    const urls = { authorizationURL: `${provider.origin}/authorize`, tokenURL: `${provider.origin}/token` }
    return new WithPrivateMembers({ clientID: 'us', callbackURL: _callbackURL, ...urls }, _verify)
  })
  expect(await (await browser.fetch('/login')).json()).toEqual({
    error: 'Strategy "oauth2" checks no state, and cannot be given one',
  })
  expect(provider.asked).toEqual([])
})

test('fromPassport() makes a relative callbackURL whole by `origin`, and not by what Host and proxies say', async () => {
  const provider = await fakeOAuth2({})
  const known = () => ({ id: 'ada' })
  const strategy = await made('passport-oauth2', provider, { state: true, callbackURL: '/back', proxy: true })({
    origin: '',
    known,
  })
  const auth = gatepass({
    ...{ origin: 'https://app.example', sessions: { store: memoryStore() } },
    users: { find: (id: string) => ({ id }), subject: (user) => user.id },
    strategies: [fromPassport(strategy, { name: 'it' })],
  })
  const app = express().set('trust proxy', true)
  app.use(auth).get('/login', auth.login('it'))
  const at = new URL('/login', await listen(app))
  const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'http' }
  const location = await new Promise<string>((resolve) => {
    request(at, { headers }, (res) => resolve(res.headers.location ?? '')).end()
  })
  expect(new URL(location).searchParams.get('redirect_uri')).toBe('https://app.example/back')
})
