import {
  type Exchange,
  Gatepass,
  type GatepassOptions,
  type LoginRouteOptions,
  type Reply,
  type Strategy,
} from 'gatepass/passport'
import type { SessionEvent, SessionOptions } from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'
import { TestExchange, TestJar, type TestRequest, testClock } from 'gatepass/testing'
import { describe, expect, test } from 'vitest'
import { sha256Hex } from '../../src/crypto/random.ts'
import { CookieJar } from './cookie-jar.ts'

interface User {
  readonly id: string
}

const origin = 'https://app.example'
const cookieName = '__Host-Http-gp'
const own: TestRequest = { method: 'POST', headers: { origin, 'sec-fetch-site': 'same-origin' } }
const [minute, hour, day] = [60, 3600, 86_400]

const byName: Strategy<User, 'name'> = {
  name: 'name',
  async authenticate(exchange) {
    return { type: 'success', user: { id: String((await exchange.fields()).name) }, amr: ['pwd'] }
  },
}

/** A browser at an application whose only page says who is there. */
function world(sessions: Partial<SessionOptions> = {}, options: Partial<GatepassOptions<User, 'name'>> = {}) {
  const clock = testClock()
  const store = memoryStore({ clock })
  const users = new Set(['ada', 'bob'])
  const events: SessionEvent[] = []
  const gatepass = new Gatepass<User, 'name'>(
    {
      sessions: { store, onEvent: (event) => void events.push(event), ...sessions },
      users: { find: (id) => users.has(id) && { id }, subject: (user) => user.id },
      strategies: [byName],
      clock,
      ...options,
    },
    [origin],
  )
  const jar = new TestJar()
  const fields: string[] = []
  const request = async <T>(asked: TestRequest, handle: (exchange: Exchange) => T | Promise<T>): Promise<T> => {
    const exchange = jar.exchange(asked)
    const answer = await handle(exchange)
    await gatepass.sessions.commit(exchange)
    fields.push(...exchange.cookies.setCookieFields())
    jar.receive(exchange)
    return answer
  }
  const logIn = (name = 'ada', route: LoginRouteOptions = {}) =>
    request({ ...own, fields: { name } }, (exchange) => gatepass.login(exchange, 'name', route))
  const logOut = () => request(own, (exchange) => gatepass.logout(exchange))
  const whoever = (token: string | undefined) =>
    gatepass.passport.user(new TestExchange({ headers: { cookie: `${cookieName}=${token}` } }))
  const me = () => request({}, async (exchange) => (await gatepass.passport.user(exchange))?.id)
  const token = () => jar.get(cookieName)
  return { clock, store, users, events, gatepass, jar, fields, request, logIn, logOut, me, token, whoever }
}

type World = ReturnType<typeof world>

// ── NIST SP 800-63B-4 ────────────────────────────────────────────────────────────────────────────────────────────────

