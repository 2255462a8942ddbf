import { StoreError } from 'gatepass'
import { parseSetCookie, plainCookie } from 'gatepass/cookie'
import {
  type Session,
  type SessionEvent,
  type SessionId,
  SessionManager,
  type SessionOptions,
  type SessionStore,
} from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'
import { TestExchange, TestJar, type TestRequest, testClock } from 'gatepass/testing'
import { describe, expect, test, vi } from 'vitest'
import { readMarker } from './about.ts'
import { hooksOf } from './hooks.ts'
import { idOf } from './token.ts'

type Data = Record<string, unknown>
type Act = (session: Session<Data>) => unknown

const COOKIE = '__Host-Http-gp'
const HOUR = 3600
const DAY = 24 * HOUR
const PROOF = { at: 1, amr: ['pwd'], by: 'local' } as const
const first = 'the first key, at least thirty-two characters'
const second = 'the second key, at least thirty-two characters'

/** A manager on a memory store of its own, a browser, and a clock. */
function setUp(options: Partial<SessionOptions> = {}) {
  const clock = testClock()
  const memory = memoryStore({ clock })
  const events: SessionEvent[] = []
  const all = { store: memory, clock, onEvent: (event: SessionEvent) => void events.push(event), ...options }
  const sessions = new SessionManager<Data>(all)
  const jar = new TestJar()
  const inserted = [vi.spyOn(memory, 'insert'), vi.spyOn(memory, 'insertWithin')]
  return { clock, memory, events, sessions, jar, visit, found, live, with: another }

  /** How many sessions are stored; the markers of those that moved or were logged out do not count. */
  function live(): number {
    const ids = inserted.flatMap(({ mock }) => mock.calls.map(([{ id }]) => id))
    const records = ids.map((id) => memory.load(id))
    return records.filter((record) => record !== undefined && readMarker(record) === undefined).length
  }

  /** One request from beginning to end. */
  async function visit(act: Act = () => {}, request: TestRequest = {}, manager = sessions): Promise<TestExchange> {
    const exchange = jar.exchange(request)
    await act(await manager.open(exchange))
    await manager.commit(exchange)
    jar.receive(exchange)
    return exchange
  }

  async function found(manager = sessions): Promise<Session<Data>> {
    return await manager.open(jar.exchange())
  }

  /** The same store under other options: what a deployment changes. */
  function another(changed: Partial<SessionOptions>): SessionManager<Data> {
    return new SessionManager<Data>({ ...all, ...changed })
  }
}

type Later = <Args extends unknown[], Result>(
  call: (...args: Args) => Result,
) => (...args: Args) => Promise<Awaited<Result>>

/** The same store, every answer of which comes later. */
function asynchronous(store: SessionStore, later: Later): Omit<SessionStore, 'touch' | 'synchronous'> {
  return {
    load: later(store.load.bind(store)),
    insert: later(store.insert.bind(store)),
    replace: later(store.replace.bind(store)),
    remove: later(store.remove.bind(store)),
  }
}

const put = (data: Data) => (session: Session<Data>) => Object.assign(session.data, data)
const logIn = (subject: string) => (session: Session<Data>) => session.assign(subject, PROOF)
const setCookies = (exchange: TestExchange) => exchange.cookies.setCookieFields()

/** A store that can be told to fail, or to answer late. */
function wrapped(store: SessionStore, around: (name: string, call: () => unknown) => unknown): SessionStore {
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      return (...parameters: unknown[]) => around(String(name), () => Reflect.apply(member, target, parameters))
    },
  })
}

describe('a session', () => {
  test('begins with the first stored value, and is found again by its cookie', async () => {
    const { visit, found } = setUp()
    const exchange = await visit(put({ cart: ['tea'] }))
    expect(setCookies(exchange)).toHaveLength(1)
    const session = await found()
    expect(session.data).toEqual({ cart: ['tea'] })
    expect(session.id).toMatch(/^[0-9a-f]{64}$/)
    expect(session.handle).toMatch(/^[\w-]{22}$/)
    expect(session.absence).toBeUndefined()
  })

  test('that is only looked at, emptied or rotated is not stored', async () => {
    const { visit, live } = setUp()
    const acts: Act[] = [
      () => {},
      (session) => session.data.cart,
      (session) => session.rotate(),
      put({ cart: undefined }),
    ]
    for (const act of acts) expect(setCookies(await visit(act))).toEqual([])
    expect(live()).toBe(0)
  })

  test('whose data is read and left alone is not written', async () => {
    const { visit, found } = setUp()
    await visit(put({ cart: ['tea'], at: new Date(0) }))
    const before = await found()
    const exchange = await visit((session) => session.data.cart)
    expect(setCookies(exchange)).toEqual([])
    expect((await found()).expiresAt).toBe(before.expiresAt)
  })

  test('keeps its token when its data changes', async () => {
    const { visit, found } = setUp()
    await visit(put({ cart: ['tea'] }))
    const exchange = await visit((session) => (session.data.cart as string[]).push('milk'))
    expect(setCookies(exchange)).toEqual([])
    expect((await found()).data).toEqual({ cart: ['tea', 'milk'] })
  })

  test('answers at once, all the way, when its store does', () => {
    const { sessions, jar } = setUp()
    const opened = sessions.open(jar.exchange())
    expect(opened).not.toBeInstanceOf(Promise)
    for (const act of [
      put({ a: 1 }),
      put({ a: 2 }),
      logIn('alice'),
      () => {},
      (session: Session<Data>) => session.destroy(),
    ]) {
      const exchange = jar.exchange()
      act(sessions.open(exchange) as Session<Data>)
      expect(sessions.commit(exchange)).toBeUndefined()
      jar.receive(exchange)
    }
    expect(sessions.synchronous).toBe(true)
  })
})

