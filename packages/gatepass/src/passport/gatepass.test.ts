import { cookieNotice } from 'gatepass/cookie'
import { allowCrossOrigin, type Exchange, Gatepass, type GatepassOptions, type Strategy } from 'gatepass/passport'
import { memoryStore } from 'gatepass/stores/memory'
import { local } from 'gatepass/strategies/local'
import { TestJar, type TestRequest, testClock } from 'gatepass/testing'
import { describe, expect, test } from 'vitest'

interface User {
  readonly id: string
}

const byName: Strategy<User, 'name'> = {
  name: 'name',
  async authenticate(exchange, { clock }) {
    const { name } = await exchange.fields()
    return typeof name === 'string'
      ? { type: 'success', user: { id: name }, at: clock() }
      : { type: 'failure', reason: 'missing', status: 400 }
  },
}

const origin = 'https://app.example'
const csrfKeys = ['a-key-of-at-least-thirty-two-characters'] as const
const nothing: TestRequest = { method: 'POST' }
const evil: TestRequest = {
  method: 'POST',
  headers: { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
}
const own: TestRequest = { method: 'POST', headers: { origin, 'sec-fetch-site': 'same-origin' } }

function world(options: Partial<GatepassOptions<User, 'name'>> = {}) {
  const clock = testClock()
  const gatepass = new Gatepass<User, 'name'>(
    {
      sessions: { store: memoryStore({ clock }), clock },
      users: { find: (id) => ({ id }), subject: (user) => user.id },
      strategies: [byName],
      clock,
      ...options,
    },
    [origin],
  )
  const jar = new TestJar()
  const request = async <T>(asked: TestRequest, handle: (exchange: Exchange) => T | Promise<T>): Promise<T> => {
    const exchange = jar.exchange(asked)
    const answer = await handle(exchange)
    await gatepass.sessions.commit(exchange)
    jar.receive(exchange)
    return answer
  }
  const logIn = () => request({ ...own, fields: { name: 'ada' } }, (exchange) => gatepass.login(exchange, 'name'))
  return { gatepass, jar, request, logIn, clock }
}

const refused = expect.objectContaining({ code: 'ERR_CROSS_ORIGIN', status: 403 })

describe('requests from elsewhere', () => {
  test('an unsafe request with cookies is admitted from our own pages alone', async () => {
    const { gatepass, jar, logIn } = world()
    await logIn()
    expect(gatepass.admit(jar.exchange(own))).toBeUndefined()
    for (const request of [evil, nothing]) expect(() => gatepass.admit(jar.exchange(request))).toThrow(refused)
  })

  test('a request without cookies, or a safe one, is admitted from anywhere', () => {
    const { gatepass, jar } = world()
    expect(gatepass.admit(jar.exchange(evil))).toBeUndefined()
    jar.set('x', '1')
    expect(gatepass.admit(jar.exchange({ ...evil, method: 'GET' }))).toBeUndefined()
  })

  test('a login and a logout need our own pages even without cookies', async () => {
    const { gatepass, jar } = world()
    const fields = { name: 'mallory' }
    await expect(gatepass.login(jar.exchange({ ...evil, fields }), 'name')).rejects.toEqual(refused)
    await expect(gatepass.login(jar.exchange({ ...nothing, fields }), 'name')).rejects.toEqual(refused)
    await expect(gatepass.logout(jar.exchange(evil))).rejects.toEqual(refused)
  })

  test('a trusted origin is admitted, and a malformed one is the developer’s mistake', async () => {
    const { gatepass, jar, logIn } = world({ trustedOrigins: ['https://evil.example'] })
    await logIn()
    expect(gatepass.admit(jar.exchange(evil))).toBeUndefined()
    expect(() => world({ trustedOrigins: ['evil.example'] })).toThrow(
      expect.objectContaining({ code: 'ERR_HTTP_ORIGIN' }),
    )
  })

  test('the check can be turned off by its symbol alone', async () => {
    const { gatepass, jar, logIn } = world({ [allowCrossOrigin]: true })
    await logIn()
    expect(gatepass.admit(jar.exchange(evil))).toBeUndefined()
  })

  test('a browser that does not say where a request comes from may bring a token instead', async () => {
    const { gatepass, request, jar, logIn } = world({ csrfKeys })
    const before = await request({}, (exchange) => gatepass.csrfToken(exchange))
    const fields = { name: 'ada', csrf: before }
    expect(await request({ ...nothing, fields }, (exchange) => gatepass.login(exchange, 'name'))).toBeUndefined()
    expect(jar.names).toContain('__Host-Http-gp')

    const token = await request({}, (exchange) => gatepass.csrfToken(exchange))
    const withToken = (value: string): TestRequest => ({ method: 'POST', headers: { 'x-csrf-token': value } })
    await gatepass.admit(jar.exchange(withToken(token)))
    expect(() => gatepass.admit(jar.exchange(withToken(before)))).toThrow(refused)
    await expect(gatepass.admit(jar.exchange(nothing))).rejects.toEqual(refused)
    await gatepass.admit(jar.exchange({ ...nothing, fields: { csrf: token } }))
    await expect(gatepass.admit(jar.exchange({ ...nothing, fields: { csrf: before } }))).rejects.toEqual(refused)
    await logIn()
    await gatepass.admit(jar.exchange(withToken(token)))
    await request({ ...nothing, fields: { csrf: token } }, (exchange) => gatepass.logout(exchange))
    expect(() => gatepass.admit(jar.exchange(withToken(token)))).toThrow(refused)
  })

  test('a safe request is not looked at, and its session is left alone', async () => {
    const { gatepass, jar, logIn } = world({ csrfKeys })
    await logIn()
    const exchange = jar.exchange()
    expect(gatepass.requireSameOrigin(exchange)).toBeUndefined()
    expect(gatepass.sessions.opened(exchange)).toBeUndefined()
  })

  test('a token does not help a request that is known to come from elsewhere', async () => {
    const { gatepass, request, jar, logIn } = world({ csrfKeys })
    await logIn()
    const token = await request({}, (exchange) => gatepass.csrfToken(exchange))
    const headers = { ...evil.headers, 'x-csrf-token': token }
    expect(() => gatepass.admit(jar.exchange({ method: 'POST', headers }))).toThrow(refused)
  })

  test('tokens without keys are the developer’s mistake', () => {
    const { gatepass, jar } = world()
    expect(() => gatepass.csrfToken(jar.exchange())).toThrow(expect.objectContaining({ code: 'ERR_PASSPORT_OPTIONS' }))
  })
})

describe('routes', () => {
  test('a logout route that answers GET is the developer’s mistake', async () => {
    const { gatepass, jar } = world()
    await expect(gatepass.logout(jar.exchange())).rejects.toMatchObject({ code: 'ERR_PASSPORT_OPTIONS' })
  })

  test('a logout clears what the browser keeps of this site', async () => {
    const { gatepass, request, logIn } = world()
    await logIn()
    const reply = await request(own, (exchange) => gatepass.logout(exchange, { success: '/' }))
    expect(reply).toMatchObject({ status: 303, headers: { location: '/', 'clear-site-data': expect.any(String) } })
  })

  test('a browser that asks for a page is sent to the login, and comes back; a script gets 401', async () => {
    const { gatepass, jar } = world()
    const page = { target: '/me?tab=2', headers: { accept: 'text/html' } }
    expect(await gatepass.requireLogin(jar.exchange(page), { login: '/login' })).toMatchObject({
      status: 303,
      headers: { location: '/login?next=%2Fme%3Ftab%3D2' },
    })
    expect(await gatepass.requireLogin(jar.exchange(), { login: '/login' })).toMatchObject({ status: 401 })
    expect(await gatepass.requireLogin(jar.exchange({ ...page, method: 'POST' }), { login: '/login' })).toMatchObject({
      status: 401,
    })
  })

  test.each<[string, (gatepass: ReturnType<typeof world>['gatepass'], users: Map<string, string>) => unknown]>([
    ['the session is ended', (gatepass) => gatepass.sessions.revokeAll('ada')],
    ['the credentials change', (_gatepass, users) => users.set('ada', 'changed')],
    ['the user is deleted', (_gatepass, users) => users.delete('ada')],
  ])(
    'a guard with maxAge, or for the cookie alone, lets nobody in if %s while the body is on its way',
    async (_what, end) => {
      const stamps = new Map([['ada', 'first']])
      const { gatepass, jar, logIn } = world({
        users: {
          find: (id) => (stamps.has(id) ? { id } : undefined),
          subject: (user) => user.id,
          stamp: (user) => stamps.get(user.id) ?? 'none',
        },
      })
      await logIn()
      for (const guard of [{ maxAge: 600 }, { cookie: true }]) {
        expect(await gatepass.requireLogin(jar.exchange(own), guard)).toBeUndefined()
      }
      const [one, other] = [jar.exchange(own), jar.exchange(own)]
      for (const exchange of [one, other]) expect(await gatepass.passport.user(exchange)).toEqual({ id: 'ada' })
      await end(gatepass, stamps)
      expect(await gatepass.requireLogin(one, { maxAge: 600 })).toMatchObject({ status: 401 })
      expect(await gatepass.passport.user(one)).toBeUndefined()
      expect(await gatepass.requireLogin(other, { cookie: true })).toMatchObject({ status: 401 })
    },
  )

  test('a guard with maxAge lets the login of its own request in', async () => {
    const { gatepass, jar } = world()
    const exchange = jar.exchange({ ...own, fields: { name: 'ada' } })
    await gatepass.login(exchange, 'name')
    expect(await gatepass.requireLogin(exchange, { maxAge: 600, cookie: true })).toBeUndefined()
  })

  test('a guard with maxAge asks for a recent login', async () => {
    const { gatepass, jar, logIn, clock } = world()
    await logIn()
    clock.advance(600)
    expect(await gatepass.requireLogin(jar.exchange(), { maxAge: 600 })).toBeUndefined()
    clock.advance(1)
    const reply = await gatepass.requireLogin(jar.exchange(), { maxAge: 600 })
    expect(reply?.status).toBe(401)
    expect(reply?.body).toContain('ERR_LOGIN_TOO_OLD')
    await logIn()
    expect(await gatepass.requireLogin(jar.exchange(), { maxAge: 600 })).toBeUndefined()
  })

  test('a login of a process whose clock is ahead, by less than the hour that stores allow, is recent', async () => {
    const { gatepass, jar, logIn, clock } = world()
    await logIn()
    clock.advance(-3600)
    expect(await gatepass.requireLogin(jar.exchange(), { maxAge: 600 })).toBeUndefined()
    clock.advance(-1)
    expect(await gatepass.requireLogin(jar.exchange(), { maxAge: 600 })).toMatchObject({ status: 401 })
  })

  test.each(['//evil.example', 'https://evil.example', '/\\evil.example', 'javascript:alert(1)'])(
    'a redirect target from the request never leaves the origin: %s',
    async (next) => {
      const { gatepass, request } = world()
      const target = `/login?next=${encodeURIComponent(next)}`
      const reply = await request({ ...own, target, fields: { name: 'ada' } }, (exchange) =>
        gatepass.login(exchange, 'name', { success: '/home', next: 'next' }),
      )
      expect(reply?.headers.location).toBe('/home')
    },
  )
})

test('the cookies that are set for an application can stand in its cookie notice', async () => {
  const { gatepass, jar, request, logIn } = world({ csrfKeys })
  await request({}, (exchange) => gatepass.csrfToken(exchange))
  await logIn()
  const named = gatepass.cookiesOf(jar.exchange())
  expect(named.map(({ name }) => name).sort()).toEqual([...jar.names].sort())
  expect(cookieNotice(named).entries).toMatchObject([
    { purpose: 'necessary', description: expect.stringContaining('session') },
    { purpose: 'necessary', description: expect.stringContaining('form') },
  ])
  expect(world().gatepass.cookiesOf(jar.exchange())).toHaveLength(1)
  const leaving = world({ strategies: [{ ...byName, callback: '/auth/name/callback' }] }).gatepass
  const [, flow] = cookieNotice(leaving.cookiesOf(jar.exchange())).entries
  expect(flow).toMatchObject({ name: '__Host-gp-tx-*', purpose: 'necessary', maxAge: 600 })
})

describe('a guard that asks for a recent login', () => {
  const theirs = (success: object): Strategy<User, 'name'> => ({
    name: 'name',
    authenticate: () => ({ type: 'success', user: { id: 'ada' }, ...success }),
  })
  /** What the guard answers to a request with a token that this strategy takes. */
  async function guarded(strategy: Strategy<User, 'name'>, options: Partial<GatepassOptions<User, 'name'>> = {}) {
    const { gatepass, jar } = world({ strategies: [strategy], ...options })
    const exchange = jar.exchange({ headers: { authorization: 'Bearer last-year' } })
    if (options.bearer === undefined) await gatepass.authenticate(exchange, 'name')
    else await gatepass.admit(exchange)
    return (await gatepass.requireLogin(exchange, { maxAge: 600 }))?.status
  }

  test('refuses credentials that do not say when they were proved, whoever wrote the strategy', async () => {
    expect(await guarded(theirs({}))).toBe(401)
    expect(await guarded(theirs({ persist: false }))).toBe(401)
    expect(await guarded(theirs({}), { bearer: 'name' })).toBe(401)
  })

  test('refuses a time that cannot be one', async () => {
    const now = testClock()()
    for (const at of [now, now + 31_000, now + 300_000])
      expect(await guarded(theirs({ at })), String(at)).toBeUndefined()
    const wrong = [now + 300_001, Number.NaN, Number.POSITIVE_INFINITY, now * 1000, String(now), new Date(now), null]
    for (const at of wrong) expect(await guarded(theirs({ at })), String(at)).toBe(401)
  })

  test('lets in who says that it was now, and a password that came with the request', async () => {
    expect(
      await guarded({
        name: 'name',
        authenticate: (_, { clock }) => ({ type: 'success', user: { id: 'ada' }, at: clock() }),
      }),
    ).toBeUndefined()
    const { gatepass, jar } = world({ strategies: [{ ...local({ verify: (id) => ({ id }) }), name: 'name' }] })
    const exchange = jar.exchange({ ...own, fields: { username: 'ada', password: 'x' } })
    await gatepass.authenticate(exchange, 'name')
    expect(await gatepass.requireLogin(exchange, { maxAge: 600 })).toBeUndefined()
  })
})

test('a scope that a strategy gives as a text is good for nothing: each part of it would be a scope', async () => {
  const strategy = { name: 'name', authenticate: () => ({ type: 'success', user: { id: 'ada' }, scope: 'read:all' }) }
  const { gatepass, jar } = world({ strategies: [strategy as unknown as Strategy<User, 'name'>] })
  const exchange = jar.exchange()
  await gatepass.authenticate(exchange, 'name')
  expect(await gatepass.requireLogin(exchange, { scope: 'read' })).toMatchObject({ status: 403 })
})

test('a session that another tab has just moved to another token passes a guard that asks for a recent login', async () => {
  const { gatepass, jar, request, logIn } = world()
  await logIn()
  const exchange = jar.exchange()
  await gatepass.sessions.open(exchange)
  await request({}, async (other) => (await gatepass.sessions.open(other)).rotate())
  expect(await gatepass.requireLogin(exchange, { maxAge: 600 })).toBeUndefined()
  await request(own, (other) => gatepass.logout(other))
  expect(await gatepass.requireLogin(exchange, { maxAge: 600 })).toMatchObject({ status: 401 })
})
