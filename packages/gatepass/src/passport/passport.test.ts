import type { Keys } from 'gatepass/cookie'
import { type Attempt, type Exchange, type LoginIntent, type Outcome, Passport, type Strategy } from 'gatepass/passport'
import { type Session, SessionManager } from 'gatepass/session'
import { type MemoryStore, memoryStore } from 'gatepass/stores/memory'
import { TestExchange, TestJar, testClock } from 'gatepass/testing'
import { describe, expect, test } from 'vitest'

interface User {
  readonly id: string
  readonly credentials: string
}

const ada: User = { id: 'ada', credentials: 'first' }

function concluding<Name extends string>(name: Name, outcome: Outcome<User>): Strategy<User, Name> & { asked: number } {
  return {
    name,
    asked: 0,
    authenticate() {
      this.asked++
      return outcome
    },
  }
}

interface WorldOptions {
  stamp?: (user: User) => string
  carry?: string[]
  keys?: Keys
  store?: MemoryStore
}

function world(options: WorldOptions = {}) {
  const clock = testClock()
  const store = options.store ?? memoryStore({ clock })
  const byId = new Map([['ada', ada]])
  const sessions = new SessionManager<object>({ store, clock, ...(options.keys && { keys: options.keys }) })
  let lookups = 0
  const passport = new Passport<User>({
    users: {
      find: (id) => {
        lookups++
        return byId.get(id)
      },
      subject: (user) => user.id,
      ...(options.stamp !== undefined && { stamp: options.stamp }),
    },
    strategies: [],
    sessions,
    clock,
    ...(options.carry !== undefined && { carry: options.carry }),
  })
  const jar = new TestJar()
  /** One request of this browser, saved at its end. */
  const request = async <T>(handle: (exchange: Exchange) => T | Promise<T>): Promise<T> => {
    const exchange = jar.exchange()
    const answer = await handle(exchange)
    await sessions.commit(exchange)
    jar.receive(exchange)
    return answer
  }
  const logIn = (user = ada, remember = false) =>
    request((exchange) => passport.login(exchange, { type: 'success', user, amr: ['pwd'] }, { remember }))
  return { clock, byId, store, sessions, passport, jar, request, logIn, lookups: () => lookups }
}

