import { createRequire } from 'node:module'
import type { LegacyStrategy } from 'gatepass/compat/legacy-strategy'
import passport, { AuthenticationError, Authenticator, Passport, Strategy, strategies } from 'gatepass/compat/passport'
import { describe, expect, test, vi } from 'vitest'

interface Actions {
  success(user: unknown, info?: unknown): void
  fail(challenge?: unknown, status?: number): void
  error(error: unknown): void
}
type Verify = (...args: never[]) => unknown
interface FakeRequest {
  [property: string]: unknown
  session?: Record<string, unknown>
}

/** Runs the middleware until it calls `next`; an answer is a rejection, so that no test waits for nothing. */
function run(middleware: unknown, req: FakeRequest): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const res = { setHeader() {}, end: (body: string) => reject(new Error(`answered: ${body}`)) }
    ;(middleware as (req: object, res: object, next: (error?: unknown) => void) => void)(req, res, resolve)
  })
}

function named(name: string, authenticate: (this: Actions, req: FakeRequest) => unknown): LegacyStrategy {
  return Object.assign(Object.create({ authenticate }), { name })
}

/** As strategies on npm are: they call `_verify`, and look at nothing it returns. */
function verifying(verify: Verify): LegacyStrategy {
  class Verifying {
    readonly name = 'verifying'
    readonly _verify = verify as (name: unknown, done: unknown) => unknown
    authenticate(this: this & Actions, req: FakeRequest): void {
      this._verify(req.claim, (error: unknown, user: unknown, info: unknown) => {
        if (error) this.error(error)
        else if (user) this.success(user, info)
        else this.fail(info)
      })
    }
  }
  return new Verifying()
}

/** A session such as express-session's, with everything that happens to it written down. */
function session(data: object = {}, failing: { save?: Error } = {}): { req: FakeRequest; log: string[] } {
  const log: string[] = []
  const req: FakeRequest = {}
  const fresh = (content: object): Record<string, unknown> =>
    Object.defineProperties(
      { ...content },
      {
        save: {
          value: (done: (error?: Error) => void) => {
            log.push('save')
            setImmediate(done, failing.save)
          },
        },
        regenerate: {
          value: (done: () => void) => {
            log.push('regenerate')
            req.session = fresh({})
            setImmediate(done)
          },
        },
      },
    )
  req.session = fresh(data)
  return { req, log }
}

/** Two requests that are under way at the same time, the later one concluding first. */
async function inTurns(middleware: unknown): Promise<[FakeRequest, FakeRequest]> {
  const gate = Promise.withResolvers<void>()
  const alice: FakeRequest = { claim: 'alice', until: gate.promise }
  const bob: FakeRequest = { claim: 'bob', until: Promise.resolve() }
  const first = run(middleware, alice)
  expect(await run(middleware, bob)).toBeUndefined()
  expect(alice.user).toBeUndefined()
  gate.resolve()
  expect(await first).toBeUndefined()
  return [alice, bob]
}

const waiting = function (this: Actions, req: FakeRequest): void {
  ;(req.until as Promise<void>).then(() => this.success(req.claim))
}