describe('the cookie', () => {
  test('over https is __Host-Http-gp with Path=/, Secure, HttpOnly and SameSite=Lax, and ends with the browser', async () => {
    const { visit } = setUp()
    const [field] = setCookies(await visit(put({ a: 1 })))
    expect(
      field
        ?.replace(/=[\w-]{43};/, '=token;')
        .split('; ')
        .sort(),
    ).toEqual([`${COOKIE}=token`, 'HttpOnly', 'Path=/', 'SameSite=Lax', 'Secure'].sort())
  })

  test.each(['http://localhost:3000', 'http://127.0.0.1', 'http://[::1]:8080', 'http://app.localhost'])(
    'over http on the same machine (%s) is gp, without Secure',
    async (origin) => {
      const { visit, found, jar } = setUp()
      await visit(put({ a: 1 }), { origin })
      expect(jar.names).toEqual(['gp'])
      expect((await found()).id).toBeUndefined()
      const seen: unknown[] = []
      await visit((session) => seen.push(session.data.a), { origin })
      expect(seen).toEqual([1])
    },
  )

  test.each([
    'http://app.example',
    'http://localhost.example',
    'http://127.0.0.1.example',
    'http://10.0.0.1',
    'http://',
  ])('over http elsewhere (%s) is not set: the error says what to do, and nothing is stored', async (origin) => {
    const { visit, live } = setUp()
    for (const act of [
      put({ a: 1 }),
      logIn('alice'),
      (session: Session<Data>) => session.update((data) => Object.assign(data, { a: 1 })),
    ]) {
      const refused = expect.objectContaining({
        code: 'ERR_SESSION_INSECURE_ORIGIN',
        status: 500,
        hint: expect.stringContaining('trustProxy'),
      })
      await expect(visit(act as Act, { origin })).rejects.toEqual(refused)
    }
    expect(live()).toBe(0)
    await expect(visit(() => {}, { origin })).resolves.toBeDefined()
  })

  test('of the application is used as it is', async () => {
    const cookie = plainCookie('sid', { secure: false, sameSite: 'strict', path: '/app' })
    const { visit, jar, found } = setUp({ cookie })
    const exchange = await visit(put({ a: 1 }), { origin: 'http://app.example' })
    expect(setCookies(exchange)[0]).toMatch(/^sid=[\w-]{43}; (?=.*Path=\/app)(?=.*SameSite=Strict)(?!.*Secure)/)
    expect(jar.names).toEqual(['sid'])
    expect((await found()).data).toEqual({ a: 1 })
  })

  test('sent twice leads to no session, whichever was ours, and is told', async () => {
    const { visit, sessions, jar, events } = setUp()
    await visit(logIn('alice'))
    const token = jar.get(COOKIE)
    for (const cookie of [`${COOKIE}=${token}; ${COOKIE}=x`, `${COOKIE}=x; ${COOKIE}=${token}`]) {
      events.length = 0
      const session = await sessions.open(jar.exchange({ headers: { cookie } }))
      expect(session.absence).toBe('duplicate')
      expect(session.subject).toBeUndefined()
      expect(events).toEqual([{ type: 'cookie_duplicate', cookie: COOKIE }])
    }
  })

  test('sent twice names two sessions: a logout ends both of them', async () => {
    const { sessions, visit, jar, live } = setUp()
    await visit(logIn('alice'))
    const first = jar.get(COOKIE)
    await visit(logIn('bob'), { headers: { cookie: '' } })
    const exchange = new TestExchange({ headers: { cookie: `${COOKIE}=${first}; ${COOKIE}=${jar.get(COOKIE)}` } })
    const session = await sessions.open(exchange)
    expect([session.absence, session.subject]).toEqual(['duplicate', undefined])
    session.destroy()
    await sessions.commit(exchange)
    expect(live()).toBe(0)
    expect(setCookies(exchange)).toHaveLength(1)
  })

  test('sent twice with a token from before a login ends nothing of that login', async () => {
    const { sessions, visit, jar, found } = setUp()
    await visit(put({ cart: ['tea'] }))
    const planted = jar.get(COOKIE)
    await visit(logIn('alice'))
    for (const other of [planted, 'A'.repeat(43), 'garbage']) {
      const exchange = new TestExchange({ headers: { cookie: `${COOKIE}=${planted}; ${COOKIE}=${other}` } })
      ;(await sessions.open(exchange)).destroy({ everywhere: true })
      await sessions.commit(exchange)
    }
    expect((await found()).subject).toBe('alice')
  })

  test.each([0, 1])('sent twice ends everywhere the sessions of both subjects (order %i)', async (order) => {
    const { sessions, visit, jar, live } = setUp()
    const tokens: (string | undefined)[] = []
    for (const subject of ['alice', 'bob']) {
      await visit(logIn(subject), { headers: { cookie: '' } })
      await visit(logIn(subject), { headers: { cookie: '' } })
      tokens.push(jar.get(COOKIE))
    }
    if (order === 1) tokens.reverse()
    const exchange = new TestExchange({ headers: { cookie: tokens.map((token) => `${COOKIE}=${token}`).join('; ') } })
    ;(await sessions.open(exchange)).destroy({ everywhere: true })
    await sessions.commit(exchange)
    expect(live()).toBe(0)
  })

  test.each([
    ['for a parent domain', { domain: 'example.com', path: '/' }],
    ['for a path', { path: '/shop' }],
    ['for a path with a slash', { path: '/shop/' }],
  ])('of the application that was set %s before is taken away by a login', async (_how, before) => {
    const { sessions, with: another } = setUp({ cookie: plainCookie('sid', { path: '/' }) })
    const request = { method: 'POST', target: '/shop/login', origin: 'https://app.example.com' }
    const earlier = another({ cookie: plainCookie('sid', before) })
    const first = new TestExchange(request)
    logIn('alice')(await earlier.open(first))
    await earlier.commit(first)
    const sent = setCookies(first)[0]?.split(';')[0] ?? ''
    const login = new TestExchange({ ...request, headers: { cookie: sent } })
    logIn('alice')(await sessions.open(login))
    await sessions.commit(login)
    const fields = setCookies(login).map((field) => parseSetCookie(field))
    expect(fields.at(-1)?.value).toMatch(/^[\w-]{43}$/)
    const removed = { ...before, maxAge: 0, expires: new Date(0) }
    expect(fields.map((field) => field?.attributes)).toContainEqual(expect.objectContaining(removed))
    // Of its own scope nothing is taken away.
    for (const field of fields.slice(0, -1))
      expect(field?.attributes).not.toMatchObject({ path: '/', domain: undefined })
    expect(fields.length).toBeLessThanOrEqual(25)
  })

  test('of our own has one scope: a login writes one field, unless two came', async () => {
    const { visit, jar, sessions } = setUp()
    const local = { target: '/a/login', origin: 'http://localhost:3000' }
    await visit(put({ a: 1 }), local)
    expect(setCookies(await visit(logIn('alice'), local))).toHaveLength(1)
    const twice = new TestExchange({ ...local, headers: { cookie: `gp=${jar.get('gp')}; gp=planted` } })
    logIn('alice')(await sessions.open(twice))
    await sessions.commit(twice)
    const [first, ...more] = setCookies(twice)
    expect(first).toMatch(/^gp=; Path=\/a;.*Max-Age=0/)
    expect(more.at(-1)).toMatch(/^gp=.{43}; Path=\/;/)
  })

  test('can be set by a login at any address, also one that no cookie can have as its scope', async () => {
    const { sessions } = setUp({ cookie: plainCookie('sid', { path: '/' }) })
    for (const target of ['/login;a=b', `/${'long'.repeat(2000)}`, 'http://app.example/login', '*', '']) {
      const origin = 'https://my_app.example'
      const login = new TestExchange({ method: 'POST', target, origin, headers: { cookie: 'sid=x' } })
      logIn('alice')(await sessions.open(login))
      await sessions.commit(login)
      expect(setCookies(login).at(-1)).toMatch(/^sid=[\w-]{43}; Path=\//)
    }
  })

  test.each([
    ['no-cookie', undefined],
    ['malformed', 'x'],
    ['unknown', 'A'.repeat(43)],
  ])('that leads nowhere says so: %s', async (absence, token) => {
    const { found, jar } = setUp()
    if (token !== undefined) jar.set(COOKIE, token)
    const session = await found()
    expect(session.absence).toBe(absence)
    expect(session.id).toBeUndefined()
  })
})

describe('timeouts', () => {
  test('a session ends when it has not been seen for the idle timeout', async () => {
    const { clock, visit, found } = setUp()
    await visit(put({ a: 1 }))
    clock.advance(DAY - 1)
    expect((await found()).data).toEqual({ a: 1 })
    clock.advance(1)
    expect((await found()).absence).toBe('unknown')
  })

  test('being seen is written down once a minute, and keeps the session alive', async () => {
    const { clock, sessions, jar, visit, memory } = setUp()
    await visit(logIn('alice'))
    const touch = vi.spyOn(memory, 'touch')
    clock.advance(59)
    await visit()
    expect(touch).not.toHaveBeenCalled()
    clock.advance(1)
    const exchange = jar.exchange()
    await sessions.open(exchange)
    await sessions.commit(exchange)
    expect(exchange.cookies.changed).toBe(false)
    await visit()
    expect(touch).toHaveBeenCalledTimes(1)
    const [listed] = await sessions.list('alice')
    expect(listed?.seenAt).toBe(clock())
    expect(listed?.expiresAt).toBe(clock() + DAY * 1000)
  })

  test('requests that come together write once that the session was seen', async () => {
    const { clock, memory, jar, visit, with: another } = setUp()
    await visit(put({ a: 1 }))
    const later =
      <Args extends unknown[], Result>(call: (...args: Args) => Result) =>
      async (...args: Args): Promise<Awaited<Result>> =>
        await call(...args)
    const touch = vi.fn(later(memory.touch.bind(memory)))
    const store = { ...asynchronous(memory, later), touch } as SessionStore
    const sessions = another({ store })
    clock.advance(61)
    const together = [jar.exchange(), jar.exchange(), jar.exchange()]
    await Promise.all(together.map(async (exchange) => void (await sessions.open(exchange))))
    await Promise.all(together.map((exchange) => sessions.commit(exchange)))
    expect(touch).toHaveBeenCalledTimes(1)
    clock.advance(61)
    const alone = jar.exchange()
    await sessions.open(alone)
    await sessions.commit(alone)
    expect(touch).toHaveBeenCalledTimes(2)
  })

  test('a session ends at its absolute timeout, however much it is used', async () => {
    const { clock, visit, found } = setUp()
    await visit(put({ a: 0 }))
    for (let hour = 1; hour < 7 * 24; hour++) {
      clock.advance(HOUR)
      await visit(hour % 2 === 0 ? put({ a: hour }) : (session) => session.rotate())
      expect((await found()).data.a).toBe(hour - (hour % 2))
    }
    clock.advance(HOUR)
    expect((await found()).absence).toBe('unknown')
  })

  test('a login begins the absolute timeout anew', async () => {
    const { clock, visit, found } = setUp({ idleTimeout: 7 * DAY })
    await visit(put({ a: 1 }))
    clock.advance(6 * DAY)
    await visit(logIn('alice'))
    expect((await found()).createdAt).toBe(clock())
    clock.advance(6 * DAY)
    await visit()
    expect((await found()).subject).toBe('alice')
    clock.advance(DAY)
    expect((await found()).absence).toBe('unknown')
  })

  test('a remembered login keeps its cookie for the absolute timeout of remember, and ends by the idle one', async () => {
    const { clock, visit, found } = setUp()
    const exchange = await visit((session) => session.assign('alice', { ...PROOF, remembered: true }))
    expect(setCookies(exchange)[0]).toContain(`Max-Age=${30 * DAY}`)
    clock.advance(13 * DAY)
    expect(setCookies(await visit())).toEqual([])
    clock.advance(13 * DAY)
    const rotated = await visit((session) => session.rotate())
    expect(setCookies(rotated)[0]).toContain(`Max-Age=${4 * DAY}`)
    expect((await found()).login?.remembered).toBe(true)
    clock.advance(4 * DAY)
    expect((await found()).absence).toBe('unknown')
  })

  test('shorter timeouts count for the sessions that there are', async () => {
    const { clock, visit, found, with: another } = setUp()
    await visit(put({ a: 1 }))
    clock.advance(2 * HOUR)
    expect((await found()).id).toBeDefined()
    expect((await found(another({ idleTimeout: HOUR }))).absence).toBe('unknown')
    expect((await found(another({ absoluteTimeout: HOUR }))).absence).toBe('unknown')
    expect((await found(another({ remember: { idleTimeout: HOUR } }))).id).toBeDefined()
  })

  test('a store whose clock is behind does not keep a session alive', async () => {
    const { clock, visit, found } = setUp({ store: memoryStore({ clock: () => 0 }) })
    await visit(put({ a: 1 }))
    clock.advance(DAY)
    expect((await found()).absence).toBe('unknown')
  })
})

describe('rotation', () => {
  test('gives another token and ends the old one; data, handle and beginning stay', async () => {
    const { clock, visit, found, jar, sessions } = setUp()
    await visit(put({ a: 1 }))
    const before = await found()
    const old = jar.exchange()
    clock.advance(10)
    await visit((session) => session.rotate())
    const after = await found()
    expect(after.id).not.toBe(before.id)
    expect([after.handle, after.createdAt, after.data]).toEqual([before.handle, before.createdAt, { a: 1 }])
    expect((await sessions.open(old)).absence).toBe('unknown')
  })

  test('tells the session its new id once it is committed', async () => {
    const { sessions, jar, visit, events } = setUp()
    await visit(logIn('alice'))
    const exchange = jar.exchange()
    const session = await sessions.open(exchange)
    const previous = session.id
    session.rotate()
    expect(session.id).toBe(previous)
    await sessions.commit(exchange)
    expect(session.id).not.toBe(previous)
    expect(events.at(-1)).toEqual({ type: 'rotated', id: session.id, previous, subject: 'alice' })
  })
})

test.each<[string, Act]>([
  ['has moved to another id', (session) => session.rotate()],
  ['has moved to another id at a login', logIn('eve')],
  ['was logged out', (session) => session.destroy()],
])('other parts find no session by the id of one that %s a moment ago: its marker is none', async (_what, act) => {
  const { sessions, visit, found, memory } = setUp()
  await visit(logIn('ada'))
  const { id = '' } = await found()
  expect(await hooksOf(sessions).record(id)).toMatchObject({ id, subject: 'ada' })
  await visit(act)
  expect(memory.load(id as SessionId), 'the marker is stored').toBeDefined()
  expect(await hooksOf(sessions).record(id)).toBeUndefined()
})

describe('assign', () => {
  test('gives the session a subject, a proof and another token; the old one is worth nothing', async () => {
    const { visit, found, jar, sessions, events } = setUp()
    await visit(put({ cart: ['tea'] }))
    const planted = jar.exchange()
    const before = await found()
    await visit(logIn('alice'), { headers: { 'user-agent': 'curl/8' }, remoteAddress: '198.51.100.1' })
    const session = await found()
    expect(session.subject).toBe('alice')
    expect(session.login).toEqual(PROOF)
    expect(session.handle).not.toBe(before.handle)
    expect(events.at(-1)).toEqual({ type: 'rotated', id: session.id, previous: before.id, subject: 'alice' })
    expect((await sessions.open(planted)).absence).toBe('unknown')
    expect((await sessions.list('alice')).map(({ client }) => client)).toEqual([
      { device: 'curl', address: '198.51.100.1' },
    ])
  })

  test('is seen by the rest of the request', async () => {
    const { visit } = setUp()
    await visit((session) => {
      session.data.cart = ['tea']
      logIn('alice')(session)
      expect(session.subject).toBe('alice')
      expect(session.login).toEqual(PROOF)
      expect(session.data).toEqual({})
      expect(session.handle).toMatch(/^[\w-]{22}$/)
    })
  })

  test('carries over only the data it is told to, and flash messages', async () => {
    const { visit, found } = setUp()
    await visit(put({ cart: ['tea'], planted: true, flash: [{ kind: 'info', text: 'x' }] }))
    await visit((session) => {
      session.assign('alice', PROOF, { carry: ['cart', 'absent'] })
      session.data.fresh = 1
    })
    expect((await found()).data).toEqual({ cart: ['tea'], flash: [{ kind: 'info', text: 'x' }], fresh: 1 })
  })

  test('keeps data and handle when the subject proves itself again, and is another token all the same', async () => {
    const { clock, visit, found } = setUp()
    await visit(logIn('alice'))
    await visit(put({ cart: ['tea'] }))
    const before = await found()
    clock.advance(10)
    await visit((session) => session.assign('alice', { ...PROOF, amr: ['pwd', 'otp'] }))
    const after = await found()
    expect(after.data).toEqual({ cart: ['tea'] })
    expect(after.handle).toBe(before.handle)
    expect(after.id).not.toBe(before.id)
    expect(after.login?.amr).toEqual(['pwd', 'otp'])
    expect(after.createdAt).toBe(clock())
  })

  test('to another subject keeps nothing of the one before', async () => {
    const { visit, found, sessions } = setUp()
    await visit(logIn('alice'))
    await visit(put({ cart: ['tea'] }))
    const before = await found()
    await visit(logIn('bob'))
    const after = await found()
    expect(after.data).toEqual({})
    expect(after.handle).not.toBe(before.handle)
    expect(await sessions.list('alice')).toEqual([])
  })

  test('twice in one request carries what both carry, also of what another request adds meanwhile', async () => {
    const { visit, found, jar, sessions } = setUp()
    await visit(put({ a: 1, b: 2 }))
    const exchange = jar.exchange()
    const session = await sessions.open(exchange)
    session.assign('alice', PROOF, { carry: ['a', 'b'] })
    session.assign('bob', PROOF, { carry: ['b', 'c'] })
    await visit(put({ a: 3, b: 4, c: 5 }))
    await sessions.commit(exchange)
    jar.receive(exchange)
    expect((await found()).data).toEqual({ b: 4 })
    expect((await found()).subject).toBe('bob')
  })

  test('stores a session that holds nothing but its subject', async () => {
    const { visit, found } = setUp()
    await visit(logIn('alice'))
    expect((await found()).subject).toBe('alice')
  })

  test('refuses a subject that is no text, empty, or not well-formed', async () => {
    const { found } = setUp()
    const session = await found()
    for (const subject of ['', 42, undefined, 'a\ud800']) {
      expect(() => session.assign(subject as string, PROOF)).toThrow(
        expect.objectContaining({ code: 'ERR_PASSPORT_SUBJECT' }),
      )
    }
  })
})

describe('destroy', () => {
  test('ends the session, and deletes the cookie under the attributes it was set with', async () => {
    const { visit, found, jar, events, live } = setUp()
    await visit(logIn('alice'))
    const { id } = await found()
    const exchange = await visit((session) => {
      session.data.cart = ['tea']
      session.destroy()
      expect([session.id, session.subject, session.login, session.data]).toEqual([undefined, undefined, undefined, {}])
    })
    const [field, ...more] = setCookies(exchange)
    expect(field).toMatch(
      new RegExp(`^${COOKIE}=;(?=.*Max-Age=0)(?=.*Path=/)(?=.*Secure)(?=.*HttpOnly)(?=.*SameSite=Lax)`),
    )
    expect(more).toEqual([])
    expect(jar.names).toEqual([])
    expect(live()).toBe(0)
    expect(events.at(-1)).toEqual({ type: 'ended', id, subject: 'alice' })
  })

  test('writes no cookie unless it ended the session of its own token: a newer login may have set one', async () => {
    const { visit, jar, events } = setUp()
    expect(setCookies(await visit((session) => session.destroy()))).toEqual([])
    jar.set(COOKIE, 'A'.repeat(43))
    expect(setCookies(await visit((session) => session.destroy()))).toEqual([])
    expect(events).toEqual([])
  })

  test('with a token that was rotated a moment before ends the session where it is now, and leaves the cookie alone', async () => {
    const { sessions, visit, jar, live, events } = setUp()
    await visit(logIn('alice'))
    const stale = jar.exchange()
    await visit((session) => session.rotate())
    const { id } = await sessions.open(jar.exchange())
    const session = await sessions.open(stale)
    expect([session.absence, session.id, session.subject]).toEqual(['unknown', undefined, undefined])
    session.destroy()
    session.data.flash = [{ kind: 'info', text: 'You are logged out.' }]
    await sessions.commit(stale)
    expect(setCookies(stale)).toEqual([])
    expect(events.slice(-2)).toEqual([
      { type: 'ended', id, subject: 'alice' },
      { type: 'discarded', id: expect.any(String) },
    ])
    expect(live()).toBe(0)
  })

  test('with a token from before a login as another subject ends nothing of that login', async () => {
    const { sessions, visit, jar, found } = setUp()
    await visit(logIn('alice'))
    const stale = jar.exchange()
    await visit(logIn('bob'))
    ;(await sessions.open(stale)).destroy({ everywhere: true })
    await sessions.commit(stale)
    expect(setCookies(stale)).toEqual([])
    expect((await found()).subject).toBe('bob')
  })

  test('leaves a marker that counts for a minute, whatever a late touch makes of its expiry', async () => {
    const { sessions, visit, jar, memory, clock } = setUp()
    await visit(logIn('alice'))
    const stale = jar.exchange()
    await visit((session) => session.destroy())
    const token = stale.cookies.raw(COOKIE) ?? ''
    memory.touch(idOf(token), clock(), clock() + 10 * 60_000)
    clock.advance(61)
    const late = new TestExchange({ headers: { cookie: `${COOKIE}=${token}` } })
    put({ a: 1 })(await sessions.open(late))
    await sessions.commit(late)
    expect(setCookies(late)).toHaveLength(1)
  })

  test('everywhere ends all sessions of the subject, its own first, also with a token that was rotated a moment before', async () => {
    const { sessions, visit, jar, live, events } = setUp()
    await visit(logIn('alice'), { headers: {} })
    await visit(logIn('alice'), { headers: { cookie: '' } })
    const stale = jar.exchange()
    await visit((session) => session.rotate())
    ;(await sessions.open(stale)).destroy({ everywhere: true })
    await sessions.commit(stale)
    expect(live()).toBe(0)
    expect(events.slice(-2)).toMatchObject([{ type: 'ended' }, { type: 'revoked', subject: 'alice', count: 1 }])
  })

  test('everywhere, called while the first destroy() is carried out, ends the other sessions, too', async () => {
    const { memory, visit, jar, with: another, live } = setUp()
    await visit(logIn('alice'), { headers: {} })
    await visit(logIn('alice'), { headers: { cookie: '' } })
    const sessions = another({ store: wrapped(memory, async (_name, call) => call()) })
    const exchange = jar.exchange()
    const session = await sessions.open(exchange)
    session.destroy()
    const first = session.update(() => {})
    await Promise.resolve()
    session.destroy({ everywhere: true })
    await first
    await sessions.commit(exchange)
    expect(live()).toBe(0)
  })

  test('everywhere needs an index, whatever the session is', async () => {
    const { memory, jar, with: another } = setUp()
    const { load, insert, replace, touch, remove } = memory
    const sessions = another({
      store: { load, insert, replace, touch, remove } as SessionStore,
      perSubject: undefined as never,
    })
    const session = await sessions.open(jar.exchange())
    expect(() => session.destroy({ everywhere: true })).toThrow(expect.objectContaining({ code: 'ERR_STORE_NO_INDEX' }))
  })

  test('lets what is stored afterwards begin another session', async () => {
    const { visit, found, live } = setUp()
    await visit(put({ a: 1 }))
    const before = await found()
    await visit((session) => {
      session.destroy()
      session.data.note = 'logged out'
    })
    const after = await found()
    expect(after.data).toEqual({ note: 'logged out' })
    expect(after.handle).not.toBe(before.handle)
    expect(live()).toBe(1)
    await visit((session) => {
      session.destroy()
      session.assign('bob', PROOF)
    })
    expect((await found()).subject).toBe('bob')
    expect(live()).toBe(1)
  })

  test('ends also a session that update() is only about to begin', async () => {
    const { visit, jar, live, memory, with: another } = setUp()
    const manager = another({ store: wrapped(memory, async (_name, call) => call()) })
    const destroying = (session: Session<Data>) => {
      const updating = session.update((data) => Object.assign(data, { a: 1 }))
      session.destroy()
      return updating
    }
    await visit(destroying, {}, manager)
    expect(jar.names).toEqual([])
    expect(live()).toBe(0)
  })

  test('undoes what update() has just begun', async () => {
    const { visit, jar, live } = setUp()
    await visit(async (session) => {
      await session.update((data) => Object.assign(data, { a: 1 }))
      session.destroy()
    })
    expect(jar.names).toEqual([])
    expect(live()).toBe(0)
  })
})

describe('update()', () => {
  const increment = (data: Data) => Object.assign(data, { count: Number(data.count ?? 0) + 1 })

  test('saves at once, together with what the request has changed so far', async () => {
    const { visit, found } = setUp()
    await visit(put({ count: 1 }))
    await visit(async (session) => {
      session.data.cart = ['tea']
      await session.update((data) => {
        increment(data)
        expect(data.cart).toEqual(['tea'])
      })
      expect((await found()).data).toEqual({ count: 2, cart: ['tea'] })
      expect(session.data).toEqual({ count: 2, cart: ['tea'] })
    })
  })

  test('begins a session where there was none, unless there is nothing to keep', async () => {
    const { visit, found, jar, live } = setUp()
    await visit((session) => session.update(() => {}))
    expect([jar.names, live()]).toEqual([[], 0])
    const exchange = await visit(async (session) => {
      await session.update(increment)
      expect(session.id).toBeDefined()
    })
    expect(setCookies(exchange)).toHaveLength(1)
    expect((await found()).data).toEqual({ count: 1 })
    expect(live()).toBe(1)
  })

  test('sees what another request has stored since, and leaves the objects that the application holds', async () => {
    const { visit, sessions, jar, found } = setUp()
    await visit(put({ count: 1, cart: ['tea'], seen: [] }))
    const exchange = jar.exchange()
    const session = await sessions.open(exchange)
    const { data } = session
    const cart = data.cart as string[]
    await visit(put({ count: 10 }))
    await session.update(increment)
    expect(data).toEqual({ count: 11, cart: ['tea'], seen: [] })
    expect(session.data).toBe(data)
    cart.push('milk')
    await sessions.commit(exchange)
    expect((await found()).data).toEqual({ count: 11, cart: ['tea', 'milk'], seen: [] })
  })

  test('called several times at once by one request runs them in turn, and the response waits for those not awaited', async () => {
    const { visit, found, memory, with: another } = setUp()
    const manager = another({ store: wrapped(memory, async (_name, call) => call()) })
    await visit(
      (session) => {
        session.data.cart = ['tea']
        void session.update(increment)
        void session.update(increment)
        void session.update(increment)
      },
      {},
      manager,
    )
    expect((await found(manager)).data).toEqual({ cart: ['tea'], count: 3 })
    await visit((session) => Promise.all([session.update(increment), session.update(increment)]), {}, manager)
    expect((await found(manager)).data.count).toBe(5)
  })

  test('on a session that has ended meanwhile fails with 409, writes nothing, and the rest of the request stays unsaved', async () => {
    const { sessions, jar, visit, live, events } = setUp()
    await visit(logIn('alice'))
    const exchange = jar.exchange()
    const session = await sessions.open(exchange)
    await sessions.revokeAll('alice')
    session.data.cart = ['tea']
    await expect(session.update(increment)).rejects.toMatchObject({ code: 'ERR_SESSION_ENDED', status: 409 })
    await expect(session.update(increment)).rejects.toMatchObject({ code: 'ERR_SESSION_ENDED' })
    expect(session.id).toBeUndefined()
    await expect((async () => sessions.commit(exchange))()).rejects.toMatchObject({ code: 'ERR_SESSION_ENDED' })
    expect(live()).toBe(0)
    expect(exchange.cookies.changed).toBe(false)
    expect(events.map(({ type }) => type)).toEqual(['created', 'revoked', 'discarded'])
  })

  test('leaves everything as it was when the change throws, or returns a promise', async () => {
    const { visit, found } = setUp()
    await visit(put({ count: 1 }))
    await visit(async (session) => {
      const throwing = (data: Data) => {
        increment(data)
        throw new Error('mine')
      }
      await expect(session.update(throwing)).rejects.toThrow('mine')
      await expect(session.update(async (data) => void increment(data))).rejects.toMatchObject({
        code: 'ERR_SESSION_DATA',
      })
      await expect(session.update(async () => Promise.reject(new Error('unheard')))).rejects.toMatchObject({
        code: 'ERR_SESSION_DATA',
      })
      expect(session.data).toEqual({ count: 1 })
    })
    expect((await found()).data).toEqual({ count: 1 })
  })

  test('after a rotation or a login in the same request carries it out', async () => {
    const { visit, found, live } = setUp()
    await visit(put({ cart: ['tea'], planted: true }))
    const exchange = await visit(async (session) => {
      session.assign('alice', PROOF, { carry: ['cart'] })
      await session.update(increment)
      expect(session.subject).toBe('alice')
      await session.update(increment)
    })
    expect(setCookies(exchange)).toHaveLength(1)
    const session = await found()
    expect([session.subject, session.data, session.login]).toEqual(['alice', { cart: ['tea'], count: 2 }, PROOF])
    expect(live()).toBe(1)
  })

  test.each([
    ['destroy', (session: Session<Data>) => session.destroy(), undefined, undefined],
    ['login', (session: Session<Data>) => session.assign('bob', PROOF, { carry: ['cart'] }), 'bob', { cart: ['tea'] }],
    ['rotation', (session: Session<Data>) => session.rotate(), 'alice', { cart: ['tea'], count: 1 }],
    ['change', put({ late: 1 }), 'alice', { cart: ['tea'], count: 1, late: 1 }],
  ])('that is still at work does not undo a %s', async (what, act, subject, data) => {
    const { visit, found, jar, live, memory, sessions, with: another } = setUp()
    await visit((session) => {
      session.assign('alice', PROOF)
      session.data.cart = ['tea']
    })
    const before = jar.exchange()
    let proceed: (() => void) | undefined
    const store = wrapped(memory, (name, call) => {
      if (name !== 'replace' || proceed !== undefined) return call()
      return new Promise<void>((resolve) => {
        proceed = resolve
      }).then(call)
    })
    await visit(
      (session) => {
        const updating = session.update(increment)
        act(session)
        proceed?.()
        return updating
      },
      {},
      another({ store }),
    )
    const session = await found()
    expect(session.subject).toBe(subject)
    if (data !== undefined) expect(session.data).toEqual(data)
    expect((await sessions.open(before)).subject).toBe(what === 'change' ? 'alice' : undefined)
    expect(live()).toBe(what === 'destroy' ? 0 : 1)
    expect(jar.names).toEqual(what === 'destroy' ? [] : [COOKIE])
  })

  test('of a request without a session refuses a change that returns a promise, as all others do', async () => {
    const { sessions, jar } = setUp()
    const exchange = jar.exchange()
    hooksOf(sessions).adopt(exchange, undefined)
    const session = await sessions.open(exchange)
    await session.update(increment)
    expect(session.data).toEqual({ count: 1 })
    const change = async () => {}
    await expect(session.update(change)).rejects.toMatchObject({ code: 'ERR_SESSION_DATA' })
  })

  test('after destroy() begins another session', async () => {
    const { visit, found, live } = setUp()
    await visit(logIn('alice'))
    await visit(async (session) => {
      session.destroy()
      await session.update(increment)
    })
    expect([(await found()).subject, (await found()).data]).toEqual([undefined, { count: 1 }])
    expect(live()).toBe(1)
  })
})

describe('commit', () => {
  test('a second time does nothing', async () => {
    const { sessions, jar, live } = setUp()
    const exchange = jar.exchange()
    const session = await sessions.open(exchange)
    session.data.a = 1
    await Promise.all([sessions.commit(exchange), sessions.commit(exchange)])
    session.data.a = 2
    await sessions.commit(exchange)
    expect(live()).toBe(1)
    expect(setCookies(exchange)).toHaveLength(1)
    jar.receive(exchange)
    expect((await sessions.open(jar.exchange())).data).toEqual({ a: 1 })
  })

  test('after a failure does nothing a second time either, so that an error page can leave', async () => {
    for (const fail of [
      () => {
        throw new Error('down')
      },
      () => Promise.reject(new Error('down')),
    ]) {
      const { memory } = setUp()
      const sessions = new SessionManager<Data>({
        store: wrapped(memory, (name, call) => (name === 'insert' ? fail() : call())),
      })
      const exchange = new TestJar().exchange()
      put({ a: 1 })(await sessions.open(exchange))
      const failed = expect.objectContaining({ code: 'ERR_STORE_UNAVAILABLE', status: 503, cause: new Error('down') })
      await expect((async () => sessions.commit(exchange))()).rejects.toEqual(failed)
      expect(await sessions.commit(exchange)).toBeUndefined()
      expect(exchange.cookies.changed).toBe(false)
    }
  })

  test('makes every later change an error', async () => {
    const { sessions, jar } = setUp()
    const before = jar.exchange()
    const session = await sessions.open(before)
    await sessions.commit(before)
    const after = jar.exchange()
    await sessions.commit(after)
    for (const late of [session, await sessions.open(after)]) {
      const refused = expect.objectContaining({ code: 'ERR_RESPONSE_STARTED' })
      expect(() => late.rotate()).toThrow(refused)
      expect(() => late.destroy()).toThrow(refused)
      expect(() => late.assign('alice', PROOF)).toThrow(refused)
      await expect(late.update(() => {})).rejects.toEqual(refused)
    }
  })

  test('waits for a session that is still being loaded', async () => {
    const { visit, jar, live, memory, with: another } = setUp()
    await visit(logIn('alice'))
    const sessions = another({ store: wrapped(memory, async (_name, call) => call()) })
    const exchange = jar.exchange()
    const opening = sessions.open(exchange) as Promise<Session<Data>>
    expect(sessions.opened(exchange)).toBeUndefined()
    const changing = opening.then((session) => session.destroy())
    await sessions.commit(exchange)
    await changing
    expect(live()).toBe(0)
  })

  test('does not fail for a session that could not be loaded, and keeps a later one from changing', async () => {
    const { jar, memory, visit, with: another } = setUp()
    await visit(logIn('alice'))
    let down = true
    const sessions = another({
      store: wrapped(memory, async (_name, call) => (down ? Promise.reject(new Error('down')) : call())),
    })
    const exchange = jar.exchange()
    const opening = (async () => sessions.open(exchange))()
    const committing = sessions.commit(exchange)
    await expect(opening).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    await expect(committing).resolves.toBeUndefined()
    down = false
    const session = await sessions.open(exchange)
    expect(session.subject).toBe('alice')
    expect(() => session.destroy()).toThrow(expect.objectContaining({ code: 'ERR_RESPONSE_STARTED' }))
  })

  test('of a change to a session that has ended meanwhile fails with 409, writes nothing, sets no cookie, and tells', async () => {
    const { sessions, jar, visit, events, live } = setUp()
    await visit(logIn('alice'))
    const exchange = jar.exchange()
    const session = await sessions.open(exchange)
    const { id } = session
    await visit((other) => other.destroy())
    session.data.a = 1
    await expect((async () => sessions.commit(exchange))()).rejects.toMatchObject({
      code: 'ERR_SESSION_ENDED',
      status: 409,
    })
    expect(events.at(-1)).toEqual({ type: 'discarded', id })
    expect(exchange.cookies.changed).toBe(false)
    expect(live()).toBe(0)
  })

  test('refuses data that JSON cannot carry, and more than fits', async () => {
    const { visit, live } = setUp({ dataLimit: 100 })
    await expect(visit(put({ big: 1n }))).rejects.toMatchObject({ code: 'ERR_SESSION_DATA' })
    await expect(visit(put({ call: () => {} }))).rejects.toMatchObject({ code: 'ERR_SESSION_DATA' })
    await expect(visit(put({ text: 'é'.repeat(50) }))).rejects.toMatchObject({ code: 'ERR_SESSION_TOO_LARGE' })
    expect(live()).toBe(0)
    await visit(put({ text: 'é'.repeat(40) }))
    expect(live()).toBe(1)
  })

  test.each([
    ['NaN', { n: Number.NaN }, 'NaN'],
    ['Infinity within an object', { deep: { n: [Number.POSITIVE_INFINITY] } }, 'Infinity'],
    ['a Date without a time', { at: new Date('tomorrow') }, 'Date'],
    ['undefined within a list', { list: [1, undefined] }, 'undefined'],
    ['a Map within a list', { list: [new Map()] }, 'Map'],
  ])('refuses %s, which JSON would change without a word', async (_what, data, named) => {
    const { visit, live } = setUp()
    await expect(visit(put(data))).rejects.toMatchObject({
      code: 'ERR_SESSION_DATA',
      message: expect.stringContaining(named),
    })
    expect(live()).toBe(0)
  })

  test('refuses NaN also where null was stored, which has the same JSON text', async () => {
    const { visit } = setUp()
    await visit(put({ n: null }))
    await expect(visit(put({ n: Number.NaN }))).rejects.toMatchObject({ code: 'ERR_SESSION_DATA' })
  })

  test('of a session that expired while its request was at work fails with 409 if there was something to save', async () => {
    const { sessions, jar, visit, clock, live } = setUp({ idleTimeout: HOUR })
    await visit(logIn('alice'))
    const [writing, reading] = [jar.exchange(), jar.exchange()]
    put({ a: 1 })(await sessions.open(writing))
    await sessions.open(reading)
    clock.advance(HOUR)
    await expect((async () => sessions.commit(writing))()).rejects.toMatchObject({ status: 409 })
    expect(await sessions.commit(reading)).toBeUndefined()
    expect(setCookies(writing)).toEqual([])
    expect(live()).toBe(0)
  })

  test('does not fail where only being seen cannot be written down, and tells', async () => {
    for (const fail of [
      () => {
        throw new Error('locked')
      },
      () => Promise.reject(new Error('locked')),
    ]) {
      const { memory, jar, visit, clock, events, with: another } = setUp()
      await visit(logIn('alice'))
      clock.advance(120)
      const failing = another({ store: wrapped(memory, (name, call) => (name === 'touch' ? fail() : call())) })
      await visit((session) => expect(session.subject).toBe('alice'), {}, failing)
      expect(events.at(-1)).toMatchObject({ type: 'touch_failed', error: { code: 'ERR_STORE_UNAVAILABLE' } })
      expect(jar.names).toEqual([COOKIE])
    }
  })

  test('by a clock that is behind for a moment shortens no session', async () => {
    const { visit, found, clock } = setUp({ idleTimeout: HOUR })
    await visit(logIn('alice'))
    clock.advance(HOUR / 2)
    await visit(put({ a: 1 }))
    const { expiresAt } = await found()
    for (const act of [put({ a: 2 }), (session: Session<Data>) => session.rotate()]) {
      clock.advance(-HOUR / 2)
      await visit(act)
      clock.advance(HOUR / 2)
      expect((await found()).expiresAt).toBe(expiresAt)
    }
  })
})

describe('a login racing with a logout of the same session', () => {
  test('is new authority: it stands, with nothing but what its own request has stored', async () => {
    const { sessions, jar, visit, found, live } = setUp()
    await visit(put({ cart: ['tea'], lang: 'eo' }))
    const exchange = jar.exchange()
    const session = await sessions.open(exchange)
    session.assign('alice', PROOF, { carry: ['cart', 'lang'] })
    Object.assign(session.data, { lang: 'de', fresh: true })
    await visit((other) => other.destroy())
    await sessions.commit(exchange)
    jar.receive(exchange)
    const after = await found()
    expect([after.subject, after.data]).toEqual(['alice', { lang: 'de', fresh: true }])
    expect(live()).toBe(1)
  })

  test('gets another handle, so that whoever ended the old session has ended it', async () => {
    const { sessions, jar, visit, found } = setUp()
    await visit(logIn('alice'))
    const { handle = '' } = await found()
    const exchange = jar.exchange()
    const session = await sessions.open(exchange)
    session.assign('alice', PROOF)
    expect(await sessions.revokeHandle('alice', handle)).toBe(true)
    await sessions.commit(exchange)
    jar.receive(exchange)
    expect((await found()).subject).toBe('alice')
    expect((await found()).handle).not.toBe(handle)
    expect(await sessions.revokeHandle('alice', handle)).toBe(false)
  })

  test('takes along what it carries over from where the session went meanwhile; all of it if that is its own subject’s', async () => {
    for (const [subject, kept] of [
      ['bob', { cart: ['tea', 'milk'] }],
      ['alice', { cart: ['tea', 'milk'], own: 1 }],
    ] as const) {
      const { sessions, jar, visit, found, live } = setUp()
      await visit(put({ cart: ['tea'] }))
      const exchange = jar.exchange()
      const session = await sessions.open(exchange)
      session.assign(subject, PROOF, { carry: ['cart'] })
      await visit((other) => other.assign('alice', PROOF, { carry: ['cart'] }))
      await visit(put({ cart: ['tea', 'milk'], own: 1 }))
      await sessions.commit(exchange)
      const first = await found()
      jar.receive(exchange)
      const second = await found()
      expect([second.subject, second.data]).toEqual([subject, kept])
      expect(second.handle).not.toBe(first.handle)
      expect(live()).toBe(2)
    }
  })

  test('takes nothing along if its token had ended before it arrived', async () => {
    const { sessions, jar, visit, found } = setUp()
    await visit(put({ cart: ['tea'] }))
    const exchange = jar.exchange()
    await visit((other) => other.rotate())
    const session = await sessions.open(exchange)
    expect(session.data).toEqual({})
    session.assign('alice', PROOF, { carry: ['cart'] })
    await sessions.commit(exchange)
    jar.receive(exchange)
    expect([(await found()).subject, (await found()).data]).toEqual(['alice', {}])
  })

  test('also when the request has heard of the logout from update()', async () => {
    const { sessions, jar, visit, found } = setUp()
    await visit(put({ cart: ['tea'] }))
    const exchange = jar.exchange()
    const session = await sessions.open(exchange)
    expect(session.data.cart).toEqual(['tea'])
    await visit((other) => other.destroy())
    await expect(session.update(() => {})).rejects.toMatchObject({ code: 'ERR_SESSION_ENDED' })
    session.assign('alice', PROOF, { carry: ['cart'] })
    await sessions.commit(exchange)
    jar.receive(exchange)
    expect([(await found()).subject, (await found()).data]).toEqual(['alice', {}])
  })
})

describe('keys', () => {
  test('change without logging anyone out, and without writing a token again: it could overwrite that of a newer login', async () => {
    const { visit, found, jar, with: another } = setUp({ keys: [first] })
    await visit(logIn('alice'))
    const rotated = another({ keys: [second, first] })
    expect((await found(rotated)).subject).toBe('alice')
    expect(setCookies(await visit(put({ a: 1 }), {}, rotated))).toEqual([])
    await visit((session) => session.rotate(), {}, rotated)
    expect((await found(another({ keys: [second] }))).subject).toBe('alice')
    expect(jar.names).toEqual([COOKIE])
  })

  test('never bring back the token of a session that ended while the request ran', async () => {
    const { visit, jar, sessions, with: another } = setUp({ keys: [first] })
    await visit(logIn('alice'))
    const rotated = another({ keys: [second, first] })
    const exchange = jar.exchange()
    await rotated.open(exchange)
    await sessions.revokeAll('alice')
    await rotated.commit(exchange)
    expect(exchange.cookies.changed).toBe(false)
  })

  test('a forged tag is told, and costs no store call', async () => {
    const { sessions, jar, events, memory } = setUp({ keys: [first] })
    const load = vi.spyOn(memory, 'load')
    jar.set(COOKIE, `${'A'.repeat(43)}.${'A'.repeat(16)}`)
    expect((await sessions.open(jar.exchange())).absence).toBe('forged')
    expect(load).not.toHaveBeenCalled()
    expect(events).toEqual([{ type: 'token_forged', cookie: COOKIE }])
  })

  test('configured later refuse older tokens, unless keysSince says that there are some', async () => {
    const { visit, found, clock, jar, with: another } = setUp({ idleTimeout: 7 * DAY })
    await visit(logIn('alice'))
    clock.advance(HOUR)
    const keysSince = new Date(clock())
    expect((await found(another({ keys: [first] }))).absence).toBe('forged')
    const tagging = another({ keys: [first], keysSince })
    expect((await found(tagging)).subject).toBe('alice')
    expect(setCookies(await visit(put({ a: 1 }), {}, tagging))).toEqual([])
    await visit(logIn('alice'), {}, tagging)
    expect(jar.get(COOKIE)).toMatch(/\./)
    expect((await found(another({ keys: [first] }))).subject).toBe('alice')
  })

  test('with keysSince refuse untagged tokens of sessions that began later, and ask the store for none once all older ones have ended', async () => {
    const { visit, found, clock, jar, memory, events, with: another } = setUp()
    const keyed = another({ keys: [first], keysSince: new Date(clock()) })
    await visit(logIn('alice'), {}, keyed)
    jar.set(COOKIE, jar.get(COOKIE)?.slice(0, 43) ?? '')
    expect((await found(keyed)).absence).toBe('forged')
    expect(events.at(-1)).toEqual({ type: 'token_forged', cookie: COOKIE })
    const load = vi.spyOn(memory, 'load')
    clock.advance(30 * DAY)
    expect((await found(keyed)).absence).toBe('forged')
    expect(load).not.toHaveBeenCalled()
  })

  test('taken away again log nobody out', async () => {
    const { visit, found, with: another } = setUp({ keys: [first] })
    await visit(logIn('alice'))
    expect((await found(another({ keys: undefined as never }))).subject).toBe('alice')
  })
})

describe('the sessions of a subject', () => {
  async function twoDevices() {
    const world = setUp()
    await world.visit(logIn('alice'), { headers: { 'user-agent': 'curl/8' } })
    const phone = new TestJar()
    world.clock.advance(10)
    const exchange = phone.exchange({ headers: { 'user-agent': 'Mozilla/5.0 (iPhone) Safari/1' } })
    logIn('alice')(await world.sessions.open(exchange))
    await world.sessions.commit(exchange)
    phone.receive(exchange)
    return { ...world, phone, onPhone: async () => await world.sessions.open(phone.exchange()) }
  }

  test('are listed with all but their data and tokens, the latest first', async () => {
    const { sessions, clock, onPhone } = await twoDevices()
    const listed = await sessions.list('alice')
    expect(listed.map(({ client }) => client.device)).toEqual(['Safari on iPhone', 'curl'])
    const { id, handle } = await onPhone()
    expect(listed[0]).toEqual({
      id,
      handle,
      subject: 'alice',
      createdAt: clock(),
      seenAt: clock(),
      expiresAt: clock() + DAY * 1000,
      login: PROOF,
      client: { device: 'Safari on iPhone', address: '203.0.113.7' },
    })
    expect(await sessions.list('bob')).toEqual([])
  })

  test('end by handle, but only their own', async () => {
    const { sessions, found, onPhone, events } = await twoDevices()
    const { handle = '' } = await onPhone()
    expect(await sessions.revokeHandle('bob', handle)).toBe(false)
    expect(await sessions.revokeHandle('alice', 'unknown')).toBe(false)
    expect((await onPhone()).subject).toBe('alice')
    expect(await sessions.revokeHandle('alice', handle)).toBe(true)
    expect((await onPhone()).absence).toBe('unknown')
    expect((await found()).subject).toBe('alice')
    expect(events.at(-1)).toEqual({ type: 'revoked', subject: 'alice', count: 1 })
  })

  test('end by id', async () => {
    const { sessions, found, onPhone, events } = await twoDevices()
    const { id } = await onPhone()
    if (id !== undefined) await sessions.revoke(id)
    expect((await onPhone()).absence).toBe('unknown')
    expect((await found()).subject).toBe('alice')
    const ended = events.filter(({ type }) => type === 'revoked').length
    if (id !== undefined) await sessions.revoke(id)
    expect([ended, events.filter(({ type }) => type === 'revoked').length]).toEqual([1, 1])
  })

  test('are listed only while open() accepts them, also after the timeouts were shortened', async () => {
    const { clock, with: another } = await twoDevices()
    clock.advance(HOUR)
    expect(await another({ idleTimeout: 600 }).list('alice')).toEqual([])
    expect(await another({}).list('alice')).toHaveLength(2)
  })

  test('end all at once, or all but one', async () => {
    const { sessions, found, onPhone } = await twoDevices()
    expect(await sessions.revokeAll('alice', { except: (await found()).id })).toBe(1)
    expect((await onPhone()).absence).toBe('unknown')
    expect((await found()).subject).toBe('alice')
    expect(await sessions.revokeAll('alice')).toBe(1)
    expect((await found()).absence).toBe('unknown')
  })

  test('are twenty at most: a login beyond ends the oldest, a rotation none', async () => {
    const { sessions, clock, events } = setUp()
    const jars = Array.from({ length: 21 }, () => new TestJar())
    const from = async (jar: TestJar, act: Act) => {
      const exchange = jar.exchange()
      await act(await sessions.open(exchange))
      await sessions.commit(exchange)
      jar.receive(exchange)
    }
    for (const jar of jars.slice(0, 20)) {
      clock.advance(1)
      await from(jar, logIn('alice'))
    }
    for (const jar of jars.slice(0, 20)) await from(jar, (session) => session.rotate())
    for (const jar of jars.slice(1, 20)) await from(jar, logIn('alice'))
    expect(await sessions.list('alice')).toHaveLength(20)
    expect(events.filter(({ type }) => type === 'evicted')).toEqual([])
    clock.advance(1)
    await from(jars[20] ?? new TestJar(), logIn('alice'))
    expect(await sessions.list('alice')).toHaveLength(20)
    expect(events.filter(({ type }) => type === 'evicted')).toEqual([{ type: 'evicted', subject: 'alice', count: 1 }])
    expect((await sessions.open((jars[0] ?? new TestJar()).exchange())).absence).toBe('unknown')
  })

  test('cannot be asked for when the store has no index; logins work there, without a limit', async () => {
    const { memory } = setUp()
    const { load, insert, replace, touch, remove } = memory
    const bare: SessionStore = {
      load: load.bind(memory),
      insert: insert.bind(memory),
      replace: replace.bind(memory),
      touch: touch.bind(memory),
      remove: remove.bind(memory),
    }
    const { sessions, visit, found } = setUp({ store: bare })
    const refused = expect.objectContaining({ code: 'ERR_STORE_NO_INDEX', status: 500 })
    await expect(sessions.list('alice')).rejects.toEqual(refused)
    await expect(sessions.revokeAll('alice')).rejects.toEqual(refused)
    await expect(sessions.revokeHandle('alice', 'x')).rejects.toEqual(refused)
    expect(() => new SessionManager({ store: bare, perSubject: 5 })).toThrow(refused)
    await visit(logIn('alice'))
    expect((await found()).subject).toBe('alice')
    await visit((session) => session.destroy())
    expect((await found()).absence).toBe('no-cookie')
  })
})

describe('a store that fails', () => {
  test('is an error of operations, whatever it throws; the next request tries again', async () => {
    const { jar, memory, visit, with: another } = setUp()
    await visit(logIn('alice'))
    let down = true
    const failing = wrapped(memory, (_name, call) => {
      if (down) throw new TypeError('no connection')
      return call()
    })
    const rejecting = wrapped(memory, async (_name, call) => {
      if (down) throw new TypeError('no connection')
      return call()
    })
    for (const store of [failing, rejecting]) {
      down = true
      const sessions = another({ store })
      const exchange = jar.exchange()
      const refused = { code: 'ERR_STORE_UNAVAILABLE', status: 503, cause: new TypeError('no connection') }
      const opening = (async () => sessions.open(exchange))()
      await expect(opening).rejects.toMatchObject(refused)
      await expect(opening).rejects.toBeInstanceOf(StoreError)
      await expect(sessions.list('alice')).rejects.toMatchObject(refused)
      down = false
      expect((await sessions.open(exchange)).subject).toBe('alice')
    }
  })

  test('with an error of its own is left in peace', async () => {
    const { memory, jar } = setUp()
    const full = new StoreError('ERR_STORE_FULL', 'full')
    const sessions = new SessionManager<Data>({
      store: wrapped(memory, () => {
        throw full
      }),
    })
    const exchange = jar.exchange()
    put({ a: 1 })(await sessions.open(exchange))
    expect(() => sessions.commit(exchange)).toThrow(full)
  })

  test('or answers with something that is merely like a promise is understood', async () => {
    const { memory, visit, jar, with: another } = setUp()
    await visit(logIn('alice'))
    // biome-ignore lint/suspicious/noThenProperty: this is what query builders answer with
    const thenable = (answer: unknown) => ({ then: (done: (answer: unknown) => void) => done(answer) })
    const sessions = another({ store: wrapped(memory, (_name, call) => thenable(call())) })
    expect((await sessions.open(jar.exchange())).subject).toBe('alice')
  })
})

describe('a listener of events', () => {
  test('that fails changes nothing for the request, and is printed as a warning', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const failures = [
      () => {
        throw new Error('listener')
      },
      async () => Promise.reject(new Error('listener')),
    ]
    for (const onEvent of failures) {
      const { visit, found } = setUp({ onEvent })
      await visit(logIn('alice'))
      expect((await found()).subject).toBe('alice')
    }
    await new Promise((resolve) => setImmediate(resolve))
    expect(warn).toHaveBeenCalledTimes(2)
    warn.mockRestore()
  })
})