describe('authenticate', () => {
  const success = concluding('yes', { type: 'success', user: ada })
  const missing = concluding('missing', { type: 'failure', reason: 'missing', challenge: 'Basic realm="x"' })
  const locked = concluding('locked', { type: 'failure', reason: 'locked', status: 429, retryAfter: 30 })
  const pass = concluding('pass', { type: 'pass' })
  const away = concluding('away', { type: 'redirect', location: 'https://provider.example/' })
  const reply = concluding('reply', { type: 'respond', reply: { status: 418, headers: {} } })
  const passport = new Passport({
    users: { find: () => ada, subject: (user: User) => user.id },
    strategies: [success, missing, locked, pass, away, reply],
  })
  const exchange = new TestExchange()

  test('the first strategy that concludes decides, and the rest are not asked', async () => {
    success.asked = away.asked = 0
    const verdict = await passport.authenticate(exchange, ['pass', 'missing', 'yes', 'away'])
    expect(verdict).toEqual({ type: 'success', user: ada, strategy: 'yes' })
    expect([success.asked, away.asked]).toEqual([1, 0])
  })

  test('a redirect and a reply of a strategy are handed on', async () => {
    expect((await passport.authenticate(exchange, ['missing', 'away'])).type).toBe('redirect')
    expect((await passport.authenticate(exchange, 'reply')).type).toBe('respond')
  })

  test('a refusal keeps what every strategy said, the first status and all challenges', async () => {
    expect(await passport.authenticate(exchange, ['missing', 'pass', 'locked'])).toEqual({
      type: 'rejection',
      status: 429,
      challenges: ['Basic realm="x"'],
      failures: [
        { type: 'failure', reason: 'missing', challenge: 'Basic realm="x"', strategy: 'missing' },
        { type: 'failure', reason: 'locked', status: 429, retryAfter: 30, strategy: 'locked' },
      ],
    })
  })

  test('strategies that all pass are a refusal with 401', async () => {
    expect(await passport.authenticate(exchange, ['pass'])).toMatchObject({
      type: 'rejection',
      status: 401,
      failures: [],
    })
  })

  test('an unknown name is the developer’s mistake, and names those that are known', async () => {
    await expect(passport.authenticate(exchange, 'githbu' as 'yes')).rejects.toMatchObject({
      code: 'ERR_PASSPORT_UNKNOWN_STRATEGY',
      hint: expect.stringContaining('missing'),
    })
  })

  test('no name at all is the developer’s mistake, too', async () => {
    const passport = new Passport<User>({ users: { find: () => ada, subject: ({ id }) => id }, strategies: [success] })
    await expect(passport.authenticate(new TestExchange(), [])).rejects.toMatchObject({ code: 'ERR_PASSPORT_OPTIONS' })
  })

  test('what a strategy throws is thrown on', async () => {
    const broken: Strategy<User, 'broken'> = {
      name: 'broken',
      authenticate: () => Promise.reject(new Error('directory away')),
    }
    const asking = new Passport({ users: { find: () => ada, subject: (user: User) => user.id }, strategies: [broken] })
    await expect(asking.authenticate(exchange, 'broken')).rejects.toThrow('directory away')
  })

  test('two strategies of one name are refused when the Passport is made', () => {
    const users = { find: () => ada, subject: (user: User) => user.id }
    expect(() => new Passport({ users, strategies: [pass, pass] })).toThrow(
      expect.objectContaining({ code: 'ERR_PASSPORT_OPTIONS' }),
    )
  })
})

