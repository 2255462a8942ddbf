import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  ServerResponse,
} from 'node:http'
import { connect, createServer as createHttp2Server } from 'node:http2'
import { createRequire } from 'node:module'
import type { AddressInfo, Server } from 'node:net'
import compression from 'compression'
import express5, { type NextFunction, type Request, type Response } from 'express'
import { StoreError } from 'gatepass'
import { plainCookie } from 'gatepass/cookie'
import { gatepass as expressGatepass } from 'gatepass/express'
import { gatepass as nodeGatepass } from 'gatepass/node'
import { memoryStore } from 'gatepass/stores/memory'
import { local } from 'gatepass/strategies/local'
import { TestBrowser } from 'gatepass/testing'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { eventually } from '../engines/until.ts'

const express4 = createRequire(import.meta.url)('express4') as typeof express5

interface User {
  readonly id: string
}

interface Data {
  visits?: number
  secret?: string
}

const users = { find: (id: string): User => ({ id }), subject: (user: User) => user.id }
const strategies = [local<User>({ verify: (id) => ({ id }) })] as const
const options = () => ({ sessions: { store: memoryStore() }, users, strategies })

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

async function listening<S extends Server>(server: S): Promise<S> {
  servers.push(server)
  server.listen(0, 'localhost')
  await new Promise((resolve) => server.once('listening', resolve))
  return server
}

const originOf = (server: Server): string => `http://localhost:${(server.address() as AddressInfo).port}`

async function browserAt(listener: RequestListener): Promise<TestBrowser> {
  return new TestBrowser(originOf(await listening(createServer(listener))))
}

const data = (req: Request): Data => req.session.data as Data
const text = async (browser: TestBrowser, path: string, method = 'GET') =>
  (await browser.fetch(path, { method })).text()
const logIn = (browser: TestBrowser, username = 'ada') => browser.fetch('/login', { json: { username, password: 'x' } })