describe('NIST SP 800-63B-4', () => {
  test('NI-6: the session secret is made at authentication, has 64 bits at least, and dies at logout', async () => {
    const { logIn, logOut, me, token, whoever } = world()
    await logIn()
    const secret = token()
    expect(Buffer.from(secret ?? '', 'base64url').length).toBe(32)
    expect(await me()).toBe('ada')
    await logOut()
    expect(token()).toBeUndefined()
    expect(await whoever(secret)).toBeUndefined()
  })

  test('NI-6: the session of an https connection is none over http, and none begins there', async () => {
    const { gatepass, logIn, token } = world()
    await logIn()
    const cookie = `${cookieName}=${token()}`
    const plain = new TestExchange({ origin: 'http://app.example', headers: { cookie } })
    expect(await gatepass.passport.user(plain)).toBeUndefined()
    await gatepass.passport.login(plain, { type: 'success', user: { id: 'ada' } })
    expect(() => gatepass.sessions.commit(plain)).toThrow(
      expect.objectContaining({ code: 'ERR_SESSION_INSECURE_ORIGIN' }),
    )
    expect(plain.cookies.setCookieFields()).toEqual([])
  })

  test('NI-7: a POST carries a value bound to its session: with csrfKeys, and where the browser says nothing', async () => {
    const { gatepass, logIn, request } = world({}, { csrfKeys: ['a key of at least 32 characters, for tests'] })
    await logIn()
    const presented = await request({}, (exchange) => gatepass.csrfToken(exchange))
    const post = (token?: string) =>
      request({ method: 'POST', headers: token === undefined ? {} : { 'x-csrf-token': token } }, async (exchange) =>
        gatepass.admit(exchange),
      )
    await expect(post()).rejects.toMatchObject({ code: 'ERR_CROSS_ORIGIN' })
    await post(presented)
    await logIn('bob')
    await expect(post(presented)).rejects.toMatchObject({ code: 'ERR_CROSS_ORIGIN' })
  })

  test('NI-8: the cookie is Secure, HttpOnly, __Host-, SameSite, opaque, and ends with the session or before', async () => {
    const { fields, logIn } = world()
    await logIn()
    await logIn('ada', { remember: true })
    const attributes = '; Path=/; Secure; HttpOnly; SameSite=Lax'
    const shape = `^${cookieName}=[\\w-]{43}`
    expect(fields).toEqual([
      expect.stringMatching(new RegExp(`${shape}${attributes}$`)),
      expect.stringMatching(new RegExp(`${shape}; Path=/; Max-Age=${30 * day}; Secure; HttpOnly; SameSite=Lax$`)),
    ])
  })

  test('NI-9: a session is never proved by more than its last login', async () => {
    const { gatepass, request } = world()
    const prove = (amr: string[]) =>
      request(own, async (exchange) => {
        await gatepass.passport.login(exchange, { type: 'success', user: { id: 'ada' }, amr })
      })
    await prove(['pwd', 'otp', 'mfa'])
    await prove(['pwd'])
    expect(await request({}, async (exchange) => (await gatepass.sessions.open(exchange)).login?.amr)).toEqual(['pwd'])
  })

  test.each([
    ['AAL1', {}, day, 7 * day],
    ['AAL2', { idleTimeout: hour, absoluteTimeout: day }, hour, day],
    ['AAL3', { idleTimeout: 15 * minute, absoluteTimeout: 12 * hour }, 15 * minute, 12 * hour],
  ])(
    'NI-10: a session of %s ends after its time without a request, and after its time at all',
    async (_, sessions, idle, absolute) => {
      await endsAfterIdle(world(sessions), idle)
      await endsAfterAbsolute(world(sessions), idle, absolute)
    },
  )

  test('NI-11: either timeout ends the session, and authenticating again begins both anew', async () => {
    const { clock, logIn, me } = world({ idleTimeout: hour, absoluteTimeout: 2 * hour })
    await logIn()
    await passing(clock, 110 * minute, me)
    await logIn()
    await passing(clock, 110 * minute, me)
    expect(await me()).toBe('ada')
    clock.advance(10 * minute)
    expect(await me()).toBeUndefined()
  })
})

/** Time in which the browser asks for a page every ten minutes. */
async function passing(clock: World['clock'], seconds: number, ask: () => Promise<unknown>): Promise<void> {
  const step = Math.min(10 * minute, seconds)
  for (let passed = 0; passed < seconds; passed += step) {
    clock.advance(step)
    await ask()
  }
}

async function endsAfterIdle({ clock, logIn, me }: World, idle: number): Promise<void> {
  await logIn()
  clock.advance(idle - 1)
  expect(await me()).toBe('ada')
  clock.advance(idle)
  expect(await me()).toBeUndefined()
}

async function endsAfterAbsolute({ clock, logIn, me }: World, idle: number, absolute: number): Promise<void> {
  await logIn()
  const step = idle / 3
  for (let passed = step; passed < absolute; passed += step) {
    clock.advance(step)
    expect(await me()).toBe('ada')
  }
  clock.advance(step)
  expect(await me()).toBeUndefined()
}

// ── OWASP Session Management, ASVS 5.0 ───────────────────────────────────────────────────────────────────────────────