class Private {
  readonly name = 'private'
  readonly #prefix = 'user '
  async authenticate(this: Private & Actions, req: FakeRequest): Promise<void> {
    await (req.until as Promise<void>)
    this.success(this.#prefix + req.claim)
  }
}

class Arrow {
  readonly name = 'arrow'
  readonly authenticate = (req: FakeRequest): void => waiting.call(this as unknown as Actions, req)
}

const stateless = { session: false }

describe('a strategy instance never mixes two requests', () => {
  test.each([
    ['handed to authenticate', () => new Passport().authenticate(named('it', waiting), stateless)],
    ['registered by name', () => new Passport().use(named('it', waiting)).authenticate('it', stateless)],
    ['of a class whose authenticate is an arrow function', () => new Passport().authenticate(new Arrow(), stateless)],
  ])('%s', async (_, middleware) => {
    const [alice, bob] = await inTurns(middleware())
    expect([alice.user, bob.user]).toEqual(['alice', 'bob'])
  })

  test.each([
    ['handed to authenticate', (strategy: Private) => new Passport().authenticate(strategy, stateless)],
    ['registered by name', (strategy: Private) => new Passport().use(strategy).authenticate('private', stateless)],
  ])('of a class with #private members, %s', async (_, middleware) => {
    const [alice, bob] = await inTurns(middleware(new Private()))
    expect([alice.user, bob.user]).toEqual(['user alice', 'user bob'])
  })

  test('of a class with #private members that tells its own errors', async () => {
    class Telling extends Private {
      readonly #claims = new Set(['alice', 'bob'])
      override async authenticate(this: Telling & Actions, req: FakeRequest): Promise<void> {
        await (req.until as Promise<void>)
        try {
          if (this.#claims.has(req.claim as string)) this.success(req.claim)
        } catch (error) {
          this.error(error as Error)
        }
      }
    }
    const [alice, bob] = await inTurns(new Passport().authenticate(new Telling(), stateless))
    expect([alice.user, bob.user]).toEqual(['alice', 'bob'])
  })

  test('a conclusion of a class with #private members that no request is behind reaches none', async () => {
    const strategy = new Private() as Private & Actions
    await run(new Passport().authenticate(strategy, stateless), { claim: 'alice', until: Promise.resolve() })
    expect(() => strategy.success('eve')).toThrow(expect.objectContaining({ code: 'ERR_PASSPORT_STRATEGY' }))
  })

  test('what a strategy writes to itself stays with the request', async () => {
    const strategy = named('it', function (this: Actions & { seen?: unknown }, req) {
      this.success([this.seen, req.claim])
      this.seen = req.claim
    })
    const middleware = new Passport().authenticate(strategy, stateless)
    const [alice, bob]: FakeRequest[] = [{ claim: 'alice' }, { claim: 'bob' }]
    await run(middleware, alice as FakeRequest)
    await run(middleware, bob as FakeRequest)
    expect(bob?.user).toEqual([undefined, 'bob'])
  })

  test('the first conclusion counts, and no other is heard', async () => {
    const next = vi.fn()
    const twice = named('it', function () {
      this.success('alice')
      this.success('bob')
      this.fail()
      this.error(new Error('late'))
    })
    const req: FakeRequest = {}
    ;(new Passport().authenticate(twice, stateless) as Verify)(req as never, {} as never, next as never)
    expect(next.mock.calls).toEqual([[]])
    expect(req.user).toBe('alice')
  })
})

describe('verify functions may be asynchronous', () => {
  const middleware = (verify: Verify): unknown => new Passport().authenticate(verifying(verify), stateless)

  test('a rejection is an error of the request', async () => {
    const down = new Error('no database')
    const error = await run(
      middleware(async (_claim: string, _done: unknown) => Promise.reject(down)),
      {},
    )
    expect(error).toBe(down)
  })

  test.each<[string, (this: Actions & { _verify: Verify }, req: FakeRequest) => unknown]>([
    [
      'awaits it',
      async function () {
        try {
          await this._verify()
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 5))
          this.fail('refused')
        }
      },
    ],
    [
      'catches it with a method of the promise',
      function () {
        const found = this._verify() as Promise<unknown>
        found.then((user) => this.success(user)).catch(() => void setTimeout(() => this.fail('refused'), 5))
      },
    ],
  ])('a rejection is what the strategy makes of it, where the strategy %s', async (_, authenticate) => {
    const strategy = Object.assign(named('own answer', authenticate as never), {
      _verify: () => Promise.reject(new Error('x')),
    })
    const answered = run(new Passport().authenticate(strategy, stateless), {})
    await expect(answered).rejects.toThrow('answered: Unauthorized')
  })

  test('a rejection that the strategy passes on by a promise, and does not catch, is an error of the request', async () => {
    const broken = new Error('broken')
    const forgetful = function (this: Actions & { _verify: () => Promise<unknown> }): void {
      this._verify().then((user) => this.success(user))
    }
    const verify = { _verify: () => Promise.reject(broken) }
    const strategy = Object.assign(named('forgetful', forgetful as never), verify)
    expect(await run(new Passport().authenticate(strategy, stateless), {})).toBe(broken)
  })

  test('so is a rejection of the strategy itself', async () => {
    const down = new Error('no database')
    expect(
      await run(
        new Passport().authenticate(
          named('it', () => Promise.reject(down)),
          stateless,
        ),
        {},
      ),
    ).toBe(down)
  })

  test('one that names no callback answers by its promise', async () => {
    const req: FakeRequest = { claim: 'alice' }
    expect(
      await run(
        middleware(async (claim: string) => ({ id: claim })),
        req,
      ),
    ).toBeUndefined()
    expect(req.user).toEqual({ id: 'alice' })
    await expect(
      run(
        middleware(async (_claim: string) => undefined),
        {},
      ),
    ).rejects.toThrow('answered: Unauthorized')
  })

  test('what a promise holds is no user as long as the callback has not spoken', async () => {
    const verify = (claim: string, done: (error: unknown, user?: unknown) => void): Promise<object> => {
      setImmediate(done, null, false)
      return Promise.resolve({ id: claim, password: 'not looked at yet' })
    }
    const req: FakeRequest = { claim: 'eve' }
    await expect(run(middleware(verify), req)).rejects.toThrow('answered: Unauthorized')
    expect(req.user).toBeUndefined()
  })

  test('a query is not run again by being looked at', async () => {
    // biome-ignore lint/suspicious/noThenProperty: as the queries of some databases have it
    const query = { then: vi.fn() }
    const verify = (claim: string, done: (error: unknown, user?: unknown) => void): object => {
      setImmediate(done, null, claim)
      return query
    }
    await run(middleware(verify), { claim: 'alice' })
    expect(query.then).not.toHaveBeenCalled()
  })
})