describe.each([
  ['Express 5', express5],
  ['Express 4', express4],
])('an application of %s', (_, express) => {
  function application() {
    const auth = expressGatepass(options())
    const app = express().set('env', 'test')
    app.use(auth)
    app.post('/login', auth.login('local'), (_req, res) => void res.sendStatus(204))
    app.get('/me', (req, res) => void res.send((req.user as User | undefined)?.id ?? 'nobody'))
    return { auth, app }
  }

  test('has the session in mounted applications, in ones it calls by itself, and in routers', async () => {
    const { app } = application()
    const visits = (req: Request, res: Response): void => {
      data(req).visits = (data(req).visits ?? 0) + 1
      res.send(String(data(req).visits))
    }
    const [mounted, called, router] = [express(), express(), express.Router()]
    mounted.get('/', visits)
    called.get('/', visits)
    router.get('/', visits)
    app.use('/mounted', mounted)
    app.use('/called', (req, res, next) => called(req, res, next))
    app.use('/router', router)
    const browser = await browserAt(app)
    expect([await text(browser, '/mounted'), await text(browser, '/called'), await text(browser, '/router')]).toEqual([
      '1',
      '2',
      '3',
    ])
  })

  test.each([
    'login',
    'link',
    'logout',
    'backChannelLogout',
    'authenticate',
    'requireLogin',
    'requireSameOrigin',
  ] as const)('answers at once where auth.%s is registered and should have been called', async (name) => {
    const { auth, app } = application()
    app.use(`/${name}`, auth[name] as unknown as express5.RequestHandler)
    const refused = (error: Error, _req: Request, res: Response, _next: NextFunction) => void res.send(error.message)
    app.use(refused)
    expect(await text(await browserAt(app), `/${name}`)).toContain(`auth.${name} is registered as a handler`)
  })

  test.each(['login', 'logout', 'authenticate', 'requireSameOrigin', 'handler'] as const)(
    'answers at once where auth.%s of gatepass/node is registered and should have been called',
    async (name) => {
      const auth = nodeGatepass(options())
      const app = express().set('env', 'test').use(auth)
      app.use(`/${name}`, auth[name] as unknown as express5.RequestHandler)
      const refused = (error: Error, _req: Request, res: Response, _next: NextFunction) => void res.send(error.message)
      app.use(refused)
      expect(await text(await browserAt(app), `/${name}`)).toContain(`auth.${name} is registered as a handler`)
    },
  )

  test('has the session behind an application that brought the middleware', async () => {
    const inner = express().use(expressGatepass(options()))
    const app = express().use(inner)
    app.get('/', (req, res) => void res.send(`${typeof req.session} ${typeof req.login}`))
    expect(await text(await browserAt(app), '/')).toBe('object function')
  })

  test('has the session in its error handler, and what that writes is saved', async () => {
    const { app } = application()
    app.get('/broken', () => {
      throw new Error('broken on purpose')
    })
    app.get('/', (req, res) => void res.json(data(req)))
    app.use((_error: Error, req: Request, res: Response, _next: NextFunction) => {
      data(req).visits = 1
      res.status(418).end()
    })
    const browser = await browserAt(app)
    expect((await browser.fetch('/broken')).status).toBe(418)
    expect(await text(browser, '/')).toBe('{"visits":1}')
  })

  test.each([
    ['below compression', [compression({ threshold: 0 })]],
    ['alone', []],
  ])(
    'streams events %s: the session is saved with the first one, and later ones pass straight on',
    async (_kind, before) => {
      const auth = expressGatepass(options())
      const app = express()
      for (const middleware of before) app.use(middleware)
      app.use(auth)
      let goOn = (): void => {}
      const seen = new Promise<void>((resolve) => {
        goOn = resolve
      })
      app.get('/events', async (req, res) => {
        data(req).visits = 1
        res.writeHead(200, { 'content-type': 'text/event-stream' })
        const send = (event: string): void => {
          res.write(`data: ${event}\n\n`)
          ;(res as { flush?: () => void }).flush?.()
        }
        send('first')
        await seen
        data(req).visits = 2
        send((await req.session.update(() => {}).catch((error: { code: string }) => error.code)) ?? 'saved')
        res.end()
      })
      app.get('/', (req, res) => void res.json(data(req)))
      const browser = await browserAt(app)
      const response = await browser.fetch('/events')
      const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader()
      expect((await reader.read()).value).toBe('data: first\n\n')
      expect(await text(browser, '/')).toBe('{"visits":1}')
      goOn()
      expect((await reader.read()).value).toBe('data: ERR_RESPONSE_STARTED\n\n')
      expect(await text(browser, '/')).toBe('{"visits":1}')
    },
  )

  describe.each([
    ['at once', true],
    ['later', false],
  ])('where saving fails %s', (_when, synchronous) => {
    const lost = (): never => {
      throw new StoreError('ERR_STORE_UNAVAILABLE', 'connection lost')
    }
    function failing() {
      const reported: unknown[] = []
      const store = Object.assign(memoryStore(), { synchronous, insert: synchronous ? lost : async () => lost() })
      const auth = expressGatepass({ ...options(), sessions: { store }, onError: (error) => reported.push(error) })
      const app = express().set('env', 'test').use(auth)
      return { auth, app, reported }
    }
    const change = (req: Request, _res: Response, next: NextFunction): void => {
      data(req).visits = 1
      next()
    }
    const nameCode = (name: string) => (error: { code?: string }, _req: Request, res: Response, _next: NextFunction) =>
      void res.status(500).json({ [name]: error.code })

    test("an answer of the application's own error handler leaves, without the cookie, and the failure is reported", async () => {
      const { app, reported } = failing()
      app.get('/forbidden', change, () => {
        throw new Error('forbidden')
      })
      app.get('/away', change, (_req, res) => void res.redirect('/elsewhere'))
      app.use((error: Error & { code?: string }, _req: Request, res: Response, _next: NextFunction) => {
        res.status(error.message === 'forbidden' ? 403 : 500).json({ own: error.code ?? error.message })
      })
      const browser = await browserAt(app)
      const forbidden = await browser.fetch('/forbidden')
      expect([forbidden.status, await forbidden.json()]).toEqual([403, { own: 'forbidden' }])
      expect(forbidden.headers.getSetCookie()).toEqual([])
      expect(reported).toMatchObject([{ code: 'ERR_STORE_UNAVAILABLE' }])
      const away = await browser.fetch('/away', { manual: true })
      expect([away.status, await away.json()]).toEqual([500, { own: 'ERR_STORE_UNAVAILABLE' }])
      expect(reported).toHaveLength(1)
    })

    test('the error handlers of the router that answered make the new answer', async () => {
      const { app } = failing()
      const router = express.Router()
      router.get('/', change, (_req, res) => void res.send('saved'))
      router.use(nameCode('router'))
      app.use('/router', router).use(nameCode('application'))
      expect(await text(await browserAt(app), '/router')).toBe('{"router":"ERR_STORE_UNAVAILABLE"}')
    })

    test('errors() makes the new answer, as guards answer', async () => {
      const { app, auth, reported } = failing()
      app.post('/', change, (_req, res) => void res.send('saved'))
      app.use(auth.errors())
      const browser = await browserAt(app)
      const unsaved = await browser.fetch('/', { method: 'POST' })
      expect([unsaved.status, unsaved.headers.get('retry-after')]).toEqual([503, '1'])
      expect(await unsaved.json()).toMatchObject({ error: { code: 'ERR_STORE_UNAVAILABLE' } })
      expect(reported).toMatchObject([{ code: 'ERR_STORE_UNAVAILABLE' }])
    })
  })

  test('errors() answers what is refused as guards do, and lets other errors and earlier handlers be', async () => {
    const { app, auth } = application()
    app.post('/', (_req, res) => void res.send('changed'))
    app.get('/own', () => {
      throw new Error('of the application')
    })
    app.get('/first', (req, res) => void res.send(auth.csrfToken(req)))
    app.use((error: { code?: string }, _req: Request, res: Response, next: NextFunction) => {
      if (error.code === 'ERR_PASSPORT_OPTIONS') res.status(418).send('mine')
      else next(error)
    })
    app.use(auth.errors())
    app.use(
      (error: Error, _req: Request, res: Response, _next: NextFunction) => void res.status(500).send(error.message),
    )
    const browser = await browserAt(app)
    const foreign = { cookie: 'a=b', 'sec-fetch-site': 'cross-site' }
    const refused = await browser.fetch('/', { method: 'POST', headers: foreign })
    expect(refused.status).toBe(403)
    expect(refused.headers.get('vary')).toContain('Sec-Fetch-Site')
    expect(await refused.json()).toMatchObject({ error: { code: 'ERR_CROSS_ORIGIN', hint: expect.any(String) } })
    const page = await browser.fetch('/', { method: 'POST', headers: { ...foreign, accept: 'text/html' } })
    expect([page.status, page.headers.get('content-type')]).toEqual([403, 'text/plain; charset=utf-8'])
    expect(await page.text()).not.toContain('    at ')
    expect(await text(browser, '/own')).toBe('of the application')
    expect(await text(browser, '/first')).toBe('mine')
  })

  test('errors() tells nothing that only the developer may know, and reports it', async () => {
    const reported: unknown[] = []
    const auth = expressGatepass({ ...options(), onError: (error) => reported.push(error) })
    const app = express().get('/', auth.requireLogin()).use(auth.errors())
    const answer = await (await browserAt(app)).fetch('/')
    expect([answer.status, await answer.json()]).toMatchObject([500, { error: { code: 'ERR_INTERNAL' } }])
    expect(reported).toMatchObject([{ code: 'ERR_SESSION_NOT_OPEN' }])
  })

  test('knows its user where `find` answers now at once, now later', async () => {
    let asked = 0
    const find = (id: string): User | Promise<User> => (asked++ % 2 === 0 ? { id } : Promise.resolve({ id }))
    const auth = expressGatepass({ ...options(), users: { ...users, find } })
    const app = express().set('env', 'test').use(auth)
    app.post('/login', auth.login('local'), (_req, res) => void res.sendStatus(204))
    app.get('/me', (req, res) => void res.send((req.user as User | undefined)?.id ?? 'nobody'))
    const browser = await browserAt(app)
    await logIn(browser)
    const seen: string[] = []
    for (let n = 0; n < 4; n++) seen.push(await text(browser, '/me'))
    expect(seen).toEqual(['ada', 'ada', 'ada', 'ada'])
  })

  test('looks up a user that is not read only where `find` does not say that it is synchronous', async () => {
    for (const synchronous of [false, true]) {
      const asked: string[] = []
      const find = (id: string): User => ({ id: asked[asked.push(id) - 1] ?? '' })
      const auth = expressGatepass({ ...options(), users: { ...users, find, synchronous } })
      const app = express().set('env', 'test').use(auth)
      app.post('/login', auth.login('local'), (_req, res) => void res.sendStatus(204))
      app.get('/', (_req, res) => void res.send('page'))
      const browser = await browserAt(app)
      await logIn(browser)
      await text(browser, '/')
      expect(asked).toEqual(synchronous ? [] : ['ada'])
    }
  })

  test('says what to do where a `find` that says it is synchronous answers later', async () => {
    const find = async (id: string): Promise<User> => ({ id })
    const auth = expressGatepass({ ...options(), users: { ...users, find, synchronous: true } })
    const app = express().set('env', 'test').use(auth)
    app.post('/login', auth.login('local'), (_req, res) => void res.sendStatus(204))
    app.get('/me', (req, res) => void res.json(req.user))
    app.use((error: { code?: string; hint?: string }, _req: Request, res: Response, _next: NextFunction) => {
      res.status(500).send(`${error.code} ${error.hint}`)
    })
    const browser = await browserAt(app)
    await logIn(browser)
    expect(await text(browser, '/me')).toMatch(/^ERR_PASSPORT_USER_PENDING .*users\.synchronous/)
  })

  test('may have two gatepass(), each with a cookie, store and users of its own', async () => {
    const own = { httpOnly: true, path: '/', sameSite: 'strict', secure: false } as const
    const visitors = expressGatepass(options())
    const staff = expressGatepass({
      ...options(),
      sessions: { store: memoryStore(), cookie: plainCookie('staff', own) },
    })
    const app = express().use(visitors).use(staff)
    app.post('/login', visitors.login('local'), (_req, res) => void res.sendStatus(204))
    app.post('/staff', staff.login('local'), (_req, res) => void res.sendStatus(204))
    app.get('/', async (req, res) => {
      expect(visitors.exchange(req)).toBe(staff.exchange(req))
      res.json([await visitors.user(req), await staff.user(req), req.user])
    })
    const browser = await browserAt(app)
    await logIn(browser)
    await browser.fetch('/staff', { json: { username: 'boss', password: 'x' } })
    expect([...browser.jar.keys()]).toEqual(['gp', 'staff'])
    expect(JSON.parse(await text(browser, '/'))).toEqual([{ id: 'ada' }, { id: 'boss' }, { id: 'boss' }])
  })

  test('says so when two gatepass() would write over each other, unless they share their sessions', async () => {
    const codes: unknown[] = []
    const one = expressGatepass(options())
    for (const other of [expressGatepass(options()), expressGatepass({ ...options(), sessions: one.sessions })]) {
      const app = express().use(one).use(other)
      app.get('/', (_req, res) => void res.send('fine'))
      app.use((error: { code?: string }, _req: Request, res: Response, _next: NextFunction) => {
        res.send(error.code)
      })
      codes.push(await text(await browserAt(app), '/'))
    }
    expect(codes).toEqual(['ERR_SESSION_OPTIONS', 'fine'])
  })

  test('says so when a guard stands in front of the middleware, or the middleware behind an answer', async () => {
    const auth = expressGatepass(options())
    const codes: unknown[] = []
    const app = express()
    app.get('/guarded', auth.requireLogin(), (_req, res) => void res.send('let in'))
    app.get('/answered', (_req, res, next) => {
      res.send('answered')
      next()
    })
    app.use(auth)
    app.use((error: { code?: string }, _req: Request, res: Response, _next: NextFunction) => {
      codes.push(error.code)
      if (!res.headersSent) res.status(500).send('refused')
    })
    const browser = await browserAt(app)
    expect([await text(browser, '/guarded'), await text(browser, '/answered')]).toEqual(['refused', 'answered'])
    expect(codes).toEqual(['ERR_SESSION_NOT_OPEN', 'ERR_RESPONSE_STARTED'])
  })

  test('may be given the middleware twice, and log in and out as often as it likes in one request', async () => {
    const { app, auth } = application()
    app.use(auth)
    const steps: Record<string, (req: Request) => Promise<void>> = {
      'the same one twice': async (req) => {
        await req.login({ id: 'ada' } as never)
        await req.login({ id: 'ada' } as never)
      },
      'one, then another': async (req) => {
        await req.login({ id: 'ada' } as never)
        data(req).secret = 'of ada'
        await req.login({ id: 'bob' } as never)
      },
      'out, then in': async (req) => {
        await req.logout()
        await req.login({ id: 'cleo' } as never)
      },
      'in, then out': async (req) => {
        await req.login({ id: 'dora' } as never)
        await req.logout()
      },
    }
    app.post('/steps', (req, res, next) => {
      steps[String(req.query.which)]?.(req).then(() => res.json([req.user ?? null, req.session.data]), next)
    })
    const browser = await browserAt(app)
    const answers: unknown[] = []
    for (const which of Object.keys(steps)) {
      const response = await browser.fetch(`/steps?which=${which}`, { method: 'POST' })
      answers.push([await response.json(), response.headers.getSetCookie().length, await text(browser, '/me')])
    }
    expect(answers).toEqual([
      [[{ id: 'ada' }, {}], 1, 'ada'],
      [[{ id: 'bob' }, {}], 1, 'bob'],
      [[{ id: 'cleo' }, {}], 1, 'cleo'],
      [[null, {}], 1, 'nobody'],
    ])
    for (const subject of ['ada', 'bob', 'cleo', 'dora']) expect(await auth.sessions.list(subject)).toEqual([])
  })

  test('sees a user that a test puts on the request, and its guards do not', async () => {
    const { app, auth } = application()
    app.use('/as', (req, _res, next) => {
      req.user = { id: 'put' } as never
      next()
    })
    app.get('/as/me', (req, res) => void res.json(req.user))
    app.get('/as/guarded', auth.requireLogin(), (_req, res) => void res.send('let in'))
    const browser = await browserAt(app)
    expect(await text(browser, '/as/me')).toBe('{"id":"put"}')
    expect((await browser.fetch('/as/guarded')).status).toBe(401)
    expect(await text(browser, '/me')).toBe('nobody')
  })

  test.each([
    ['before', true],
    ['behind', false],
  ])('has the fields of a login with a body parser %s it', async (_place, first) => {
    const auth = expressGatepass(options())
    const app = express().use(auth)
    const [parser, login] = [express.urlencoded({ extended: false }), auth.login('local')]
    app.post('/login', ...(first ? [parser, login] : [login, parser]), (req: Request, res: Response) => {
      res.json([req.user, { ...req.body }])
    })
    const form = { username: 'ada', password: 'x' }
    const browser = await browserAt(app)
    expect(await (await browser.fetch('/login', { form })).json()).toEqual([{ id: 'ada' }, form])
  })

  test('takes the token of a form from a browser that says nothing, and leaves the form to its handlers', async () => {
    const auth = expressGatepass({ ...options(), csrfKeys: ['a key of at least 32 characters, for tests'] })
    const app = express().set('env', 'test').use(auth)
    app.use(express.urlencoded({ extended: false }))
    app.get('/form', async (req, res) => void res.send(await auth.csrfToken(req)))
    app.post('/order', (req, res) => void res.send(req.body.item))
    const browser = await browserAt(app)
    const csrf = await text(browser, '/form')
    const post = (fields: Record<string, string>) => silently(browser, '/order', fields)
    expect(await post({ csrf, item: 'pen' })).toEqual([200, 'pen'])
    expect((await post({ item: 'pen' }))[0]).toBe(403)
    expect((await post({ csrf: `${csrf.slice(0, -1)}_`, item: 'pen' }))[0]).toBe(403)
  })
})

