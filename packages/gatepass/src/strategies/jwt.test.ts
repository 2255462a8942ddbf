import { Gatepass, type GatepassOptions } from 'gatepass/passport'
import { memoryStore } from 'gatepass/stores/memory'
import { jwt, type OwnJwtOptions } from 'gatepass/strategies/jwt'
import { TestExchange, TestJar, type TestRequest, testClock } from 'gatepass/testing'
import { accessTokens, memorySigningKeyStore, refreshTokens, signingKeys } from 'gatepass/tokens'
import { describe, expect, test, vi } from 'vitest'
import { generateSigningJwk } from '../crypto/signature.ts'
import { publicJwk } from '../protocols/jwt/jwk.ts'
import { hooksOf } from '../session/hooks.ts'

interface User {
  id: string
}

const issuer = 'https://login.example'
const audience = 'https://api.example'
const origin = 'https://app.example'
const secret = 'a key of more than 32 characters, to seal with'

/** An application that takes cookies and tokens on the same routes. */
function world(jwtOptions: Partial<OwnJwtOptions<User>> = {}, options: Partial<GatepassOptions<User, 'jwt'>> = {}) {
  const clock = testClock()
  const store = memoryStore({ clock })
  const users = new Map<string, User & { password: string }>()
  for (const id of ['alice', 'bob']) users.set(id, { id, password: 'old' })
  const keys = signingKeys({ store: memorySigningKeyStore(), keys: [secret], clock })
  const account = (claims: { sub: string }) => users.get(claims.sub)
  const strategy = jwt<User>({ keys, issuer, audience, account, clock, ...jwtOptions })
  const accounts = {
    find: (id: string) => users.get(id),
    subject: (user: User) => user.id,
    stamp: (user: User) => users.get(user.id)?.password ?? '',
  }
  const auth = new Gatepass<User, 'jwt'>(
    {
      sessions: { store, clock },
      users: accounts,
      strategies: [strategy],
      bearer: 'jwt',
      clock,
      ...options,
    },
    [origin],
  )
  const tokens = accessTokens({ keys, issuer, audience, clock })
  const refresh = refreshTokens({ sessions: auth.sessions, users: accounts, keys: [secret], clock })
  const jar = new TestJar()

  const login = async (id = 'alice', browser = jar) => {
    const exchange = browser.exchange()
    await auth.passport.login(exchange, { type: 'success', user: { id }, amr: ['pwd'] })
    await auth.sessions.commit(exchange)
    browser.receive(exchange)
  }
  /** A token of the browser's own session, as a route of the application makes one. */
  const mint = async (browser = jar, scope?: readonly string[]) => {
    const session = await auth.sessions.open(browser.exchange())
    const { token } = await tokens.issue({
      subject: session.subject ?? '',
      id: session.id,
      login: session.login,
      ...(scope && { scope }),
    })
    return token
  }
  const bearing = (token: string, request: TestRequest = {}) =>
    new TestExchange({ ...request, headers: { authorization: `Bearer ${token}`, ...request.headers } })
  /** What a request sees: whose it is, and what the guard answers. */
  const visit = async (exchange: TestExchange, guard: Parameters<typeof auth.requireLogin>[1] = {}) => {
    await auth.admit(exchange)
    const refusal = await auth.requireLogin(exchange, guard)
    const user = await auth.passport.user(exchange)
    const session = await auth.sessions.open(exchange)
    await auth.sessions.commit(exchange)
    return { user, session, refusal, challenge: String(refusal?.headers['www-authenticate']) }
  }
  return { clock, store, users, keys, auth, tokens, refresh, jar, login, mint, bearing, visit }
}