describe('login and user', () => {
  test('a login is kept, with when and how it was proved, and the user is looked up once per exchange', async () => {
    const { logIn, request, passport, sessions, clock, lookups } = world()
    await logIn()
    await request(async (exchange) => {
      expect(await passport.user(exchange)).toBe(ada)
      expect(await passport.user(exchange)).toBe(ada)
      expect((await sessions.open(exchange)).login).toMatchObject({ at: clock(), amr: ['pwd'] })
    })
    expect(lookups()).toBe(1)
  })

  test('the session holds no credentials, only a digest of the stamp', async () => {
    const { logIn, request, sessions } = world({ stamp: (user) => user.credentials })
    await logIn({ id: 'ada', credentials: 'the-stored-password-hash' })
    await request(async (exchange) => {
      const login = (await sessions.open(exchange)).login
      expect(login?.stamp).toMatch(/^[0-9a-f]{32}$/)
      expect(JSON.stringify(login)).not.toContain('the-stored-password-hash')
    })
  })

  test('a login made under another stamp ends, here and for good', async () => {
    const { logIn, request, passport, byId } = world({ stamp: (user) => user.credentials })
    await logIn()
    byId.set('ada', { id: 'ada', credentials: 'second' })
    await request(async (exchange) => {
      expect(await passport.user(exchange)).toBeUndefined()
      expect(passport.anonymity(exchange)).toBe('credentials-changed')
    })
    byId.set('ada', ada)
    expect(await request((exchange) => passport.user(exchange))).toBeUndefined()
  })

  test('a login from before stamps were configured ends', async () => {
    const { logIn, passport, sessions, jar } = world()
    await logIn()
    const strict = new Passport<User>({
      users: { find: () => ada, subject: (user) => user.id, stamp: (user) => user.credentials },
      strategies: [],
      sessions,
    })
    expect(await strict.user(jar.exchange())).toBeUndefined()
    expect(await passport.user(jar.exchange())).toBe(ada)
  })

  test('a user first asked for after the response began is refused as well, and logged out by the next request', async () => {
    const { logIn, passport, sessions, byId, jar, request } = world()
    await logIn()
    byId.delete('ada')
    const exchange = jar.exchange()
    await sessions.open(exchange)
    await sessions.commit(exchange)
    expect(await passport.user(exchange)).toBeUndefined()
    await request((next) => passport.user(next))
    expect(jar.names).toEqual([])
  })

  test('a new password logs in, although the browser still has the session of the old one', async () => {
    let stamp = 'old'
    const { passport, sessions, jar, logIn, byId } = world({ stamp: () => stamp })
    await logIn()
    stamp = 'new'
    const users = { find: (id: string) => byId.get(id), subject: (user: User) => user.id, stamp: () => stamp }
    const form = concluding('form', { type: 'success', user: ada })
    const other = new Passport<User>({ users, strategies: [form], sessions })
    const exchange = jar.exchange()
    expect((await sessions.open(exchange)).subject).toBe('ada')
    const verdict = await other.authenticate(exchange, 'form')
    expect(verdict.type).toBe('success')
    if (verdict.type === 'success') await other.login(exchange, verdict)
    await sessions.commit(exchange)
    jar.receive(exchange)
    expect(await passport.user(jar.exchange())).toEqual(ada)
  })

  test('a user who is gone is logged out', async () => {
    const { logIn, request, passport, byId } = world()
    await logIn()
    byId.delete('ada')
    await request(async (exchange) => {
      expect(await passport.user(exchange)).toBeUndefined()
      expect(passport.anonymity(exchange)).toBe('user-gone')
    })
  })

  test('two who ask for the user at the same time share one lookup, and after a failure the next one tries again', async () => {
    const { jar, logIn, sessions } = world()
    await logIn()
    const lookups: PromiseWithResolvers<User>[] = []
    const find = (): Promise<User> => {
      lookups.push(Promise.withResolvers<User>())
      return (lookups.at(-1) as PromiseWithResolvers<User>).promise
    }
    const passport = new Passport<User>({ users: { find, subject: ({ id }) => id }, strategies: [], sessions })
    const exchange = jar.exchange()

    const failing = [passport.user(exchange), passport.user(exchange)]
    lookups[0]?.reject(new Error('away'))
    for (const user of failing) await expect(user).rejects.toThrow('away')
    const found = [passport.user(exchange), passport.user(exchange)]
    lookups[1]?.resolve(ada)
    expect(await Promise.all(found)).toEqual([ada, ada])
    expect([passport.user(exchange), lookups.length]).toEqual([ada, 2])
  })

  test.each([null, false])('a lookup that finds %s finds nobody', async (nobody) => {
    const { byId, logIn, passport, request } = world()
    await logIn()
    byId.set('ada', nobody as unknown as User)
    await request(async (exchange) => {
      expect(await passport.user(exchange)).toBeUndefined()
      expect(passport.anonymity(exchange)).toBe('user-gone')
    })
  })

  test('a success that does not persist counts for its own exchange alone', async () => {
    const { request, passport, jar } = world()
    await request(async (exchange) => {
      await passport.login(exchange, { type: 'success', user: ada, persist: false })
      expect(await passport.user(exchange)).toBe(ada)
    })
    expect(jar.names).toEqual([])
    expect(await request((exchange) => passport.user(exchange))).toBeUndefined()
  })

  test('after a logout there is nobody, in this exchange already', async () => {
    const { logIn, request, passport, jar } = world()
    await logIn()
    await request(async (exchange) => {
      await passport.user(exchange)
      await passport.logout(exchange)
      expect(await passport.user(exchange)).toBeUndefined()
    })
    expect(jar.names).toEqual([])
  })

  test('a logout that comes in while the user is looked up is not undone', async () => {
    const { jar, sessions, logIn } = world()
    let found = (_user: User): void => {}
    const slow = new Passport<User>({
      users: { find: () => new Promise<User>((resolve) => (found = resolve)), subject: (user) => user.id },
      strategies: [],
      sessions,
    })
    await logIn()
    const exchange = jar.exchange()
    const asked = slow.user(exchange)
    await slow.logout(exchange)
    found(ada)
    expect(await asked).toBeUndefined()
  })

  test('a user who is gone no longer stands, also if they are still being looked up', async () => {
    const clock = testClock()
    const sessions = new SessionManager<object>({ store: memoryStore({ clock }), clock })
    const find = async (): Promise<User | undefined> => undefined
    const passport = new Passport<User>({
      users: { find, subject: ({ id }) => id },
      strategies: [],
      sessions,
      clock,
    })
    const jar = new TestJar()
    const before = jar.exchange()
    await passport.login(before, { type: 'success', user: ada })
    await sessions.commit(before)
    jar.receive(before)
    const exchange = jar.exchange()
    const looking = passport.user(exchange)
    expect(await passport.stillStands(exchange)).toBe(false)
    expect(await looking).toBeUndefined()
  })

  test('a thenable that is no promise is waited for', async () => {
    const { jar, sessions, logIn } = world()
    await logIn()
    // biome-ignore lint/suspicious/noThenProperty: what query builders return
    const query = { then: (resolve: (user: User | undefined) => void) => resolve(undefined) } as PromiseLike<undefined>
    const passport = new Passport<User>({
      users: { find: () => query, subject: (user) => user.id },
      strategies: [],
      sessions,
    })
    expect(await passport.user(jar.exchange())).toBeUndefined()
  })

  test('a subject that is no text is the developer’s mistake', async () => {
    const { sessions } = world()
    const users = { find: () => ada, subject: () => 7 as unknown as string }
    const passport = new Passport<User>({ users, strategies: [], sessions })
    await expect(passport.login(new TestExchange(), { type: 'success', user: ada })).rejects.toMatchObject({
      code: 'ERR_PASSPORT_SUBJECT',
    })
  })

  test('a login without sessions says what is missing', async () => {
    const passport = new Passport<User>({ users: { find: () => ada, subject: (user) => user.id }, strategies: [] })
    await expect(passport.login(new TestExchange(), { type: 'success', user: ada })).rejects.toMatchObject({
      code: 'ERR_PASSPORT_NO_SESSIONS',
    })
    expect(passport.user(new TestExchange())).toBeUndefined()
  })

  test('a visitor’s data survives a login only where carry names it, and nothing passes from one user to another', async () => {
    const { request, sessions, logIn } = world({ carry: ['cart'] })
    const data = (exchange: Exchange) => (sessions.open(exchange) as Session<object>).data as Record<string, unknown>
    await request((exchange) => Object.assign(data(exchange), { cart: ['pen'], role: 'admin' }))
    await logIn()
    expect(await request((exchange) => ({ ...data(exchange) }))).toEqual({ cart: ['pen'] })
  })
})