describe('options', () => {
  const store = memoryStore()
  test.each([
    [undefined],
    [{ store: {} }],
    [{ store, cookie: plainCookie('__Host-session', { encoding: 'none', purpose: 'preferences' }) }],
    [{ store: undefined }],
    [{ store, idleTimeout: 0 }],
    [{ store, absoluteTimeout: Number.POSITIVE_INFINITY }],
    [{ store, remember: { idleTimeout: -1 } }],
    [{ store, idleTimeout: 30, touchInterval: 60 }],
    [{ store, touchInterval: Number.NaN }],
    [{ store, perSubject: 0 }],
    [{ store, dataLimit: 1.5 }],
    [{ store, keysSince: new Date() }],
    [{ store, keys: [first], keysSince: new Date('x') }],
    [{ store, keys: [first], keysSince: '2026-11-23' }],
    ...[0, -1, 0.0004, Number.NaN, Number.MAX_VALUE, Number.POSITIVE_INFINITY, '60', 604_800_000].flatMap(
      (seconds): [object][] => [
        [{ store, idleTimeout: seconds }],
        [{ store, absoluteTimeout: seconds }],
        [{ store, remember: { idleTimeout: seconds } }],
        [{ store, remember: { absoluteTimeout: seconds } }],
        [{ store, touchInterval: Number(seconds) >= 0 && Number(seconds) < 1 ? -1 : seconds }],
      ],
    ),
    ...[0, -1, 1.5, Number.NaN, 2 ** 60, '20'].flatMap((n): [object][] => [
      [{ store, perSubject: n }],
      [{ store, dataLimit: n }],
    ]),
    // Milliseconds, where seconds are meant.
    [{ store, idleTimeout: 1_800_000 }],
    [{ store, idleTimeout: 3600, absoluteTimeout: 1800 }],
    [{ store, remember: { idleTimeout: 31 * DAY } }],
    [{ store, clock: () => Number.NaN }],
  ])('that make no sense are refused: %j', (options) => {
    expect(() => new SessionManager(options as unknown as SessionOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_SESSION_OPTIONS', status: 500 }),
    )
  })

  test('an idle timeout that is not given fits the absolute one', async () => {
    const { clock, visit, found } = setUp({ absoluteTimeout: 3600, remember: { absoluteTimeout: 3600 } })
    await visit(put({ a: 1 }))
    clock.advance(3599)
    expect((await found()).data).toEqual({ a: 1 })
    clock.advance(1)
    expect((await found()).absence).toBe('unknown')
  })

  test('of fractions, in options and on the clock, whole milliseconds reach the store', async () => {
    const clock = testClock(Date.UTC(2026, 0, 1, 12) + 0.4)
    const { memory, visit } = setUp({ clock, idleTimeout: 100 / 3, absoluteTimeout: 200 / 3, touchInterval: 0.0014 })
    const [insert, replace, touch] = [
      vi.spyOn(memory, 'insert'),
      vi.spyOn(memory, 'replace'),
      vi.spyOn(memory, 'touch'),
    ]
    for (const act of [put({ a: 1 }), put({ a: 2 }), () => {}]) {
      await visit(act)
      clock.advance(1.0007)
    }
    const written = [...insert.mock.calls, ...replace.mock.calls].map(([record]) => record)
    const times = [
      ...written.flatMap(({ createdAt, seenAt, expiresAt }) => [createdAt, seenAt, expiresAt]),
      ...touch.mock.calls.flatMap(([, seenAt, expiresAt]) => [seenAt, expiresAt]),
    ]
    expect(times).toHaveLength(8)
    expect(times.filter((time) => !Number.isSafeInteger(time))).toEqual([])
  })

  test('a short idle timeout is kept alive by requests without further options', async () => {
    const { clock, visit, found } = setUp({ idleTimeout: 30 })
    await visit(put({ a: 1 }))
    for (let i = 0; i < 10; i++) {
      clock.advance(20)
      await visit()
    }
    expect((await found()).data).toEqual({ a: 1 })
  })
})