/** A form as a browser sends it that knows neither Sec-Fetch-Site nor Origin. */
async function silently(browser: TestBrowser, path: string, form: Record<string, string>): Promise<[number, string]> {
  const response = await send(browser, path, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
  })
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) body += chunk
  return [response.statusCode ?? 0, body]
}

interface Sent {
  method?: string
  headers?: Record<string, string>
  body?: string
}

function send(browser: TestBrowser, path: string, { method = 'GET', headers, body }: Sent): Promise<IncomingMessage> {
  const cookie = [...browser.jar].map(([name, value]) => `${name}=${value}`).join('; ')
  return new Promise((resolve, reject) => {
    const sent = httpRequest(new URL(path, browser.origin), { method, headers: { cookie, ...headers } })
    sent.on('response', resolve).on('upgrade', resolve).on('error', reject).end(body)
  })
}

/** What three requests to one application warn of. */
async function warningsOf(
  handler: (req: Request, res: Response) => void,
  settings: object = {},
  headers: Record<string, string> = {},
): Promise<Error[]> {
  const warned: Error[] = []
  const note = (warning: Error): void => void warned.push(warning)
  process.on('warning', note)
  const app = express5().use(expressGatepass({ ...options(), ...settings }))
  app.get('/', handler)
  const server = await listening(createServer(app))
  const browser = new TestBrowser(originOf(server))
  for (let n = 0; n < 3; n++) for await (const _ of await send(browser, '/', { headers }));
  // All responses are closed when the server is, and a turn later all is said.
  await new Promise((resolve) => server.close(resolve))
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  process.off('warning', note)
  return warned.filter(({ name }) => name === 'GatepassWarning')
}