describe('login flows', () => {
  function flows(options: Pick<WorldOptions, 'keys' | 'store'> & { clock?: () => number } = {}) {
    const { sessions, passport: _, ...rest } = world(options)
    const attempts: Attempt[] = []
    const flowOf = (name: string): Strategy<User> => ({
      name,
      authenticate(_exchange, attempt) {
        attempts.push(attempt)
        return { type: 'pass' }
      },
    })
    const passport = new Passport<User>({
      users: { find: () => ada, subject: (user) => user.id },
      strategies: [flowOf('google'), flowOf('github'), flowOf('google:work')],
      sessions,
      clock: options.clock ?? rest.clock,
    })
    const flow = async (exchange: Exchange, strategy: string, wish?: LoginIntent) => {
      await passport.authenticate(exchange, strategy, {}, wish)
      return (attempts.pop() as Attempt).flow
    }
    return { ...rest, sessions, flow }
  }

  test('a login flow value is used at most once, in the browser that started it, by the strategy that started it', async () => {
    const { request, flow, sessions } = flows()
    const handle = await request(async (exchange) => (await flow(exchange, 'google')).start({ verifier: 'v' }, 600))

    const elsewhere = new TestJar().exchange()
    expect(await (await flow(elsewhere, 'google')).finish(handle)).toBeUndefined()
    expect(await request(async (exchange) => (await flow(exchange, 'github')).finish(handle))).toBeUndefined()

    const [one, two] = await Promise.all([
      request(async (exchange) => (await flow(exchange, 'google')).finish(handle)),
      request(async (exchange) => (await flow(exchange, 'google')).finish(handle)),
    ])
    expect([one, two].filter((value) => value !== undefined)).toEqual([{ verifier: 'v' }])
    expect(await request(async (exchange) => (await flow(exchange, 'google')).finish(handle))).toBeUndefined()
    expect(sessions.synchronous).toBe(true)
  })

  test('a state that was used is used also for a process whose clock is half an hour behind', async () => {
    const { flow, clock, jar, store } = flows()
    const begin = jar.exchange()
    const state = await (await flow(begin, 'google')).start('verifier', 600)
    jar.receive(begin)
    expect(await (await flow(jar.exchange(), 'google')).finish(state)).toBe('verifier')
    clock.advance(12 * 60)
    const behind = flows({ store, clock: () => clock() - 30 * 60_000 })
    expect(await (await behind.flow(jar.exchange(), 'google')).finish(state)).toBeUndefined()
  })

  test('two tabs that start a login do not overwrite each other', async () => {
    const { flow, jar, sessions, request } = flows()
    await request(async (exchange) => Object.assign((await sessions.open(exchange)).data, { seen: true }))
    const [first, second] = [jar.exchange(), jar.exchange()]
    const one = await (await flow(first, 'google')).start('one', 600)
    const two = await (await flow(second, 'google')).start('two', 600)
    for (const exchange of [first, second]) {
      await sessions.commit(exchange)
      jar.receive(exchange)
    }
    expect(await request(async (exchange) => (await flow(exchange, 'google')).finish(one))).toBe('one')
    expect(await request(async (exchange) => (await flow(exchange, 'google')).finish(two))).toBe('two')
  })

  test('a flow that took too long is over', async () => {
    const { flow, request, clock } = flows()
    const handle = await request(async (exchange) => (await flow(exchange, 'google')).start('late', 600))
    clock.advance(600)
    expect(await request(async (exchange) => (await flow(exchange, 'google')).finish(handle))).toBeUndefined()
  })

  test('of more than five open flows of a browser the oldest is dropped', async () => {
    const { flow, request } = flows()
    const start = () => request(async (exchange) => (await flow(exchange, 'google')).start('x', 600))
    const handles = [await start(), await start(), await start(), await start(), await start(), await start()]
    const [oldest = '', next = ''] = handles
    expect(await request(async (exchange) => (await flow(exchange, 'google')).finish(oldest))).toBeUndefined()
    expect(await request(async (exchange) => (await flow(exchange, 'google')).finish(next))).toBe('x')
  })

  test('a strategy whose name begins with another’s has flows of its own', async () => {
    const { flow, request } = flows()
    const handle = await request(async (exchange) => (await flow(exchange, 'google:work')).start('x', 600))
    expect(await request(async (exchange) => (await flow(exchange, 'google')).finish(`work:${handle}`))).toBeUndefined()
    for (let n = 0; n < 4; n++) await request(async (exchange) => (await flow(exchange, 'google')).start('y', 600))
    expect(await request(async (exchange) => (await flow(exchange, 'google:work')).finish(handle))).toBe('x')
  })

  test('a login that begins costs a visitor one sealed cookie and no record', async () => {
    const { flow, request, jar, store } = flows({ keys: ['k'.repeat(32)] })
    const secret = 'a-verifier-that-the-browser-must-not-read'
    const handle = await request(async (exchange) => (await flow(exchange, 'google')).start({ secret }, 600))
    expect(store.size).toBe(0)
    expect(jar.names).toEqual([`__Host-gp-tx-${handle.slice(0, 8)}`])
    const [name = ''] = jar.names
    expect(jar.get(name)).toMatch(/^v1\.[\w-]{8}\.[\w-]+$/)
    expect(Buffer.from(jar.get(name) ?? '', 'base64url').toString('latin1')).not.toContain(secret)
    const exchange = jar.exchange()
    await (await flow(exchange, 'google')).start('x', 600)
    expect(exchange.cookies.setCookieFields()).toEqual([
      expect.stringMatching(/^__Host-gp-tx-[\w-]{8}=[^;]+; Path=\/; Max-Age=600; Secure; HttpOnly; SameSite=Lax$/),
    ])
  })

  test.each([
    ['the configured keys', { keys: ['k'.repeat(32)] as const }],
    ['a key that the store keeps for all processes', {}],
  ])('of two processes that finish a login at once one gets its value, with %s', async (_what, options) => {
    const one = flows(options)
    const two = flows({ ...options, store: one.store })
    const handle = await one.request(async (exchange) => (await one.flow(exchange, 'google')).start('v', 600))
    const [first, second] = [one.jar.exchange(), one.jar.exchange()]
    const values = await Promise.all([
      (await one.flow(first, 'google')).finish(handle),
      (await two.flow(second, 'google')).finish(handle),
    ])
    expect(values.filter((value) => value !== undefined)).toEqual(['v'])
    // Nor does a third, to which the browser sends the cookie again.
    expect(await (await two.flow(one.jar.exchange(), 'google')).finish(handle)).toBeUndefined()
  })

  test('without configured keys any number of logins that begin cost one record', async () => {
    const { flow, store } = flows()
    for (let n = 0; n < 20; n++) await (await flow(new TestJar().exchange(), 'google')).start('x', 600)
    expect(store.size).toBe(1)
  })

  test('a flow opens under its own name alone, and under keys that are still listed', async () => {
    const keys = ['new'.repeat(12), 'old'.repeat(12)] as const
    const old = flows({ keys: [keys[1]] })
    const handle = await old.request(async (exchange) => (await old.flow(exchange, 'google')).start('v', 600))
    const [name = ''] = old.jar.names
    const finishing = async (at: ReturnType<typeof flows>, cookie: string, under = name) => {
      const exchange = new TestExchange({ headers: { cookie: `${under}=${cookie}` } })
      return (await at.flow(exchange, 'google')).finish(under === name ? handle : `${'A'.repeat(8)}${handle.slice(8)}`)
    }
    const cookie = old.jar.get(name) ?? ''
    expect(await finishing(flows({ keys: [keys[0]] }), cookie)).toBeUndefined()
    expect(await finishing(flows({ keys }), `${cookie.slice(0, -2)}AA`)).toBeUndefined()
    expect(await finishing(flows({ keys }), cookie, '__Host-gp-tx-AAAAAAAA')).toBeUndefined()
    expect(await finishing(flows({ keys }), `${cookie}; ${name}=${cookie}`)).toBeUndefined()
    expect(await finishing(flows({ keys }), cookie)).toBe('v')
  })

  test('a `next` of 2,000 characters arrives, a longer one is left out, and a value that is too large is an error', async () => {
    const { flow, request } = flows({ keys: ['k'.repeat(32)] })
    const beginning = (value: unknown, next: string) =>
      request(async (exchange) => (await flow(exchange, 'google', { purpose: 'login', next })).start(value, 600))
    const long = `/${'n'.repeat(1999)}`
    for (const [value, next, kept] of [
      ['x', long, true],
      ['x', `/${'n'.repeat(3000)}`, false],
      // The character takes three bytes, and its value leaves less room for `next`.
      ['x', `/${'€'.repeat(1000)}`, false],
      ['v'.repeat(2000), long, false],
    ] as const) {
      const handle = await beginning(value, next)
      const intent = await request(async (exchange) => {
        const finishing = await flow(exchange, 'google')
        expect(await finishing.finish(handle)).toBe(value)
        return finishing.intent
      })
      expect(intent).toEqual({ purpose: 'login', ...(kept && { next }) })
    }
    await expect(beginning('x'.repeat(4000), '/')).rejects.toMatchObject({ code: 'ERR_COOKIE_TOO_LARGE' })
  })

  test('logins with a long `next` leave room for fewer others, so that a request with all of them can be sent', async () => {
    const { flow, jar, request } = flows({ keys: ['k'.repeat(32)] })
    const beginning = (length: number) =>
      request(async (exchange) =>
        (await flow(exchange, 'google', { purpose: 'login', next: `/${'n'.repeat(length)}` })).start('x', 600),
      )
    const sent = () => jar.names.reduce((sum, name) => sum + name.length + 3 + (jar.get(name) ?? '').length, 0)
    for (let n = 0; n < 6; n++) {
      const newest = await beginning(n === 5 ? 1 : 1500)
      expect(jar.names).toContain(`__Host-gp-tx-${newest.slice(0, 8)}`)
      expect(sent()).toBeLessThan(6500)
    }
    expect(jar.names).toHaveLength(3)
    for (let n = 0; n < 6; n++) await beginning(500)
    expect(jar.names).toHaveLength(5)
    expect(sent()).toBeLessThan(6500)
  })

  test.each(['(x)', 'a,b', 'é', '', 'AAAAAAAAB', 'AAAAAAA', '{{{{{{{{'])(
    'a cookie that is called gp-tx-%s is no login under way, and stays as it is',
    async (end) => {
      const { flow } = flows({ keys: ['k'.repeat(32)] })
      const exchange = new TestExchange({ headers: { cookie: `__Host-gp-tx-${end}=1` } })
      await (await flow(exchange, 'google')).start('x', 600)
      expect(exchange.cookies.setCookieFields()).toEqual([expect.not.stringContaining('Max-Age=0')])
    },
  )

  test('of any number of cookies that are called like logins ten are looked at, the last ones', async () => {
    const { flow, jar, request } = flows({ keys: ['k'.repeat(32)] })
    const handle = await request(async (exchange) => (await flow(exchange, 'google')).start('x', 600))
    const name = `__Host-gp-tx-${handle.slice(0, 8)}`
    const planted = Array.from({ length: 900 }, (_, n) => `__Host-gp-tx-${String(n).padStart(8, '0')}=v1.x`)
    const exchange = new TestExchange({ headers: { cookie: [...planted, `${name}=${jar.get(name)}`].join('; ') } })
    await (await flow(exchange, 'google')).start('y', 600)
    const removed = exchange.cookies.setCookieFields().filter((field) => field.includes('Max-Age=0'))
    expect(removed.map((field) => field.slice(0, field.indexOf('=')))).toEqual(
      planted
        .slice(-9)
        .map((pair) => pair.slice(0, pair.indexOf('=')))
        .reverse(),
    )
  })

  test('over plain http a flow needs what a session needs: this machine, or a cookie of the application’s own', async () => {
    const { flow } = flows()
    const local = new TestExchange({ origin: 'http://localhost:3000' })
    await (await flow(local, 'google')).start('x', 600)
    expect(local.cookies.setCookieFields()).toEqual([expect.stringMatching(/^gp-tx-[\w-]{8}=(?!.*Secure)/)])
    const far = new TestExchange({ origin: 'http://app.example' })
    await expect((await flow(far, 'google')).start('x', 600)).rejects.toMatchObject({
      code: 'ERR_SESSION_INSECURE_ORIGIN',
    })
  })

  test('a handle from a browser without a session costs no record', async () => {
    const { flow, request, jar } = flows()
    expect(await request(async (exchange) => (await flow(exchange, 'google')).finish('made-up'))).toBeUndefined()
    expect(jar.names).toEqual([])
  })
})

