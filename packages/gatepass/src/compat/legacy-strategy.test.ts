import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type Request } from 'express'
import fastify from 'fastify'
import { fromPassport, type LegacyStrategy } from 'gatepass/compat/legacy-strategy'
import { gatepass as expressGatepass } from 'gatepass/express'
import { gatepass as fastifyGatepass } from 'gatepass/fastify'
import { gatepass } from 'gatepass/node'
import type { Attempt } from 'gatepass/passport'
import { memoryStore } from 'gatepass/stores/memory'
import { local } from 'gatepass/strategies/local'
import { TestBrowser, TestExchange, type VisitOptions } from 'gatepass/testing'
import { describe, expect, onTestFinished, test } from 'vitest'

interface Actions {
  success(user?: unknown, info?: unknown): void
  fail(challenge?: unknown, status?: number): void
  redirect(url: string, status?: number): void
  pass(): void
  error(error: unknown): void
}
interface Seen {
  readonly query: Record<string, string | string[]>
  readonly body?: { name?: string }
  readonly headers: Record<string, string>
  readonly originalUrl: string
  readonly session: Record<string, unknown>
  readonly res: { statusCode: number; end(text: string): void }
}

function named(authenticate: (this: Actions, req: Seen, options: object) => unknown): LegacyStrategy {
  return Object.assign(Object.create({ authenticate }), { name: 'legacy' })
}