describe('a change of session data after the response began', () => {
  const late: Record<string, (req: Request, res: Response) => void> = {
    'after the answer': (req, res) => {
      data(req).visits = 1
      res.send('answered')
      data(req).visits = 2
    },
    'while it streams': (req, res) => {
      res.write('a')
      data(req).visits = 1
      res.end('b')
    },
    'in a part of it': (req, res) => {
      const parts = data(req) as { list?: number[] }
      parts.list = []
      const { list } = parts
      res.send('answered')
      list.push(1)
    },
  }

  test.each(Object.entries(late))('is warned of once in development: %s', async (_when, handler) => {
    const store = memoryStore()
    for (const synchronous of [true, false]) {
      const sessions = { store: Object.assign(store, { synchronous }) }
      expect(await warningsOf(handler, { sessions })).toMatchObject([{ code: 'ERR_RESPONSE_STARTED' }])
    }
  })

  test('is not warned of in production, nor is any other change', async () => {
    const [handler] = Object.values(late)
    const early = (req: Request, res: Response): void => {
      data(req).visits = (data(req).visits ?? 0) + 1
      res.send(String(data(req).visits))
    }
    expect(await warningsOf(early)).toEqual([])
    expect(await warningsOf((_req, res) => void res.send('page'))).toEqual([])
    vi.stubEnv('NODE_ENV', 'production')
    expect(handler && (await warningsOf(handler))).toEqual([])
    vi.unstubAllEnvs()
  })
})