describe('what is not a user', () => {
  const notAUser = [true, 'ada', 42, [], [ada], new Error('wrong password'), { type: 'failure' }, () => ada, undefined]
  const each = notAUser.map((given) => [given] as const)
  const asking = (outcome: unknown) =>
    new Passport({
      users: { find: () => ada, subject: (user: User) => user.id },
      strategies: [concluding('custom', outcome as Outcome<User>)],
    })

  test.each(each)('is not logged in by a strategy: %s', async (user) => {
    const verdict = asking({ type: 'success', user }).authenticate(new TestExchange(), 'custom')
    await expect(verdict).rejects.toMatchObject({
      code: 'ERR_PASSPORT_USER',
      message: expect.stringContaining('The strategy "custom" gave'),
      hint: expect.stringContaining('the user as an object'),
    })
  })

  test.each(each)('is not logged in by hand: %s', async (user) => {
    const { passport, jar } = world()
    const login = passport.login(jar.exchange(), { type: 'success', user: user as unknown as User })
    await expect(login).rejects.toMatchObject({ code: 'ERR_PASSPORT_USER' })
  })

  test.each(each.filter(([given]) => given !== undefined))('is not found for a session: %s', async (user) => {
    const { byId, logIn, passport, request } = world()
    await logIn()
    byId.set('ada', user as unknown as User)
    const finding = request(async (exchange) => passport.user(exchange))
    await expect(finding).rejects.toMatchObject({ code: 'ERR_PASSPORT_USER' })
  })

  test('is named by its kind, and never quoted', async () => {
    const verdict = asking({ type: 'success', user: 'a password' }).authenticate(new TestExchange(), 'custom')
    await expect(verdict).rejects.toThrow('gave a text, which is not a user')
    await expect(verdict).rejects.not.toThrow('a password')
  })

  test.each(['undefined', 'null', 'NaN', '[object Object]', ''])(
    'is not told apart by the subject %j, which all users without a key would share',
    async (subject) => {
      const users = { find: () => ada, subject: () => subject }
      const sessions = new SessionManager<object>({ store: memoryStore() })
      const passport = new Passport({ users, strategies: [], sessions })
      const login = passport.login(new TestJar().exchange(), { type: 'success', user: ada })
      await expect(login).rejects.toMatchObject({ code: 'ERR_PASSPORT_SUBJECT' })
      const session = await sessions.open(new TestJar().exchange())
      expect(() => session.assign(subject, { at: 0, amr: [] })).toThrow(
        expect.objectContaining({ code: 'ERR_PASSPORT_SUBJECT' }),
      )
    },
  )

  test.each([undefined, null, 7, 'undefined', '[object Object]', Promise.resolve('x')])(
    'has no stamp that tells nothing: %s',
    async (stamp) => {
      const { logIn } = world({ stamp: () => stamp as string })
      await expect(logIn()).rejects.toMatchObject({ code: 'ERR_PASSPORT_SUBJECT' })
    },
  )
})

describe('when a login was proved', () => {
  const at = async (success: { at?: number; strategy?: string }): Promise<number | undefined> => {
    const { passport, sessions, clock } = world()
    const exchange = new TestExchange()
    await passport.login(exchange, { type: 'success', user: ada, ...success })
    const { login } = await sessions.open(exchange)
    return login && login.at - clock()
  }

  test('is now, where the application logs in by hand', async () => {
    expect(await at({})).toBe(0)
  })

  test('is now, where a strategy of the application that does not say has its login kept', async () => {
    expect(await at({ strategy: 'theirs' })).toBe(0)
  })

  test('is what the strategy says, unless that time has not come yet', async () => {
    const { clock } = world()
    expect(await at({ at: clock() - 5000 })).toBe(-5000)
    for (const ahead of [5000, 31_000, 300_000]) expect(await at({ at: clock() + ahead })).toBe(0)
    for (const wrong of [clock() + 300_001, clock() * 1000, Number.NaN, Number.POSITIVE_INFINITY])
      expect(await at({ at: wrong })).toBe(-clock())
  })
})