/** An application on `node:http` that answers with the outcome, or with the code of the error. */
async function asking(strategy: LegacyStrategy, timeout = 30): Promise<TestBrowser> {
  const auth = gatepass({
    sessions: { store: memoryStore() },
    users: { find: (id: string) => ({ id }), subject: (user) => user.id },
    strategies: [fromPassport(strategy, { timeout })],
  })
  const server = createServer(
    auth.handler(async (req, res) => {
      const outcome = await auth
        .authenticate(req, 'legacy', { scope: 'mail' })
        .catch((error) => ({ error: error.code ?? error.message }))
      res.end(JSON.stringify(outcome))
    }),
  ).listen(0, 'localhost')
  onTestFinished(() => void server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  return new TestBrowser(`http://localhost:${(server.address() as AddressInfo).port}`)
}

async function outcome(
  authenticate: (this: Actions, req: Seen, options: object) => unknown,
  path = '/',
): Promise<unknown> {
  return (await (await asking(named(authenticate))).fetch(path)).json()
}

function failed(reason: string, more: object = {}): unknown {
  return expect.objectContaining({
    type: 'rejection',
    failures: [{ type: 'failure', reason, strategy: 'legacy', ...more }],
  })
}

describe('whatever a strategy calls first is its outcome', () => {
  test('success, with what it says of it', async () => {
    const seen = await outcome(function () {
      this.success({ id: 'ada' }, { scope: 'all' })
      this.fail('too late')
    })
    expect(seen).toEqual({ type: 'success', user: { id: 'ada' }, info: { scope: 'all' }, strategy: 'legacy' })
  })

  test('fail with a challenge, a message, a status, or nothing', async () => {
    expect(
      await outcome(function () {
        this.fail('Bearer realm="x"')
      }),
    ).toEqual(failed('missing', { challenge: 'Bearer realm="x"' }))
    expect(
      await outcome(function () {
        this.fail('Bearer error="invalid_token"')
      }),
    ).toEqual(failed('invalid', { challenge: 'Bearer error="invalid_token"' }))
    expect(
      await outcome(function () {
        this.fail({ message: 'Wrong.' }, 403)
      }),
    ).toEqual(failed('invalid', { message: 'Wrong.', status: 403 }))
    expect(
      await outcome(function () {
        this.fail(400)
      }),
    ).toEqual(failed('missing', { status: 400 }))
    expect(
      await outcome(function () {
        this.fail()
      }, '/?error=access_denied'),
    ).toEqual(failed('denied'))
  })

  test('redirect, pass and error', async () => {
    expect(
      await outcome(function () {
        this.redirect('https://idp.example/')
      }),
    ).toEqual({ type: 'redirect', location: 'https://idp.example/' })
    expect(
      await outcome(function () {
        this.redirect('/x', 303)
      }),
    ).toEqual({ type: 'redirect', location: '/x', status: 303 })
    expect(
      await outcome(function () {
        this.pass()
      }),
    ).toMatchObject({ type: 'rejection', failures: [] })
    expect(
      await outcome(function () {
        this.error(new Error('down'))
      }),
    ).toEqual({ error: 'down' })
    expect(await outcome(async () => Promise.reject(new Error('down')))).toEqual({ error: 'down' })
    expect(
      await outcome(() => {
        throw new Error('down')
      }),
    ).toEqual({ error: 'down' })
  })
})

test('it sees query, body, headers, session and options', async () => {
  const browser = await asking(
    named(function (req, options) {
      const { query, body, headers, originalUrl, session } = req
      const before = session.visits ?? 0
      session.visits = Number(before) + 1
      this.success({ id: 'ada' }, { query, body, header: headers['x-badge'], originalUrl, before, options })
    }),
  )
  const visit = async (): Promise<unknown> =>
    (await browser.fetch('/in?a=1&b=2&b=3', { form: { name: 'ada' }, headers: { 'x-badge': '7' } })).json()
  const seen = {
    query: { a: '1', b: ['2', '3'] },
    body: { name: 'ada' },
    header: '7',
    originalUrl: '/in?a=1&b=2&b=3',
    options: { scope: 'mail' },
  }
  expect(await visit()).toMatchObject({ info: { ...seen, before: 0 } })
  expect(await visit()).toMatchObject({ info: { ...seen, before: 1 } })
})

test('in Fastify it sees the same, and logs in', async () => {
  const strategy = named(function ({ body, query, session }) {
    session.seen = true
    this.success({ id: `${body?.name} ${query.from}` })
  })
  const auth = fastifyGatepass({
    sessions: { store: memoryStore() },
    users: { find: (id: string) => ({ id }), subject: (user) => user.id },
    strategies: [fromPassport(strategy, { name: 'legacy' })],
  })
  const app = fastify()
  await app.register(auth)
  app.post('/login', { preHandler: auth.login('legacy') }, (request) => request.user)
  app.get('/me', (request) => request.user)
  const browser = new TestBrowser(await app.listen({ port: 0, host: 'localhost' }))
  onTestFinished(() => app.close())
  const login = await browser.fetch('/login?from=here', { form: { name: 'ada' } })
  expect(await login.json()).toEqual({ id: 'ada here' })
  expect(await (await browser.fetch('/me')).json()).toEqual({ id: 'ada here' })
})

test('a body that is neither form nor JSON is none of its business', async () => {
  const browser = await asking(
    named(function (req) {
      this.success({ id: String(req.body) })
    }),
  )
  const picture = { method: 'POST', headers: { 'content-type': 'image/png' }, body: 'a picture' }
  const response = await fetch(browser.origin, picture)
  expect(await response.json()).toMatchObject({ user: { id: 'undefined' } })
})

test('a strategy that never concludes is an error after the timeout, one that answers itself is not', async () => {
  const silent = await asking(
    named(() => {}),
    0.05,
  )
  expect(await (await silent.fetch('/')).json()).toEqual({ error: 'ERR_PASSPORT_STRATEGY' })
  const speaking = await asking(
    named((req) => req.res.end('by myself')),
    0.05,
  )
  expect(await (await speaking.fetch('/')).text()).toBe('by myself')
})

test('requests that are under way at the same time get their own outcome', async () => {
  const waiting: (() => void)[] = []
  const browser = await asking(
    named(function (req) {
      waiting.push(() => this.success({ id: req.query.who }))
      if (waiting.length === 2) for (const go of waiting.reverse()) go()
    }),
  )
  const users = await Promise.all(['ada', 'eve'].map(async (who) => (await browser.fetch(`/?who=${who}`)).json()))
  expect(users.map((each) => (each as { user: { id: string } }).user.id)).toEqual(['ada', 'eve'])
})

test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2_147_484, '30'])('a timeout of %s is refused', (timeout) => {
  const strategy = { name: 'it', authenticate() {} }
  const usage = expect.objectContaining({ code: 'ERR_PASSPORT_OPTIONS' })
  expect(() => fromPassport(strategy, { timeout: timeout as number })).toThrow(usage)
})

test('what is no strategy, and what is no request of Node, is said', async () => {
  const usage = expect.objectContaining({ code: 'ERR_PASSPORT_STRATEGY' })
  expect(() => fromPassport({} as LegacyStrategy)).toThrow(usage)
  const strategy = fromPassport(
    named(function () {
      this.pass()
    }),
  )
  await expect(strategy.authenticate(new TestExchange({}), {} as Attempt)).rejects.toEqual(usage)
})

