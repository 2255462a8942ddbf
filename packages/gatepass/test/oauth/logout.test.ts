/** Logout at the provider: that we ask for, and that it tells us of. */

import { StoreError } from 'gatepass'
import { oidc } from 'gatepass/strategies/oidc'
import { TestExchange, testClock } from 'gatepass/testing'
import { describe, expect, test, vi } from 'vitest'
import { hooksOf } from '../../src/session/hooks.ts'
import { CLIENT_ID, CLIENT_SECRET, codeFor, type Lies, lyingProvider } from './lying-provider.ts'
import { origin, Visited, type Visitor } from './visitor.ts'

const event = 'http://schemas.openid.net/event/backchannel-logout'

async function world() {
  const clock = testClock(Date.now())
  const provider = await lyingProvider(clock)
  const app = new Visited(
    (accounts) =>
      oidc({
        ...{ name: 'acme', issuer: provider.issuer, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, clock },
        callback: '/auth/acme/callback',
        account: accounts.find,
      }),
    clock,
  )
  const logIn = async (sid: string | undefined, browser: Visitor = app.browser()) => {
    provider.lies.claims = { sid }
    const url = await browser.begin()
    await browser.back({ state: url.searchParams.get('state') ?? '', code: codeFor(url) })
    return browser
  }
  /** The provider tells; what is `undefined` is left out. */
  const tell = async (claims?: Record<string, unknown>, lies?: Lies) => {
    const logout_token = await sign(claims, lies)
    return { logout_token, answer: await send(logout_token) }
  }
  const sign = async (claims: Record<string, unknown> = {}, lies: Lies = {}) => {
    const honest = { events: { [event]: {} }, jti: Math.random().toString(), email: undefined, name: undefined }
    Object.assign(provider.lies, { claims: { ...honest, ...claims }, header: { typ: 'logout+jwt' } }, lies)
    const logout_token = await provider.idToken({})
    provider.lies.header = {}
    return logout_token
  }
  const send = async (logout_token: string) => {
    const exchange = new TestExchange({ method: 'POST', target: '/logout/acme', fields: { logout_token } })
    return app.gatepass.backChannelLogout(exchange, 'acme', {
      subject: ({ issuer, subject }) => app.accounts.byIdentity.get(JSON.stringify([issuer, subject ?? 'ada'])),
    })
  }
  const isIn = async (browser: Visitor) => (await browser.login({ target: '/auth/acme' })).subject !== undefined
  return {
    clock,
    provider,
    app,
    logIn,
    tell,
    sign,
    send,
    isIn,
    [Symbol.asyncDispose]: () => provider[Symbol.asyncDispose](),
  }
}