describe('behind a proxy that takes HTTPS off and is not trusted', () => {
  const https: Record<string, Record<string, string>> = {
    'X-Forwarded-Proto': { 'x-forwarded-proto': 'https' },
    Forwarded: { forwarded: 'for=203.0.113.7;proto=https' },
  }
  const begin = (req: Request, res: Response): void => {
    data(req).visits = 1
    res.send('begun')
  }
  const warnings = (settings: object, headers: Record<string, string>): Promise<Error[]> =>
    warningsOf(begin, settings, headers)

  test.each(Object.entries(https))(
    'a session that begins warns once, naming the options: %s',
    async (_field, headers) => {
      const [warning, ...others] = await warnings({}, headers)
      expect(others).toEqual([])
      expect(warning).toMatchObject({ code: 'ERR_HTTP_PROXY', detail: expect.stringContaining('`trustProxy`') })
    },
  )

  test('no other session warns', async () => {
    const proxied = https['X-Forwarded-Proto'] ?? {}
    expect(await warnings({}, {})).toEqual([])
    expect(await warnings({}, { 'x-forwarded-proto': 'http' })).toEqual([])
    expect(await warnings({ trustProxy: 1 }, { ...proxied, 'x-forwarded-for': '203.0.113.7' })).toEqual([])
    expect(await warnings({ origin: 'http://localhost:3000' }, proxied)).toEqual([])
  })
})