describe('where a request is', () => {
  /** All that strategies look at to find out. */
  const seen = named(function (req) {
    const { protocol, secure, host, hostname, ip, headers, url, socket, connection, get } =
      req as unknown as Request & {
        connection: { encrypted?: boolean }
      }
    const { encrypted } = connection
    const [forwarded, named, viaGet] = [
      Object.keys(headers).filter((name) => /forwarded/.test(name)),
      headers.host,
      get?.call(req, 'host') ?? headers.host,
    ]
    const remote = socket.remoteAddress
    this.success(
      { id: 'ada' },
      { protocol, secure, host, hostname, ip, forwarded, named, viaGet, encrypted, remote, url },
    )
  })
  const forged = {
    host: 'evil.example',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'http',
    'x-forwarded-for': '192.0.2.66',
    forwarded: 'for=192.0.2.66;host=evil.example;proto=http',
  }
  const app = {
    ...{ protocol: 'https', secure: true, host: 'app.example:8443', hostname: 'app.example', encrypted: true },
    ...{ forwarded: [], named: 'app.example:8443', viaGet: 'app.example:8443' },
  }

  async function told(
    options: object,
    path: string,
    headers: Record<string, string>,
    strategy = seen,
  ): Promise<unknown> {
    const auth = gatepass({
      sessions: { store: memoryStore() },
      users: { find: (id: string) => ({ id }), subject: (user) => user.id },
      strategies: [fromPassport(strategy)],
      ...options,
    })
    const answer = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
      const verdict = await auth.authenticate(req, 'legacy').catch((error) => ({ info: error.code }))
      res.end(JSON.stringify('info' in verdict ? verdict.info : verdict))
    }
    const site = express().set('trust proxy', true)
    site.use(auth).use((req, res) => answer(req, res))
    const server = createServer(site).listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    return new Promise((resolve) => {
      const { port } = server.address() as AddressInfo
      request({ host: '127.0.0.1', port, path, headers }, async (res) => {
        let text = ''
        for await (const chunk of res) text += chunk
        resolve(JSON.parse(text))
      }).end()
    })
  }

  test('is what `origin` says, and not what Host and forwarded fields say', async () => {
    const origin = 'https://app.example:8443'
    expect(await told({ origin }, '/in', forged)).toEqual({ ...app, ip: '127.0.0.1', remote: '127.0.0.1', url: '/in' })
    const absolute = await told({ origin }, 'http://evil.example/in', forged)
    expect(absolute).toMatchObject({ ...app, url: '/in' })
  })

  test('hides no field in which a proxy says who asks', async () => {
    const who = named(function (req) {
      this.success({ id: String(req.headers['x-forwarded-user']) }, { user: req.headers['x-forwarded-user'] })
    })
    const said = await told({ origin: 'https://app.example' }, '/in', { ...forged, 'x-forwarded-user': 'ada' }, who)
    expect(said).toEqual({ user: 'ada' })
  })

  test('is what a trusted proxy says, where there is one', async () => {
    const said = {
      'x-forwarded-host': 'app.example:8443',
      'x-forwarded-proto': 'https',
      'x-forwarded-for': '192.0.2.1',
    }
    const seenBehind = await told({ trustProxy: 1 }, '/in', { host: 'inner', ...said })
    expect(seenBehind).toMatchObject({ ...app, ip: '192.0.2.1', remote: '192.0.2.1' })
    const untrusted = await told({}, '/in', { ...said, host: 'localhost:3000' })
    expect(untrusted).toMatchObject({ protocol: 'http', secure: false, host: 'localhost:3000', ip: '127.0.0.1' })
  })

  test('makes a redirect URI of a path only if the application says it, or on this machine', async () => {
    const strategyWith = (url: string) => Object.assign(named(seen.authenticate as never), { _callbackURL: url })
    const relative = strategyWith('/auth/back')
    expect(await told({}, '/in', { host: 'evil.example' }, relative)).toBe('ERR_OAUTH_OPTIONS')
    expect(await told({ origin: 'https://app.example' }, '/in', forged, relative)).toMatchObject({
      host: 'app.example',
    })
    expect(await told({}, '/in', { host: 'localhost:3000' }, relative)).toMatchObject({ host: 'localhost:3000' })
    const whole = strategyWith('https://app.example/auth/back')
    expect(await told({}, '/in', { host: 'shop.example' }, whole)).toMatchObject({ host: 'shop.example' })
  })
})

test('a login that a person cancelled is refused and no error, by all names of it', async () => {
  for (const code of ['user_cancelled_authorize', 'user_cancelled_login']) {
    const error = Object.assign(new Error('cancelled'), { name: 'AuthorizationError', code, status: 500 })
    const cancelled = await outcome(function () {
      this.error(error)
    }, `/back?error=${code}`)
    expect(cancelled).toMatchObject({ type: 'rejection', failures: [{ reason: 'denied' }] })
  }
  const broken = Object.assign(new Error('broken'), { name: 'AuthorizationError', code: undefined })
  expect(
    await outcome(function () {
      this.error(broken)
    }, '/back?error=invalid_scope'),
  ).toEqual({ error: 'broken' })
})