describe('OWASP', () => {
  test('CS-2: a token of somebody else’s choice is never taken over; names say nothing; events hold hashes', async () => {
    const { events, jar, logIn, store, token } = world()
    const planted = `${'p'.repeat(42)}A`
    jar.set(cookieName, planted)
    await logIn()
    expect(token()).not.toBe(planted)
    expect(store.load(sha256Hex(planted) as Parameters<typeof store.load>[0])).toBeUndefined()
    expect(cookieName).not.toMatch(/sess|sid|token|auth|node|express/i)
    expect(events).toEqual([{ type: 'created', id: sha256Hex(token() ?? ''), subject: 'ada' }])
  })

  test('CS-2: a logout tells the browser to forget what it kept', async () => {
    const { logIn, logOut } = world()
    await logIn()
    const { headers }: Reply = await logOut()
    expect(headers).toMatchObject({ 'clear-site-data': '"cache", "storage"', 'cache-control': 'no-store' })
  })

  test('CK-18: a logout removes the cookie from a browser that follows RFC 6265bis', async () => {
    const { clock, fields, logIn, logOut } = world()
    const browser = new CookieJar(clock())
    const home = new URL(`${origin}/account`)
    const receive = () => {
      for (const field of fields.splice(0)) browser.receive(home, field)
    }
    await logIn()
    receive()
    expect(browser.header(home)).toContain(cookieName)
    await logOut()
    receive()
    expect(browser.header(home)).toBe('')
  })

  test('ASVS 7.2.1: what is not a token of ours, whole, is nobody', async () => {
    const { logIn, token, whoever, clock } = world()
    await logIn()
    const good = token() ?? ''
    expect(await whoever(good)).toEqual({ id: 'ada' })
    const flipped = `${good[0] === 'A' ? 'B' : 'A'}${good.slice(1)}`
    for (const bad of [flipped, good.slice(0, -1), `${good}A`, '', 'ada', sha256Hex(good)]) {
      expect(await whoever(bad)).toBeUndefined()
    }
    clock.advance(day)
    expect(await whoever(good)).toBeUndefined()
  })

  test('ASVS 7.2.2: two logins have two tokens', async () => {
    const [one, other] = [world(), world()]
    await one.logIn()
    await other.logIn()
    expect(one.token()).not.toBe(other.token())
  })

  test('ASVS 7.2.4: authenticating again has a new token, and the old one is dead', async () => {
    const { logIn, token, whoever } = world()
    await logIn()
    const before = token()
    await logIn()
    expect(token()).not.toBe(before)
    expect(await whoever(before)).toBeUndefined()
    expect(await whoever(token())).toEqual({ id: 'ada' })
  })

  test('ASVS 7.4.2: who is no longer found is logged in nowhere, from the next request on', async () => {
    const { logIn, me, token, users, whoever } = world()
    await logIn()
    const stolen = token()
    users.delete('ada')
    expect(await me()).toBeUndefined()
    users.add('ada')
    expect(await whoever(stolen)).toBeUndefined()
  })

  test('ASVS 7.5.1: a route can ask for a login of the last minutes', async () => {
    const { clock, gatepass, logIn, request } = world()
    await logIn()
    const guarded = () =>
      request({}, async (exchange) => (await gatepass.requireLogin(exchange, { maxAge: 10 * minute }))?.status)
    expect(await guarded()).toBeUndefined()
    clock.advance(10 * minute + 1)
    expect(await guarded()).toBe(401)
    await logIn()
    expect(await guarded()).toBeUndefined()
  })

  test('ASVS 1.5.2: what is stored is JSON, read back without __proto__', async () => {
    const { gatepass, request, store, token } = world()
    await request(own, async (exchange) => {
      const session = await gatepass.sessions.open(exchange)
      Object.assign(session.data, { cart: JSON.parse('{"__proto__":{"admin":true},"n":1}') })
    })
    const record = store.load(sha256Hex(token() ?? '') as Parameters<typeof store.load>[0])
    expect(JSON.parse(record?.data ?? '')).toBeTypeOf('object')
    const { cart } = await request(
      {},
      async (exchange) => (await gatepass.sessions.open(exchange)).data as { cart: object },
    )
    expect([cart, Object.keys(cart), 'admin' in cart]).toEqual([{ n: 1 }, ['n'], false])
  })

  test.each([
    ['3.3.1', 'is Secure and __Host-', /^__Host-.*; Secure(;|$)/],
    ['3.3.2', 'says SameSite', /; SameSite=(Lax|Strict)(;|$)/],
    ['3.3.3', 'is of one host alone', /^(?!.*; Domain=).*; Path=\/(;|$)/],
  ])('ASVS %s: every cookie of every flow %s', async (_, __, rule) => {
    const { fields, gatepass, logIn, logOut, request } = world(
      {},
      { csrfKeys: ['a key of at least 32 characters, for tests'] },
    )
    await request({}, (exchange) => gatepass.csrfToken(exchange))
    await logIn()
    await logIn('ada', { remember: true })
    await request(own, async (exchange) => (await gatepass.sessions.open(exchange)).rotate())
    await logOut()
    expect(fields).toHaveLength(5)
    for (const field of fields) expect(field).toMatch(rule)
  })
})