describe('without a framework', () => {
  test.each([
    [
      'throws',
      () => {
        throw new Error('the log is down')
      },
    ],
    ['rejects', () => Promise.reject(new Error('the log is down'))],
  ])('where onError %s, answers leave and a warning says it', async (_how, onError) => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const auth = nodeGatepass({ ...options(), onError })
    const broken = auth.handler((req, res) => {
      if (req.url === '/broken') throw new Error('broken on purpose')
      res.end('out')
      // After the answer, so the error can only be reported.
      req.login({ id: 'ada' })
    })
    const browser = await browserAt(broken as RequestListener)
    expect((await browser.fetch('/broken')).status).toBe(500)
    expect(await text(browser, '/late')).toBe('out')
    await eventually(() => expect(warned).toHaveBeenCalledTimes(2))
    expect(warned).toHaveBeenLastCalledWith('gatepass(): onError failed: the log is down', {
      code: 'GATEPASS_LISTENER',
    })
    warned.mockRestore()
  })

  test('an error in place of a download is not saved as the file', async () => {
    const auth = nodeGatepass({ ...options(), onError: () => {} })
    const browser = await browserAt(
      auth.handler((_req, res) => {
        res.setHeader('Content-Disposition', 'attachment; filename=report.csv')
        res.setHeader('Content-Security-Policy', "default-src 'self'")
        throw new StoreError('ERR_STORE_UNAVAILABLE', 'down')
      }) as RequestListener,
    )
    const { status, headers } = await browser.fetch('/')
    expect([status, headers.get('content-disposition')]).toEqual([503, null])
    expect(headers.get('content-type')).toContain('application/json')
    expect(headers.get('content-security-policy')).toBe("default-src 'self'")
  })

  test('a list of cookies that several answers share is not changed by any of them', async () => {
    const auth = nodeGatepass(options())
    const shared = ['theme=dark', 'language=en']
    const browser = await browserAt(
      auth.handler((req, res) => {
        const own = req.url === '/first' ? [['Set-Cookie', 'seen=1']] : []
        res.writeHead(200, [['Set-Cookie', shared], ...own] as never).end()
      }) as RequestListener,
    )
    expect((await browser.fetch('/first')).headers.getSetCookie()).toEqual([...shared, 'seen=1'])
    expect((await browser.fetch('/other')).headers.getSetCookie()).toEqual(['theme=dark', 'language=en'])
  })

  test.each(['the middleware', 'a handler'])(
    'a `next` that fails after %s is called once, and answered',
    async (place) => {
      const reported: unknown[] = []
      const store = Object.assign(memoryStore(), { synchronous: false })
      const auth = expressGatepass({
        ...options(),
        sessions: { store },
        users: { ...users, find: async (id: string) => users.find(id) },
        onError: (error) => reported.push(error),
      })
      const guard = auth.requireLogin()
      const calls: unknown[] = []
      const next = (error?: unknown): never => {
        calls.push(error)
        throw new Error('the router is broken')
      }
      const browser = await browserAt((req, res) => {
        if (req.url === '/login') auth(req, res, () => auth.login('local')(req, res, () => res.end()))
        else if (place === 'the middleware') auth(req, res, next)
        else auth(req, res, () => guard(req, res, next))
      })
      expect((await logIn(browser)).status).toBe(200)
      expect((await browser.fetch('/')).status).toBe(500)
      expect([calls, reported]).toEqual([[undefined], [new Error('the router is broken')]])
    },
  )

  test('a request to upgrade knows its user', async () => {
    const auth = nodeGatepass(options())
    const server = await listening(
      createServer(
        auth.handler(async (req, res) => {
          await req.login({ id: 'ada' })
          res.end()
        }),
      ),
    )
    server.on('upgrade', (req, socket) => {
      auth(req, new ServerResponse(req), async (error) => {
        const user = error === undefined ? await auth.user(req) : undefined
        socket.end(
          `HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: ${user?.id ?? 'nobody'}\r\n\r\n`,
        )
      })
    })
    const browser = new TestBrowser(originOf(server))
    const upgrade = { headers: { connection: 'upgrade', upgrade: 'websocket' } }
    expect((await send(browser, '/', upgrade)).headers.upgrade).toBe('nobody')
    await browser.fetch('/', { method: 'POST' })
    expect((await send(browser, '/', upgrade)).headers.upgrade).toBe('ada')
  })

  test('HTTP/2 has sessions like HTTP/1', async () => {
    const auth = nodeGatepass(options())
    const count = auth.handler((req, res) => {
      const data = req.session.data as Data
      data.visits = (data.visits ?? 0) + 1
      res.end(String(data.visits))
    })
    const server = await listening(createHttp2Server(count as never))
    const client = connect(originOf(server))
    const visit = (headers: Record<string, string>): Promise<{ body: string; cookie: string | undefined }> =>
      new Promise((resolve) => {
        let [body, cookie] = ['', undefined as string | undefined]
        const stream = client.request({ ':path': '/', ...headers }).setEncoding('utf8')
        stream.on('response', (head) => (cookie = head['set-cookie']?.[0]?.split(';')[0]))
        stream.on('data', (chunk) => (body += chunk)).on('end', () => resolve({ body, cookie }))
      })
    const { body, cookie = '' } = await visit({})
    expect([body, (await visit({ cookie })).body]).toEqual(['1', '2'])
    client.close()
  })
})