describe('a session can be had by cookie or by token on the same route', () => {
  test('user, session and its data are the same either way', async () => {
    const { jar, login, mint, bearing, visit, auth } = world()
    await login()
    const exchange = jar.exchange()
    const session = await auth.sessions.open(exchange)
    Object.assign(session.data, { cart: ['book'] })
    await auth.sessions.commit(exchange)
    for (const request of [jar.exchange(), bearing(await mint())]) {
      const seen = await visit(request)
      expect(seen).toMatchObject({ user: { id: 'alice' }, refusal: undefined })
      expect(seen.session).toMatchObject({ subject: 'alice', data: { cart: ['book'] }, login: { amr: ['pwd'] } })
    }
  })

  test('what a request with a token changes, one with the cookie sees, and no cookie is set', async () => {
    const { jar, login, mint, bearing, auth, clock } = world()
    await login()
    clock.advance(120)
    const exchange = bearing(await mint(), { method: 'POST' })
    await auth.admit(exchange)
    const session = await auth.sessions.open(exchange)
    Object.assign(session.data, { cart: ['book'] })
    session.rotate()
    await auth.sessions.commit(exchange)
    expect(exchange.cookies.setCookieFields()).toEqual([])
    expect((await auth.sessions.open(jar.exchange())).data).toEqual({ cart: ['book'] })
  })

  test('7.4.1: a token is refused at once when its session is logged out, by cookie or by a token', async () => {
    const { jar, login, mint, bearing, visit, auth } = world()
    for (const [first, second] of [
      [() => jar.exchange(), (token: string) => bearing(token)],
      [(token: string) => bearing(token), () => jar.exchange()],
    ] as const) {
      await login()
      const token = await mint()
      expect((await visit(bearing(token))).user).toEqual(expect.objectContaining({ id: 'alice' }))
      const exchange = first(token)
      await auth.admit(exchange)
      await auth.passport.logout(exchange)
      await auth.sessions.commit(exchange)
      if (exchange.header('cookie') === undefined) expect(exchange.cookies.setCookieFields()).toEqual([])
      expect((await visit(second(token))).user).toBeUndefined()
      expect((await visit(bearing(token))).challenge).toBe(
        'Bearer realm="api", error="invalid_token", error_description="The session of this token has ended."',
      )
    }
  })

  test('a token of a session that got a new id a moment ago is refused, and one of the new id is taken', async () => {
    const { jar, login, mint, bearing, visit, auth } = world()
    await login()
    const before = await mint()
    const exchange = jar.exchange()
    ;(await auth.sessions.open(exchange)).rotate()
    await auth.sessions.commit(exchange)
    jar.receive(exchange)
    expect((await visit(bearing(before))).challenge).toContain('The session of this token has ended.')
    expect((await visit(bearing(await mint()))).user).toEqual(expect.objectContaining({ id: 'alice' }))
  })

  test('attack 86: logout everywhere ends tokens and refresh tokens at once', async () => {
    const { login, mint, bearing, visit, auth, refresh, jar } = world()
    await login()
    const token = await mint()
    const session = await auth.sessions.open(jar.exchange())
    const family = await refresh.begin(new TestExchange(), { subject: 'alice', login: session.login })
    await auth.sessions.revokeAll('alice')
    expect((await visit(bearing(token))).refusal?.status).toBe(401)
    expect(await refresh.refresh(new TestExchange(), family.token)).toMatchObject({ type: 'refused' })
  })

  test('7.2.4: a new login of the browser ends the tokens of the session before it', async () => {
    const { login, mint, bearing, visit } = world()
    await login()
    const token = await mint()
    await login('bob')
    expect((await visit(bearing(token))).refusal?.status).toBe(401)
  })

  test('7.4.2: a changed password or a deleted account ends tokens, and those of refresh tokens', async () => {
    const { login, mint, bearing, visit, users, auth, refresh, tokens, jar } = world()
    await login()
    const session = await auth.sessions.open(jar.exchange())
    const family = await refresh.begin(new TestExchange(), { subject: 'alice', login: session.login })
    const both = [await mint(), (await tokens.issue(family)).token]
    for (const token of both) expect((await visit(bearing(token))).refusal).toBeUndefined()
    users.set('alice', { id: 'alice', password: 'new' })
    for (const token of both) expect((await visit(bearing(token))).refusal?.status).toBe(401)
    users.set('alice', { id: 'alice', password: 'old' })
    users.delete('alice')
    for (const token of both) expect((await visit(bearing(token))).refusal?.status).toBe(401)
  })

  test.each([
    ['changed password', (users: Map<string, unknown>) => users.set('alice', { id: 'alice', password: 'new' })],
    ['deleted account', (users: Map<string, unknown>) => users.delete('alice')],
  ])('7.4.2: a %s ends the refresh tokens from before', async (_, change) => {
    const { login, users, auth, refresh, jar } = world()
    await login()
    const { login: proof } = await auth.sessions.open(jar.exchange())
    const { token, id } = await refresh.begin(new TestExchange(), { subject: 'alice', login: proof })
    const next = await refresh.refresh(new TestExchange(), token)
    if (next.type === 'refused') throw new Error(next.reason)
    const before = users.get('alice')
    change(users)
    expect(await refresh.refresh(new TestExchange(), next.token)).toEqual({ type: 'refused', reason: 'ended' })
    expect(await hooksOf(auth.sessions).record(id)).toBeUndefined()
    if (before !== undefined) users.set('alice', before)
    expect(await refresh.refresh(new TestExchange(), next.token)).toEqual({ type: 'refused', reason: 'ended' })
  })

  test('a token that names the session of somebody else is refused', async () => {
    const { login, auth, jar, tokens, bearing, visit, store } = world()
    await login()
    const { id } = await auth.sessions.open(jar.exchange())
    expect((await visit(bearing((await tokens.issue({ subject: 'bob', id })).token))).refusal?.status).toBe(401)
    const invented = await tokens.issue({ subject: 'bob', id: '../x' as never })
    const load = vi.spyOn(store, 'load')
    expect((await visit(bearing(invented.token))).refusal?.status).toBe(401)
    expect(load, 'what is no session id is not looked up').not.toHaveBeenCalled()
  })

  test('10.3.3: the same subject of another issuer is another person, whoever’s keys signed', async () => {
    const partner = 'https://partner.example'
    const { keys, clock, tokens, bearing } = world()
    const of = (claims: { iss: string; sub: string }) => ({ id: `${claims.sub} of ${claims.iss}` })
    const auth = new Gatepass<User, 'jwt' | 'partner'>(
      {
        sessions: { store: memoryStore({ clock }) },
        users: { find: (id) => ({ id }), subject: (user) => user.id },
        strategies: [
          jwt<User>({ keys, issuer, audience, clock, account: () => ({ id: 'alice' }) }),
          jwt<User, 'partner'>({ name: 'partner', keys, issuer: partner, audience, clock, account: of }),
        ],
        bearer: ['jwt', 'partner'],
      },
      [origin],
    )
    const theirs = accessTokens({ keys, issuer: partner, audience, clock })
    const seen = []
    for (const issuing of [tokens, theirs]) {
      const exchange = bearing((await issuing.issue({ subject: 'alice' })).token)
      await auth.admit(exchange)
      seen.push(await auth.passport.user(exchange))
    }
    expect(seen).toEqual([{ id: 'alice' }, { id: `alice of ${partner}` }])
  })

  test('with both, the token decides, and the cookie is not looked at', async () => {
    const { jar, login, mint, bearing, visit } = world()
    const other = new TestJar()
    await login('alice')
    await login('bob', other)
    const cookie = jar.exchange().cookies.raw('__Host-Http-gp')
    const both = (token: string) => bearing(token, { headers: { cookie: `__Host-Http-gp=${cookie}` } })
    expect((await visit(both(await mint(other)))).user).toMatchObject({ id: 'bob' })
    const seen = await visit(both('nonsense'))
    expect(seen).toMatchObject({ user: undefined, refusal: { status: 401 } })
    expect(seen.session.subject).toBeUndefined()
  })

  test('with both, another site still cannot send the request', async () => {
    const { jar, login, mint, auth } = world()
    await login()
    const headers = { authorization: `Bearer ${await mint()}`, 'sec-fetch-site': 'cross-site' }
    await expect(async () => auth.admit(jar.exchange({ method: 'POST', headers }))).rejects.toMatchObject({
      status: 403,
    })
  })

  test('without a cookie no origin is asked for', async () => {
    const { login, mint, bearing, visit } = world()
    await login()
    const headers = { 'sec-fetch-site': 'cross-site', origin: 'https://other.example' }
    expect((await visit(bearing(await mint(), { method: 'POST', headers }))).user).toMatchObject({ id: 'alice' })
  })

  test('another scheme in Authorization leaves the cookie in force', async () => {
    const { jar, login, visit } = world()
    await login()
    for (const authorization of ['Basic YTpi', 'Digest x', 'Bearerx', ''])
      expect((await visit(jar.exchange({ headers: { authorization } }))).user).toMatchObject({ id: 'alice' })
  })

  test('a token without a session has a user and a session that is not kept', async () => {
    const { tokens, bearing, auth, store } = world()
    const { token } = await tokens.issue({ subject: 'alice' })
    const exchange = bearing(token)
    await auth.admit(exchange)
    const session = await auth.sessions.open(exchange)
    Object.assign(session.data, { seen: true })
    await session.update((data) => Object.assign(data, { twice: true }))
    expect(session.data).toEqual({ seen: true, twice: true })
    await auth.sessions.commit(exchange)
    expect(exchange.cookies.setCookieFields()).toEqual([])
    expect(store.size).toBe(0)
    expect(session.absence).toBe('stateless')
  })

  test('a login in a request with a token begins a session of its own', async () => {
    const { login, mint, bearing, auth, jar } = world()
    await login()
    const before = (await auth.sessions.open(jar.exchange())).id
    const exchange = bearing(await mint())
    await auth.admit(exchange)
    await auth.passport.login(exchange, { type: 'success', user: { id: 'bob' } })
    await auth.sessions.commit(exchange)
    const browser = new TestJar()
    browser.receive(exchange)
    expect(await auth.sessions.open(browser.exchange())).toMatchObject({ subject: 'bob' })
    expect(await auth.sessions.open(jar.exchange())).toMatchObject({ subject: 'alice', id: before })
  })

  test('using a token counts as being seen', async () => {
    const { login, mint, bearing, visit, clock, jar, auth } = world()
    await login()
    for (let hour = 0; hour < 47; hour++) {
      clock.advance(3600)
      await visit(bearing(await mint()))
    }
    expect((await auth.sessions.open(jar.exchange())).subject).toBe('alice')
  })
})