describe('serialisers may be asynchronous', () => {
  function passportOf(find: (id: never) => unknown): Passport {
    const it = new Passport()
    it.serializeUser(async (user) => (user as { id: string }).id)
    it.deserializeUser(find as (id: string) => Promise<object>)
    return it.use(
      named('it', function (this: Actions) {
        this.success({ id: 'alice' })
      }),
    )
  }

  test('their promises are answers', async () => {
    const { req } = session()
    const it = passportOf(async (id) => ({ id }))
    expect(await run(it.authenticate('it'), req)).toBeUndefined()
    expect(req.session?.passport).toEqual({ user: 'alice' })
    const later: FakeRequest = { session: { passport: { user: 'alice' } } }
    expect(await run(it.session(), later)).toBeUndefined()
    expect(later.user).toEqual({ id: 'alice' })
  })

  test('one that answers by its callback, and then rejects, is heard once', async () => {
    const it = new Passport()
    it.serializeUser(async (_user, done) => {
      done(null, 'alice')
      throw new Error('too late')
    })
    const { req } = session()
    await run(it.initialize(), req)
    const done = vi.fn()
    ;(req.login as Verify)({ id: 'alice' } as never, done as never)
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    expect(done.mock.calls).toEqual([[]])
  })

  test('a user who is gone ends the login', async () => {
    const req: FakeRequest = { session: { passport: { user: 'alice' } } }
    expect(await run(passportOf(async (_id) => undefined).session(), req)).toBeUndefined()
    expect(req.session).toEqual({ passport: {} })
  })

  test('a rejection is an error of the request', async () => {
    const down = new Error('no database')
    const req: FakeRequest = { session: { passport: { user: 'alice' } } }
    expect(await run(passportOf(async (_id) => Promise.reject(down)).session(), req)).toBe(down)
  })
})