describe('ASVS 10.5.5: a logout token', () => {
  test('ends the sessions of the login that it names, and no others', async () => {
    await using w = await world()
    const [one, other] = [await w.logIn('first'), await w.logIn('second')]
    expect((await w.tell({ sid: 'first' })).answer.status).toBe(200)
    expect([await w.isIn(one), await w.isIn(other)]).toEqual([false, true])
  })

  test('that names a person ends all of their logins by this provider', async () => {
    await using w = await world()
    const browsers = [await w.logIn('first'), await w.logIn(undefined)]
    const byPassword = w.app.browser()
    const exchange = byPassword.jar.exchange()
    const user = [...w.app.accounts.byId.values()][0]
    if (user === undefined) throw new Error('nobody logged in')
    await w.app.gatepass.passport.login(exchange, { type: 'success', user, strategy: 'local' })
    await w.app.gatepass.sessions.commit(exchange)
    byPassword.jar.receive(exchange)
    await w.tell()
    expect([...(await Promise.all(browsers.map(w.isIn))), await w.isIn(byPassword)]).toEqual([false, false, true])
  })

  test.each<[string, (w: Awaited<ReturnType<typeof world>>, tell: () => Promise<unknown>) => void]>([
    [
      'before the code is redeemed',
      (w, tell) => {
        w.provider.lies.token = async (token) => {
          await tell()
          return token
        }
      },
    ],
    [
      'while the account is looked up',
      (w, tell) => {
        w.app.accounts.beforeWriting = tell
      },
    ],
    [
      'just after the login has looked for it',
      (w, tell) => {
        const hooks = hooksOf(w.app.gatepass.sessions)
        const { noted } = hooks
        vi.spyOn(hooks, 'noted').mockImplementation(async (id) => {
          const found = await noted(id)
          // What else is looked for is there: the key of the flows.
          if (found === undefined) await tell()
          return found
        })
      },
    ],
  ])('ends the login that it names also if it comes %s', async (_when, arrange) => {
    await using w = await world()
    await w.logIn('earlier')
    const logout_token = await w.sign({ sid: 'first' })
    let told = false
    arrange(w, async () => {
      if (told) return
      told = true
      await w.send(logout_token)
    })
    const browser = await w.logIn('first')
    expect(await w.isIn(browser)).toBe(false)
    expect(await w.isIn(await w.logIn('second'))).toBe(true)
  })

  test.each([
    [
      { success: '/', failure: '/login' },
      { status: 303, location: '/login?failure=expired' },
    ],
    [
      { success: '/', failure: undefined },
      { status: 401, location: undefined },
    ],
    [
      { success: undefined, failure: undefined },
      { status: 401, location: undefined },
    ],
  ])('that comes before the login is kept is told to the browser: %j', async (route, answer) => {
    await using w = await world()
    await w.logIn('earlier')
    const logout_token = await w.sign({ sid: 'first' })
    const browser = w.app.browser()
    w.provider.lies.claims = { sid: 'first' }
    const url = await browser.begin()
    let sent = false
    w.app.accounts.beforeWriting = async () => {
      if (!sent) await w.send(logout_token)
      sent = true
    }
    const { pathname } = new URL('/auth/acme/callback', origin)
    const callback = { state: url.searchParams.get('state') ?? '', code: codeFor(url) }
    const request = { target: `${pathname}?${new URLSearchParams(callback)}` }
    const { success, failure } = route
    expect(
      await browser.through(request, {
        ...(success !== undefined && { success }),
        ...(failure !== undefined && { failure }),
      }),
    ).toMatchObject({ ...answer, subject: undefined })
  })

  test('that names only a login ends it', async () => {
    await using w = await world()
    const browser = await w.logIn('first')
    await w.tell({ sid: 'first', sub: undefined })
    expect(await w.isIn(browser)).toBe(false)
  })

  const now = () => Math.floor(Date.now() / 1000)
  test.each<[string, string, Record<string, unknown>, Lies]>([
    ['that is an ID token', 'ERR_OIDC_LOGOUT_TOKEN', {}, { header: { typ: 'JWT' } }],
    ['of no type', 'ERR_OIDC_LOGOUT_TOKEN', {}, { header: {} }],
    ['without the event', 'ERR_OIDC_LOGOUT_TOKEN', { events: {} }, {}],
    ['whose event is text', 'ERR_OIDC_LOGOUT_TOKEN', { events: { [event]: 'yes' } }, {}],
    ['with a nonce', 'ERR_OIDC_LOGOUT_TOKEN', { nonce: 'x' }, {}],
    ['without a jti', 'ERR_OIDC_LOGOUT_TOKEN', { jti: undefined }, {}],
    ['about nothing', 'ERR_OIDC_LOGOUT_TOKEN', { sub: undefined }, {}],
    ['of three minutes ago', 'ERR_OIDC_LOGOUT_TOKEN', { iat: now() - 180 }, {}],
    ['that has expired', 'ERR_OIDC_TIME', { exp: now() - 60 }, {}],
    ['of another issuer', 'ERR_OIDC_ISSUER', { iss: 'https://evil.example' }, {}],
    ['for another application', 'ERR_OIDC_AUDIENCE', { aud: 'other' }, {}],
    ['that was changed', 'ERR_OIDC_SIGNATURE', {}, { token: (honest) => `${honest.slice(0, -8)}AAAAAAAA` }],
  ])('%s ends nothing: %s', async (_what, code, claims, lies) => {
    await using w = await world()
    const browser = await w.logIn('first')
    await expect(w.tell(claims, lies)).rejects.toMatchObject({ code, status: 400 })
    expect(await w.isIn(browser)).toBe(true)
  })

  test('counts once, and for logins from before it', async () => {
    await using w = await world()
    await w.logIn('first')
    const { logout_token } = await w.tell()
    await expect(w.send(logout_token)).rejects.toMatchObject({ code: 'ERR_OIDC_LOGOUT_TOKEN' })
    const issued = Math.floor(w.clock() / 1000)
    w.clock.advance(60)
    const later = await w.logIn('first')
    await w.tell({ iat: issued })
    expect(await w.isIn(later)).toBe(true)
  })

  test('that could not be obeyed is obeyed when the provider sends it again, and once', async () => {
    await using w = await world()
    const browser = await w.logIn('first')
    const logout_token = await w.sign()
    const unavailable = new StoreError('ERR_STORE_UNAVAILABLE', 'down')
    vi.spyOn(w.app.store, 'remove').mockImplementationOnce(() => {
      throw unavailable
    })
    await expect(w.send(logout_token)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    expect(await w.isIn(browser)).toBe(true)
    expect((await w.send(logout_token)).status).toBe(200)
    expect(await w.isIn(browser)).toBe(false)
    await expect(w.send(logout_token)).rejects.toMatchObject({ code: 'ERR_OIDC_LOGOUT_TOKEN' })
  })

  test('about an account whose subject is no text is an error, so that the provider sends it again', async () => {
    await using w = await world()
    const logout_token = await w.sign()
    const send = (subject: unknown) => {
      const exchange = new TestExchange({ method: 'POST', target: '/logout/acme', fields: { logout_token } })
      return w.app.gatepass.backChannelLogout(exchange, 'acme', { subject: () => subject as string })
    }
    for (const subject of ['', 0]) {
      await expect(send(subject)).rejects.toMatchObject({ code: 'ERR_PASSPORT_SUBJECT' })
    }
    expect((await send(null)).status).toBe(200)
  })

  test('is taken by POST', async () => {
    await using w = await world()
    const exchange = new TestExchange({ method: 'GET', target: '/logout/acme' })
    const reply = await w.app.gatepass.backChannelLogout(exchange, 'acme', { subject: () => undefined })
    expect(reply.status).toBe(405)
  })
})

describe('logging out at the provider', () => {
  const post = { method: 'POST', target: '/logout', headers: { 'sec-fetch-site': 'same-origin', origin } }

  test('sends the browser there and back, and ends the session here', async () => {
    await using w = await world()
    const browser = await w.logIn('first')
    const exchange = browser.jar.exchange(post)
    const reply = await w.app.gatepass.logout(exchange, { success: '/bye', atProvider: true })
    await w.app.gatepass.sessions.commit(exchange)
    browser.jar.receive(exchange)
    const location = new URL(String(reply.headers.location))
    expect(location.pathname).toBe('/logout')
    expect(Object.fromEntries(location.searchParams)).toEqual({
      client_id: CLIENT_ID,
      logout_hint: 'first',
      post_logout_redirect_uri: `${origin}/bye`,
    })
    expect(await w.isIn(browser)).toBe(false)
  })

  test('goes no further than here where the provider knows no such thing, or the login is no provider’s', async () => {
    for (const end_session_endpoint of [undefined, 'javascript:alert(1)', 'http://evil.example/']) {
      await using w = await world()
      w.provider.lies.metadata = { end_session_endpoint }
      const browser = await w.logIn('first')
      const exchange = browser.jar.exchange(post)
      const reply = await w.app.gatepass.logout(exchange, { success: '/bye', atProvider: true })
      expect(reply.headers.location).toBe('/bye')
    }
    await using w = await world()
    const nobody = await w.app.gatepass.logout(new TestExchange(post), { success: '/bye', atProvider: true })
    expect(nobody.headers.location).toBe('/bye')
  })
})