describe('RFC 6750: what is refused says why', () => {
  test('without credentials the guard asks for a token, and names no error', async () => {
    const { visit } = world()
    const { refusal, challenge } = await visit(new TestExchange())
    expect(refusal?.status).toBe(401)
    expect(challenge).toBe('Bearer realm="api"')
  })

  test('an invalid token is 401 on a guarded route, and nobody on an open one', async () => {
    const { visit, bearing, auth } = world({ realm: 'shop "x"' })
    const { refusal, challenge } = await visit(bearing('nonsense'))
    expect(refusal?.status).toBe(401)
    expect(challenge).toMatch(/^Bearer realm="shop \\"x\\"", error="invalid_token", error_description="/)
    expect(refusal?.body).toContain('ERR_LOGIN_REFUSED')
    const asPage = await visit(bearing('nonsense', { headers: { accept: 'text/html' } }), { login: '/login' })
    expect(asPage.refusal?.status).toBe(401)
    const exchange = bearing('nonsense')
    await auth.admit(exchange)
    expect(await auth.passport.user(exchange)).toBeUndefined()
    expect(auth.passport.anonymity(exchange)).toBe('refused')
  })

  test('attack 75: whatever stands behind Bearer, it is answered with 400 or 401', async () => {
    const { auth } = world()
    const odd = ['%', ' ', 'a b', 'é', 'a,b', '"x"', '=', 'x'.repeat(100_000), '%E0%A4%A', '{"a":NaN}', '\u{FEFF}x']
    for (const token of odd) {
      const exchange = new TestExchange({ headers: { authorization: `Bearer ${token}` } })
      await auth.admit(exchange)
      const reply = await auth.requireLogin(exchange)
      expect([400, 401], token.slice(0, 20)).toContain(reply?.status)
      expect(String(reply?.headers['www-authenticate'])).toMatch(/^Bearer realm="api"/)
    }
  })

  test('JW-12, 14.2.1: a token in the query, the body or a cookie is no token', async () => {
    const { login, mint, visit } = world()
    await login()
    const token = await mint()
    const requests: TestRequest[] = [
      { target: `/?access_token=${token}` },
      { method: 'POST', fields: { access_token: token } },
      { headers: { cookie: `access_token=${token}; __Host-Http-gp=${token}`, 'sec-fetch-site': 'same-origin' } },
      { headers: { 'x-access-token': token } },
    ]
    for (const request of requests) expect((await visit(new TestExchange(request))).user).toBeUndefined()
  })

  test('10.3.2: a token without the scope is 403; a login in a session is good for everything', async () => {
    const { login, mint, bearing, visit, jar } = world()
    await login()
    const guard = { scope: 'orders:write' }
    for (const scope of [undefined, ['orders:read'], ['orders'], ['ORDERS:WRITE']]) {
      const { refusal, challenge } = await visit(bearing(await mint(jar, scope)), guard)
      expect(refusal?.status).toBe(403)
      expect(challenge).toBe('Bearer error="insufficient_scope", scope="orders:write"')
    }
    expect((await visit(bearing(await mint(jar, ['a', 'orders:write'])), guard)).refusal).toBeUndefined()
    expect((await visit(jar.exchange(), guard)).refusal).toBeUndefined()
  })

  test('10.3.4, RFC 9470 3: where a recent login is asked for, the time of the login counts, not that of the token', async () => {
    const { login, mint, bearing, visit, clock, tokens, jar } = world()
    await login()
    expect((await visit(bearing(await mint()), { maxAge: 300 })).refusal).toBeUndefined()
    clock.advance(301)
    const page = { headers: { accept: 'text/html' } }
    for (const request of [{}, page]) {
      const { refusal, challenge } = await visit(bearing(await mint(), request), { maxAge: 300, login: '/login' })
      expect(refusal?.status).toBe(401)
      expect(challenge).toBe('Bearer error="insufficient_user_authentication", max_age="300"')
    }
    expect((await visit(jar.exchange(), { maxAge: 300 })).challenge).toBe('undefined')
    expect((await visit(jar.exchange(page), { maxAge: 300, login: '/login' })).refusal?.status).toBe(303)
    const { token } = await tokens.issue({ subject: 'alice' })
    expect((await visit(bearing(token), { maxAge: 300 })).refusal?.status).toBe(401)
    expect((await visit(bearing(token))).refusal).toBeUndefined()
  })

  test('no token is in what is answered, thrown or remembered for a list', async () => {
    const { login, mint, bearing, visit, auth } = world()
    await login()
    const token = await mint()
    await auth.sessions.revokeAll('alice')
    const { refusal } = await visit(bearing(token))
    for (const part of token.split('.')) expect(JSON.stringify(refusal)).not.toContain(part)
  })
})

test('9.2.2: refresh tokens, session cookies and tokens of another type are no access tokens', async () => {
  const { login, jar, refresh, bearing, visit } = world()
  await login()
  const family = await refresh.begin(new TestExchange(), { subject: 'alice' })
  const cookie = jar.get('__Host-Http-gp') ?? ''
  for (const token of [family.token, cookie, ...family.token.split('.')])
    expect((await visit(bearing(token))).refusal?.status).toBe(401)
})

test('a token that names a session needs sessions to look it up in, unless it is to be ignored', async () => {
  const { Passport } = await import('../passport/passport.ts')
  const { keys, tokens, clock, login, mint } = world()
  await login()
  const token = await mint()
  const exchange = () => new TestExchange({ headers: { authorization: `Bearer ${token}` } })
  const without = (sessions: 'looked-up' | 'ignored') =>
    new Passport({
      users: { find: (id): User => ({ id }), subject: (user) => user.id },
      strategies: [jwt<User>({ keys, issuer, audience, clock, sessions, account: (claims) => ({ id: claims.sub }) })],
    })
  await expect(without('looked-up').authenticate(exchange(), 'jwt')).rejects.toMatchObject({
    code: 'ERR_PASSPORT_NO_SESSIONS',
  })
  expect(await without('ignored').authenticate(exchange(), 'jwt')).toMatchObject({ user: { id: 'alice' } })
  expect(tokens).toBeDefined()
})

test('options that cannot be right are refused at boot', () => {
  const key = publicJwk(generateSigningJwk('Ed25519'))
  const common = { issuer, audience, account: () => ({ id: 'x' }) }
  expect(() => jwt({ ...common, jwks: 'not a url' })).toThrowError(
    expect.objectContaining({ code: 'ERR_TOKEN_OPTIONS' }),
  )
  expect(() => jwt({ ...common, keys: [] })).toThrowError(expect.objectContaining({ code: 'ERR_JWT_KEYS' }))
  expect(() => jwt({ ...common, keys: [key], algorithms: ['none' as never] })).toThrow()
  expect(() => jwt({ ...common, keys: [key], algorithms: [] })).toThrow()
  expect(jwt({ ...common, keys: [key], name: 'partner' }).name).toBe('partner')
})

test('a token begets no token: where the cookie is asked for, none is good, not even that of the cookie’s own session', async () => {
  const { login, mint, bearing, visit, jar, tokens, clock } = world()
  await login()
  const guard = { cookie: true }
  expect((await visit(jar.exchange(), guard)).refusal).toBeUndefined()
  clock.advance(60)
  const ofNoSession = (await tokens.issue({ subject: 'alice' })).token
  for (const token of [await mint(), await mint(jar, ['everything']), ofNoSession]) {
    const beside = jar.exchange({ headers: { authorization: `Bearer ${token}` } })
    for (const request of [bearing(token), beside])
      expect((await visit(request, guard)).refusal).toMatchObject({ status: 403 })
  }
  expect((await visit(bearing('refused'), guard)).refusal?.status).toBe(401)
})

test('with a token nobody adds a way to log in to the account: it would outlive the token', async () => {
  const { login, mint, bearing, auth } = world()
  await login()
  const exchange = bearing(await mint(), { method: 'POST', headers: { 'sec-fetch-site': 'same-origin' } })
  await auth.admit(exchange)
  expect(await auth.link(exchange, 'jwt', { success: '/account' })).toMatchObject({ status: 403 })
})

test('who carries a token without a session is not told to be logged out, since the token goes on', async () => {
  const { login, mint, bearing, auth, jar, tokens } = world()
  await login()
  const sending = async (token: string, everywhere: boolean) => {
    const exchange = bearing(token, { method: 'POST', headers: { 'sec-fetch-site': 'same-origin' } })
    await auth.admit(exchange)
    return auth.logout(exchange, { everywhere })
  }
  const { token } = await tokens.issue({ subject: 'alice' })
  for (const everywhere of [false, true])
    await expect(sending(token, everywhere)).rejects.toMatchObject({ code: 'ERR_TOKEN_SCOPE', status: 403 })
  expect((await auth.sessions.open(jar.exchange())).subject).toBe('alice')
  await login('alice', new TestJar())
  expect((await sending(await mint(), true)).status).toBe(204)
  expect(await auth.sessions.list('alice')).toEqual([])
})

test('an access token or an API key cannot become a refresh token, which lives longer', async () => {
  const { login, mint, bearing, visit, refresh, auth, jar, tokens } = world()
  await login()
  const withoutSession = (await tokens.issue({ subject: 'alice' })).token
  for (const token of [await mint(), withoutSession, 'refused']) {
    const exchange = bearing(token)
    await visit(exchange)
    await expect(refresh.begin(exchange, { subject: 'alice' })).rejects.toMatchObject({
      code: 'ERR_TOKEN_SCOPE',
      status: 403,
    })
  }
  expect(await auth.sessions.list('alice')).toHaveLength(1)
  expect(await refresh.begin(jar.exchange(), { subject: 'alice' })).toMatchObject({ type: 'refreshed' })
})

test('what `account` gives is a user, nobody or a failure, and nothing else', async () => {
  for (const found of [true, 'alice', []] as never[]) {
    const { tokens, clock, keys } = world()
    const strategy = jwt<User>({ keys, issuer, audience, clock, account: () => found, sessions: 'ignored' })
    const { token } = await tokens.issue({ subject: 'alice' })
    const exchange = new TestExchange({ headers: { authorization: `Bearer ${token}` } })
    await expect((async () => strategy.authenticate(exchange, {} as never))()).rejects.toMatchObject({
      code: 'ERR_PASSPORT_USER',
      message: expect.stringContaining('`account` of jwt() gave'),
    })
  }
})