describe('login and logout without a callback return a promise', () => {
  type Login = (user: unknown, options?: object) => Promise<void>
  async function equipped(
    data?: object,
    failing?: { save?: Error },
  ): Promise<ReturnType<typeof session> & { req: { login: Login; logout(): Promise<void> } }> {
    const made = session(data, failing)
    const it = new Passport()
    it.serializeUser((user, done) => done(null, (user as { id: string }).id))
    await run(it.initialize(), made.req)
    return made as never
  }

  test('which is fulfilled once the new session is saved', async () => {
    const { req, log } = await equipped()
    await req.login({ id: 'alice' })
    expect(log).toEqual(['regenerate', 'save'])
    await req.logout()
    expect(log).toEqual(['regenerate', 'save', 'save', 'regenerate'])
    expect(req.user).toBeNull()
  })

  test('which is rejected when the store fails, and nobody is logged in', async () => {
    const { req } = await equipped({}, { save: new Error('no store') })
    await expect(req.login({ id: 'alice' })).rejects.toThrow('no store')
    expect(req.user).toBeNull()
  })

  test('a logout of a session that has ended meanwhile has nothing left to end', async () => {
    const ended = Object.assign(new Error('ended'), { code: 'ERR_SESSION_ENDED' })
    const { req, log } = await equipped({ passport: { user: 'alice' } }, { save: ended })
    await req.logout()
    expect(log).toEqual(['save', 'regenerate'])
    expect(req.session).toEqual({})
  })

  test('a login keeps the keys that are named, and nothing else', async () => {
    const { req } = await equipped({ cart: ['book'], planted: true })
    await req.login({ id: 'alice' }, { keepSessionInfo: ['cart'] })
    expect(req.session).toEqual({ cart: ['book'], passport: { user: 'alice' } })
  })

  test('the session of gatepass/express is not written past', async () => {
    const { req } = await equipped()
    Object.assign(req.session as object, { rotate() {}, assign() {} })
    await expect(req.login({ id: 'alice' })).rejects.toMatchObject({ code: 'ERR_PASSPORT_NO_SESSIONS' })
  })
})

test('failWithError says what each strategy said', async () => {
  const refusing = named('refusing', function () {
    this.fail({ message: 'No.' }, 403)
  })
  const error = await run(new Passport().use(refusing).authenticate(['refusing'], { failWithError: true }), {})
  expect(error).toBeInstanceOf(AuthenticationError)
  expect(error).toMatchObject({
    message: 'Forbidden',
    status: 403,
    refusals: [{ strategy: 'refusing', challenge: { message: 'No.' }, status: 403 }],
  })
})

test('an exception of a callback that the strategy catches comes back to the callback, as in Passport', async () => {
  const catching = named('it', function () {
    try {
      this.success('alice')
    } catch (error) {
      this.error(error)
    }
  })
  const heard: unknown[] = []
  const broken = new Error('broken template')
  const middleware = new Passport().authenticate(catching, (error, user) => {
    heard.push(error ?? user)
    if (!error) throw broken
  })
  ;(middleware as Verify)({} as never, {} as never, (() => {}) as never)
  expect(heard).toEqual(['alice', broken])
})

test('an exception of a callback in a later turn comes back to the callback, although no strategy catches it', async () => {
  const later = named('it', function () {
    setImmediate(() => this.success('alice'))
  })
  const heard: unknown[] = []
  const told = new Promise<void>((resolve) => {
    const middleware = new Passport().authenticate(later, (error, user) => {
      heard.push(error?.message ?? user)
      if (!error) throw new Error('broken template')
      resolve()
    })
    ;(middleware as Verify)({} as never, {} as never, (() => {}) as never)
  })
  await told
  expect(heard).toEqual(['alice', 'broken template'])
})

test('an error without a reason is an error, and lets the request in no more than another', async () => {
  const refusing = named('it', function () {
    this.fail()
  })
  const silent = named('it', function () {
    this.error(undefined)
  })
  const without = [
    new Passport().authenticate(refusing, async () => Promise.reject()),
    new Passport().authenticate(silent, stateless),
    new Passport().authenticate(
      named('it', async () => Promise.reject()),
      stateless,
    ),
  ]
  for (const middleware of without) expect(await run(middleware, {})).toBeInstanceOf(Error)
})

test('a callback that rejects is an error of the request', async () => {
  const down = new Error('no database')
  const refusing = named('it', function () {
    this.fail()
  })
  expect(
    await run(
      new Passport().authenticate(refusing, async () => Promise.reject(down)),
      {},
    ),
  ).toBe(down)
})

test('a message that cannot be left anywhere is an error, not silence', () => {
  const refusing = named('it', function () {
    this.fail({ message: 'No.' })
  })
  for (const option of [{ failureFlash: true }, { failureMessage: true }]) {
    const middleware = new Passport().authenticate(refusing, option) as Verify
    const usage = expect.objectContaining({ code: 'ERR_PASSPORT_OPTIONS' })
    expect(() => middleware({} as never, {} as never, (() => {}) as never)).toThrow(usage)
  }
})