describe('while the provider answers, or `verify` works,', () => {
  type Request = { user?: { id: string } }
  type Done = (error: unknown, user?: object) => void

  /** Ada, logged in, and her callback of a strategy whose `verify` links, as Passport's documentation has it. */
  async function linking(options: {
    before?: Promise<void>
    within?: Promise<void>
    synchronous?: boolean
    provedNow?: boolean
  }) {
    const linked: string[] = []
    const asked = Promise.withResolvers<void>()
    const shown = Promise.withResolvers<void>()
    const strategy = Object.assign(
      Object.create({
        async authenticate(this: Actions & { _verify: (...args: unknown[]) => void }, req: Request) {
          asked.resolve()
          await options.before
          this._verify(req, 'fb-1', (error: unknown, user?: object) => (error ? this.error(error) : this.success(user)))
        },
      }),
      {
        name: 'fb',
        async _verify(req: Request, id: string, done: Done) {
          if (req.user === undefined) return done(null, { id })
          shown.resolve()
          await options.within
          linked.push(`${req.user.id} is ${id}`)
          done(null, { ...req.user })
        },
      },
    )
    const auth = expressGatepass({
      sessions: { store: memoryStore() },
      users: {
        find: (id: string) => (options.synchronous ? { id } : Promise.resolve({ id })),
        subject: (user) => user.id,
        synchronous: options.synchronous === true,
      },
      strategies: [
        local({ verify: (id: string) => ({ id }) }),
        fromPassport<{ id: string }>(strategy, { provedNow: options.provedNow === true }),
      ],
    })
    const app = express().use(auth)
    app.post('/login', auth.login('local'), (req, res) => void res.json(req.user))
    app.get('/rotate', (req, res) => {
      req.session.rotate()
      res.end()
    })
    app.get('/back', auth.login('fb', { success: '/linked' }))
    app.get('/recent', auth.requireLogin({ maxAge: 600 }), (req, res) => void res.json(req.user))
    app.get('/me', (req, res) => void res.json(req.user ?? null))
    const server = app.listen(0, 'localhost')
    onTestFinished(() => void server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    const browser = new TestBrowser(`http://localhost:${(server.address() as AddressInfo).port}`)
    const user = async () => (await browser.fetch('/me')).json()
    if (options.before !== undefined || options.within !== undefined) {
      await browser.fetch('/login', { form: { username: 'ada', password: 'x' } })
      expect(await user()).toEqual({ id: 'ada' })
    }
    return {
      auth,
      browser,
      linked,
      user,
      asked: asked.promise,
      shown: shown.promise,
      back: () => browser.fetch('/back', { manual: true }),
    }
  }

  test.each([false, true])(
    'a login that ends is not shown to `verify`, and is not begun again: %s',
    async (synchronous) => {
      const answers = Promise.withResolvers<void>()
      const w = await linking({ before: answers.promise, synchronous })
      const back = w.back()
      await w.asked
      expect(await w.auth.sessions.revokeAll('ada')).toBe(1)
      answers.resolve()
      expect(await (await back).json()).toMatchObject({ error: { code: 'ERR_OAUTH_LINK_ENDED' } })
      expect([w.linked, await w.user()]).toEqual([[], null])
    },
  )

  test('a login that ends in `verify` is not begun again', async () => {
    const written = Promise.withResolvers<void>()
    const w = await linking({ within: written.promise })
    const back = w.back()
    await w.shown
    await w.auth.sessions.revokeAll('ada')
    written.resolve()
    expect(await (await back).json()).toMatchObject({ error: { code: 'ERR_OAUTH_LINK_ENDED' } })
    expect(await w.user()).toBeNull()
  })

  test.each<[string, string, VisitOptions]>([
    ['a rotation', '/rotate', {}],
    ['a second login', '/login', { form: { username: 'ada', password: 'x' } }],
  ])('a login whose session is moved by %s goes on', async (_, path, visit) => {
    const answers = Promise.withResolvers<void>()
    const w = await linking({ before: answers.promise })
    const back = w.back()
    await w.asked
    await w.browser.fetch(path, visit)
    answers.resolve()
    expect((await back).headers.get('location')).toBe('/linked')
    expect(w.linked).toEqual(['ada is fb-1'])
  })

  test('a visitor logs in', async () => {
    const w = await linking({})
    expect((await w.back()).headers.get('location')).toBe('/linked')
    expect([w.linked, await w.user()]).toEqual([[], { id: 'fb-1' }])
  })

  test('its login is as old as 1970 unless the application says that it is proved now', async () => {
    for (const provedNow of [false, true]) {
      const w = await linking({ provedNow })
      await w.back()
      expect((await w.browser.fetch('/recent')).status).toBe(provedNow ? 200 : 401)
    }
  })
})