test('a message that cannot be left after a login is an error of the request, also where the session answers later', async () => {
  const it = new Passport().use(
    named('it', function () {
      this.success({ id: 'alice' }, { message: 'Welcome!' })
    }),
  )
  it.serializeUser((user, done) => done(null, (user as { id: string }).id))
  const { req } = session()
  const error = await run(it.authenticate('it', { successFlash: true }), req)
  expect(error).toMatchObject({ code: 'ERR_PASSPORT_OPTIONS' })
})

test('messages of a success are left in the session that begins with it', async () => {
  const it = new Passport().use(
    named('it', function () {
      this.success({ id: 'alice' }, { message: 'Welcome!' })
    }),
  )
  it.serializeUser((user, done) => done(null, (user as { id: string }).id))
  const { req } = session()
  await run(it.authenticate('it', { successMessage: true }), req)
  expect(req.session?.messages).toEqual(['Welcome!'])
})

test('a body that is being read waits for the user, and one that nobody reads is left alone', async () => {
  const it = new Passport()
  it.deserializeUser(async (id: string) => ({ id }))
  const calls: string[] = []
  const body = { pause: () => calls.push('pause'), resume: () => calls.push('resume') }
  const login = { session: { passport: { user: 'alice' } } }
  await run(it.authenticate('session', { pauseStream: true }), { ...login, ...body, readableFlowing: true })
  await run(it.authenticate('session', { pauseStream: true }), { ...login, ...body, readableFlowing: null })
  expect(calls).toEqual(['pause', 'resume'])
})

test('a function that gives no answer is told so, and a missing one to register', async () => {
  const user = { id: 'ada' } as never
  const hint = async (passport: InstanceType<typeof Passport>, what: 'serializeUser' | 'deserializeUser') =>
    new Promise((resolve) => passport[what](user, (error) => resolve((error as { hint: string }).hint)))
  for (const what of ['serializeUser', 'deserializeUser'] as const) {
    const it = new Passport()
    expect(await hint(it, what)).toBe(`Register a function by passport.${what}().`)
    Reflect.apply(it[what], it, [(_given: unknown, done: (error: null) => void) => done(null)])
    expect(await hint(it, what)).toMatch(/^No function registered by .* gave an answer\. Let it answer/)
  }
  const promising = new Passport()
  promising.serializeUser(async (_user: Express.User) => undefined)
  expect(await hint(promising, 'serializeUser')).toMatch(/^No function registered/)
})

describe('the module is what Passport is', () => {
  test('by import: one Passport for everybody, and the classes', () => {
    expect(passport).toBeInstanceOf(Authenticator)
    expect(passport).toMatchObject({ Authenticator, Passport, Strategy, strategies })
    expect(Passport).toBe(Authenticator)
    expect(new strategies.SessionStrategy(() => {}).name).toBe('session')
  })

  test('by require(): the same', () => {
    const required = createRequire(import.meta.url)('./passport.ts')
    expect(required).toBeInstanceOf(required.Authenticator)
    expect(required.default).toBe(required)
  })

  test('a strategy may inherit by `extends` and by calling the base class', () => {
    class Modern extends Strategy {}
    function Old(this: object): void {
      Strategy.call(this)
    }
    Object.setPrototypeOf(Old.prototype, Strategy.prototype)
    for (const strategy of [new Modern(), Reflect.construct(Old, []) as Strategy]) {
      expect(strategy).toBeInstanceOf(Strategy)
      expect(() => strategy.authenticate({} as never, {} as never)).toThrow('must be overridden')
    }
  })
})

test.each([
  ['is rejected', async () => Promise.reject(new Error('down'))],
  [
    'throws',
    () => {
      throw new Error('down')
    },
  ],
])('a session strategy of one’s own whose deserializer %s is an error, told once', async (_, find) => {
  const passport = new Passport()
  passport.use(new strategies.SessionStrategy(find as never) as LegacyStrategy)
  const req: FakeRequest = { session: { passport: { user: 'ada' } } }
  const { promise: called, resolve } = Promise.withResolvers<void>()
  const next = vi.fn(() => resolve())
  ;(passport.session() as Verify)(req as never, {} as never, next as never)
  await called
  await new Promise(setImmediate)
  expect(next.mock.calls).toEqual([[expect.objectContaining({ message: 'down' })]])
})
