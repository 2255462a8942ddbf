import { connect as connectHttp2 } from 'node:http2'
import { type AddressInfo, connect } from 'node:net'
import { Readable } from 'node:stream'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type InjectOptions } from 'fastify'
import { plainCookie } from 'gatepass/cookie'
import { gatepass } from 'gatepass/fastify'
import type { Strategy } from 'gatepass/passport'
import type { SessionRecord, SessionStore } from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'
import { local } from 'gatepass/strategies/local'
import { afterEach, describe, expect, test } from 'vitest'

interface User {
  readonly id: string
}

interface Data {
  visits?: number
}

const users = { find: (id: string): User => ({ id }), subject: (user: User) => user.id }
const strategies = [local<User>({ verify: (id) => ({ id }) })] as const
const csrfKeys = ['a key of at least thirty-two characters'] as const

const applications: { close(): unknown }[] = []
afterEach(async () => {
  for (const app of applications.splice(0)) await app.close()
})

interface Setup {
  store?: SessionStore
  csrfKeys?: readonly [string]
  /** What an application registers before. */
  before?: (app: FastifyInstance) => unknown
}

async function application({ store = memoryStore(), before, ...options }: Setup = {}) {
  const auth = gatepass({ sessions: { store }, users, strategies, ...options })
  const app = fastify()
  applications.push(app)
  await before?.(app)
  await app.register(auth)
  app.post('/login', auth.login('local'))
  app.get('/me', (request) => ({ id: (request.user as User | undefined)?.id ?? null }))
  return { app, auth }
}

const data = (request: FastifyRequest): Data => request.session.data as Data
const visit = (request: FastifyRequest): string => {
  data(request).visits = (data(request).visits ?? 0) + 1
  return String(data(request).visits)
}

const ownPage = { 'sec-fetch-site': 'same-origin' }
const form = (fields: Record<string, string>, headers: Record<string, string> = ownPage): InjectOptions => ({
  method: 'POST',
  headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
  payload: new URLSearchParams(fields).toString(),
})
const credentials = { username: 'ada', password: 'x' }

async function loggedIn(app: FastifyInstance): Promise<Record<string, string>> {
  const { cookies, statusCode } = await app.inject({ url: '/login', ...form(credentials) })
  expect(statusCode).toBe(204)
  return Object.fromEntries(cookies.map(({ name, value }) => [name, value]))
}

test('an application is tested with inject()', async () => {
  const { app } = await application()
  const cookies = await loggedIn(app)
  expect((await app.inject({ url: '/me', cookies })).json()).toEqual({ id: 'ada' })
  expect((await app.inject('/me')).json()).toEqual({ id: null })
})

test("a provider's word that a login has ended ends the sessions of that login", async () => {
  const acme: Strategy<User, 'acme'> = {
    name: 'acme',
    authenticate: () => ({ type: 'success', user: { id: 'ada' }, sid: 'first' }),
    endedLogin: async (exchange, end) => {
      const sid = String((await exchange.fields()).logout_token)
      await end({ issuer: 'https://acme.example', subject: 'ada', sid, issuedAt: Date.now() })
    },
  }
  const auth = gatepass({ sessions: { store: memoryStore() }, users, strategies: [acme] })
  const app = fastify()
  applications.push(app)
  await app.register(auth)
  app.post('/login', auth.login('acme'))
  app.post('/ended', auth.backChannelLogout('acme', { subject: ({ subject }) => subject }))
  app.get('/me', { preHandler: auth.requireLogin() }, () => 'in')
  const cookies = await loggedIn(app)
  const tell = (sid: string) => app.inject({ url: '/ended', ...form({ logout_token: sid }, {}) })
  const me = async () => (await app.inject({ url: '/me', cookies })).statusCode
  expect([(await tell('second')).statusCode, await me()]).toEqual([200, 200])
  expect([(await tell('first')).statusCode, await me()]).toEqual([200, 401])
})

describe('no byte of the response leaves before the session is saved', () => {
  const answers: readonly (readonly [string, (request: FastifyRequest, reply: FastifyReply) => unknown])[] = [
    ['a value', () => ({ a: 1 })],
    ['reply.send()', (_request, reply) => void reply.code(201).header('etag', '"1"').send('a')],
    ['a redirect', (_request, reply) => reply.header('set-cookie', 'a=1').redirect('/elsewhere')],
    ['a stream', (_request, reply) => reply.send(Readable.from(['a', 'b']))],
    ['a web stream', (_request, reply) => reply.send(new Blob(['a', 'b']).stream())],
    [
      'a Response',
      (_request, reply) => reply.send(new Response('a', { status: 201, headers: { 'set-cookie': 'a=1' } })),
    ],
    ['trailers', (_request, reply) => reply.trailer('etag', async () => '"1"').send('a')],
    ['reply.raw.end()', (_request, { raw }) => void raw.end('a')],
    [
      'a hijacked reply',
      (_request, reply) => {
        reply.hijack()
        reply.raw.writeHead(200, { 'set-cookie': 'a=1' })
        reply.raw.write('a')
        reply.raw.end('b')
      },
    ],
    ['an error', () => Promise.reject(new Error('broken on purpose'))],
    ['a page not found', (_request, reply) => reply.callNotFound()],
  ]

  test.each(answers)('%s waits for a store that takes its time', async (_kind, answer) => {
    const written: number[] = []
    let socket: { readonly bytesWritten: number } | undefined
    const store = storeWith(async () => {
      for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setImmediate(resolve))
      written.push(socket?.bytesWritten ?? -1)
    })
    const { app } = await application({ store })
    app.get('/', (request, reply) => {
      socket = request.socket
      visit(request)
      return answer(request, reply)
    })
    const response = await fetch(await app.listen({ port: 0 }), { redirect: 'manual' })
    await response.text()
    expect(response.headers.getSetCookie().join()).toContain('gp=')
    expect(written).toEqual([0])
  })

  const failures: readonly (readonly [string, () => Promise<void>])[] = [
    [
      'at once',
      () => {
        throw new Error('connection lost')
      },
    ],
    ['later', () => Promise.reject(new Error('connection lost'))],
  ]

  test.each(
    answers
      .filter(([kind]) => !saysFailed.has(kind))
      .flatMap(([kind, answer]) => failures.map(([when, failing]) => [kind, when, answer, failing] as const)),
  )('%s is 503 when saving fails %s, with nothing of the answer', async (kind, _when, answer, failing) => {
    const { app } = await application({ store: storeWith(failing) })
    app.addHook('onRequest', async (_request, reply) => void reply.header('access-control-allow-origin', '*'))
    app.get('/', (request, reply) => {
      visit(request)
      return answer(request, reply)
    })
    const response = await fetch(await app.listen({ port: 0 }))
    expect(response.status).toBe(503)
    expect(response.headers.getSetCookie()).toEqual([])
    expect(response.headers.get('location')).toBeNull()
    expect(response.headers.get('etag')).toBeNull()
    expect(response.headers.get('retry-after')).toBe('1')
    if (kind !== 'a hijacked reply') expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(((await response.json()) as { message?: string; error: unknown }).error).toBeDefined()
  })

  test.each(
    answers
      .filter(([kind]) => saysFailed.has(kind))
      .flatMap(([kind, answer]) => failures.map(([when, failing]) => [kind, when, answer, failing] as const)),
  )('%s leaves as it is when saving fails %s, without the cookie, and the failure is logged', async (kind, ...rest) => {
    const [, answer, failing] = rest
    const logged: { err?: { code?: string } }[] = []
    const stream = { write: (line: string) => void logged.push(JSON.parse(line)) }
    const app = fastify({ logger: { level: 'error', stream } })
    applications.push(app)
    await app.register(gatepass({ sessions: { store: storeWith(failing) }, users, strategies }))
    app.setErrorHandler((_error, _request, reply) => reply.code(418).send({ error: 'of the application' }))
    app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'of the application' }))
    app.get('/', (request, reply) => {
      visit(request)
      return answer(request, reply)
    })
    const response = await fetch(await app.listen({ port: 0 }))
    expect([response.status, await response.json()]).toEqual([saysFailed.get(kind), { error: 'of the application' }])
    expect(response.headers.getSetCookie()).toEqual([])
    expect(logged.map(({ err }) => err?.code)).toEqual(['ERR_STORE_UNAVAILABLE'])
  })
})

/** Answers that say nothing which a failed save would make false. */
const saysFailed: ReadonlyMap<string, number> = new Map([
  ['an error', 418],
  ['a page not found', 404],
])

describe('with setErrorHandler(auth.errors())', () => {
  async function open(store: SessionStore = memoryStore()) {
    const { app, auth } = await application({ store })
    app.setErrorHandler(auth.errors())
    app.post('/cart', visit)
    app.get('/misused', () => auth.csrfToken({ raw: {} } as never))
    app.get('/own', () => Promise.reject(new Error('of the application')))
    return app
  }

  test('an error of Gatepass is answered as a refusal is', async () => {
    const app = await open(storeWith(() => Promise.reject(new Error('connection lost'))))
    const foreign = { cookie: 'a=b', 'sec-fetch-site': 'cross-site' }
    const refused = await app.inject({ method: 'POST', url: '/cart', headers: foreign })
    expect(refused.statusCode).toBe(403)
    expect(refused.json()).toMatchObject({ error: { code: 'ERR_CROSS_ORIGIN', hint: expect.any(String) } })
    expect(refused.headers.vary).toContain('Sec-Fetch-Site')
    const page = await app.inject({ method: 'POST', url: '/cart', headers: { ...foreign, accept: 'text/html' } })
    expect(page.headers['content-type']).toContain('text/plain')
    const unsaved = await app.inject({ method: 'POST', url: '/cart', headers: ownPage })
    expect([unsaved.statusCode, unsaved.headers['retry-after']]).toEqual([503, '1'])
    expect(unsaved.json()).toMatchObject({ error: { code: 'ERR_STORE_UNAVAILABLE' } })
    expect((await app.inject('/misused')).json()).toMatchObject({ error: { code: 'ERR_INTERNAL' } })
  })

  test('another error goes on to Fastify', async () => {
    const answer = await (await open()).inject('/own')
    expect(answer.json()).toEqual({ statusCode: 500, error: 'Internal Server Error', message: 'of the application' })
  })
})

test("a failed save goes to the application's own handler of errors", async () => {
  const { app } = await application({ store: storeWith(() => Promise.reject(new Error('connection lost'))) })
  app.setErrorHandler((error: Error & { code?: string; status?: number }, _request, reply) =>
    reply.code(error.status ?? 500).send({ sorry: error.code }),
  )
  app.get('/', visit)
  const response = await app.inject('/')
  expect(response.statusCode).toBe(503)
  expect(response.json()).toEqual({ sorry: 'ERR_STORE_UNAVAILABLE' })
})

test('what a hook of the application changes while it answers is saved', async () => {
  const { app } = await application()
  app.addHook('onSend', async (request) => void visit(request))
  app.get('/', () => 'a')
  app.get('/visits', (request) => data(request))
  const {
    cookies: [cookie],
  } = await app.inject('/')
  const cookies = { [cookie?.name ?? '']: cookie?.value ?? '' }
  expect((await app.inject({ url: '/visits', cookies })).json()).toEqual({ visits: 1 })
})

test('an answer given twice is given once, also while the session is being saved', async () => {
  const { app } = await application({ store: storeWith(() => new Promise((resolve) => setImmediate(resolve))) })
  app.get('/', (request, reply) => {
    visit(request)
    reply.send('first')
    reply.send('second')
  })
  expect((await app.inject('/')).body).toBe('first')
})

test('a client that goes away before the answer leaves a saved session and a living server', async () => {
  const { app } = await application()
  const [arrived, gone, answered] = [0, 1, 2].map(() => Promise.withResolvers<void>())
  let saved = 0
  app.get('/', async (request) => {
    request.raw.once('close', () => gone?.resolve())
    arrived?.resolve()
    await gone?.promise
    visit(request)
    setImmediate(() => answered?.resolve())
    return 'a'
  })
  app.addHook('onSend', async (request) => {
    saved = data(request).visits ?? 0
  })
  const origin = new URL(await app.listen({ port: 0 }))
  const socket = connect(Number(origin.port), origin.hostname.replace(/[[\]]/g, ''))
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await arrived?.promise
  socket.destroy()
  await answered?.promise
  expect(saved).toBe(1)
  expect((await app.inject('/me')).statusCode).toBe(200)
})

test('nothing is awaited where store and users answer at once', async () => {
  const order: string[] = []
  const { app, auth } = await application({
    before: (before) =>
      before.addHook('onRequest', (_request, _reply, done) => {
        queueMicrotask(() => order.push('a turn later'))
        done()
      }),
  })
  app.get('/guarded', { preHandler: auth.requireLogin() }, (request, reply) => {
    visit(request)
    reply.send('a')
    order.push('answered')
  })
  const cookies = await loggedIn(app)
  await app.inject({ url: '/me', cookies })
  order.length = 0
  expect((await app.inject({ url: '/guarded', cookies })).statusCode).toBe(200)
  expect(order).toEqual(['answered', 'a turn later'])
})

describe('the plugin', () => {
  test('serves routes beside it, in plugins after it, and the page that is not found', async () => {
    const { app } = await application()
    app.get('/beside', visit)
    app.setNotFoundHandler((request, reply) => void reply.code(404).send(visit(request)))
    await app.register(async (child) => void child.get('/child', visit), { prefix: '/deep' })
    for (const [url, status] of [
      ['/beside', 200],
      ['/deep/child', 200],
      ['/nowhere', 404],
    ] as const) {
      const { body, statusCode, cookies } = await app.inject(url)
      expect([body, statusCode, cookies.length], url).toEqual(['1', status, 1])
    }
  })

  test('serves routes in plugins before it', async () => {
    const { app } = await application({
      before: (before) => before.register(async (child) => void child.get('/early', visit)),
    })
    expect((await app.inject('/early')).body).toBe('1')
  })

  test('says of a guard outside its scope that it guards nothing, and lets nobody in', async () => {
    const app = fastify()
    applications.push(app)
    const auth = gatepass({ sessions: { store: memoryStore() }, users, strategies })
    app.get('/', { preHandler: auth.requireLogin() }, () => 'in')
    const { statusCode, body } = await app.inject('/')
    expect([statusCode, JSON.parse(body).code]).toEqual([500, 'ERR_SESSION_NOT_OPEN'])
  })

  test('registered twice is registered once', async () => {
    const { app, auth } = await application()
    await app.register(auth)
    app.get('/', visit)
    expect((await app.inject('/')).cookies).toHaveLength(1)
  })

  test('has a second one beside it, with a cookie of its own', async () => {
    const { app } = await application()
    const cookie = plainCookie('admin')
    const admin = gatepass({ sessions: { store: memoryStore(), cookie }, users, strategies })
    await app.register(admin)
    app.post('/admin', admin.login('local'))
    const { cookies } = await app.inject({ url: '/admin', ...form(credentials) })
    expect(cookies.map(({ name }) => name)).toEqual([cookie.name])
  })

  test('lets a user be set by a hook of the application', async () => {
    const { app } = await application()
    app.addHook('preHandler', async (request) => {
      request.user = { id: 'set' }
    })
    expect((await app.inject('/me')).json()).toEqual({ id: 'set' })
  })

  test('keeps Vary of the application beside its own', async () => {
    const { app } = await application({
      before: (before) => before.addHook('onRequest', async (_request, reply) => void reply.header('vary', 'Accept')),
    })
    const headers = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site', cookie: 'a=b' }
    const { statusCode, headers: answered } = await app.inject({ method: 'POST', url: '/login', headers })
    expect(statusCode).toBe(403)
    expect(String(answered.vary).toLowerCase().split(', ').sort()).toEqual(['accept', 'origin', 'sec-fetch-site'])
  })

  test('serves HTTP/2', async () => {
    const app = fastify({ http2: true })
    applications.push(app)
    await app.register(gatepass({ sessions: { store: memoryStore() }, users, strategies }))
    app.get('/', (request) => visit(request as unknown as FastifyRequest))
    await app.listen({ port: 0 })
    const client = connectHttp2(`http://localhost:${(app.server.address() as AddressInfo).port}`)
    const stream = client.request({ ':path': '/' })
    const headers = await new Promise<Record<string, unknown>>((resolve) => stream.once('response', resolve))
    client.close()
    stream.resume()
    expect(headers[':status']).toBe(200)
    expect(headers['set-cookie']).toHaveLength(1)
  })
})

describe('a body', () => {
  const echo = async (request: FastifyRequest) => request.body

  test('of a form is parsed where the application has no parser, and keeps repeated fields', async () => {
    const { app } = await application()
    app.post('/', echo)
    const payload = 'a=1&a=2&__proto__=x&b=%C3%A9+'
    const response = await app.inject({ url: '/', ...form({}), payload })
    expect(response.body).toBe('{"a":["1","2"],"__proto__":"x","b":"é "}')
  })

  test('of an empty form may be filled with the defaults of a schema', async () => {
    const { app } = await application()
    const body = { type: 'object', properties: { a: { type: 'string', default: '1' } } }
    app.post('/', { schema: { body } }, echo)
    expect((await app.inject({ url: '/', ...form({}) })).json()).toEqual({ a: '1' })
  })

  test('of a form has as many bytes as the route lets it have', async () => {
    const { app } = await application()
    app.post('/', { bodyLimit: 100_000 }, async (request) => (request.body as { a: string }).a.length)
    app.post('/small', { bodyLimit: 100 }, echo)
    expect((await app.inject({ url: '/', ...form({ a: 'x'.repeat(50_000) }) })).body).toBe('50000')
    expect((await app.inject({ url: '/small', ...form({ a: 'x'.repeat(200) }) })).statusCode).toBe(413)
  })

  test('of a form that is malformed is refused', async () => {
    const { app } = await application()
    app.post('/', echo)
    expect((await app.inject({ url: '/', ...form({}), payload: 'a=%E9' })).statusCode).toBe(400)
  })

  test("logs in through the application's own parsers", async () => {
    const { app } = await application({
      before: (before) =>
        before.addContentTypeParser(
          'application/x-www-form-urlencoded',
          { parseAs: 'string' },
          (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(String(body)))),
        ),
    })
    await loggedIn(app)
  })

  test('is there for the handler after the check of cross-site requests has read it', async () => {
    const { app, auth } = await application({ csrfKeys: [...csrfKeys] })
    app.post('/', echo)
    app.get('/token', (request) => auth.csrfToken(request))
    const cookies = await loggedIn(app)
    const csrf = (await app.inject({ url: '/token', cookies })).body
    const asForm = await app.inject({ url: '/', ...form({ csrf, a: '1' }, {}), cookies })
    expect(asForm.json()).toEqual({ csrf, a: '1' })
    const asJson = await app.inject({ method: 'POST', url: '/', payload: { csrf, a: [1] }, cookies })
    expect(asJson.json()).toEqual({ csrf, a: [1] })
    expect((await app.inject({ url: '/', ...form({ csrf: 'forged' }, {}), cookies })).statusCode).toBe(403)
  })

  test('is there for the handler after a login in the first hook', async () => {
    const { app, auth } = await application()
    app.post('/early', { onRequest: auth.login('local') }, async (request) => [request.user, request.body])
    const response = await app.inject({ url: '/early', ...form({ ...credentials, next: '/' }) })
    expect(response.json()).toEqual([{ id: 'ada' }, { ...credentials, next: '/' }])
  })
})

describe('what makes handlers, registered as one', () => {
  test.each([
    'login',
    'link',
    'logout',
    'backChannelLogout',
    'authenticate',
    'requireLogin',
    'requireSameOrigin',
  ] as const)('auth.%s answers at once, as a hook and as a handler', async (name) => {
    const { app, auth } = await application()
    const maker = auth[name] as unknown as (request: FastifyRequest, reply: FastifyReply) => void
    app.get('/hook', { preHandler: maker }, () => 'let in')
    app.get('/first', { onRequest: [maker] }, () => 'let in')
    app.get('/handler', maker)
    for (const url of ['/hook', '/first', '/handler']) {
      const { statusCode, body } = await app.inject({ url })
      expect([statusCode, body]).toEqual([500, expect.stringContaining(`auth.${name} is registered as a handler`)])
    }
  })
})

/** A memory store whose insert does something first. */
function storeWith(first: () => unknown): SessionStore {
  const store = memoryStore()
  const insert = (record: SessionRecord) => {
    const wait = first()
    return wait instanceof Promise ? wait.then(() => store.insert(record)) : store.insert(record)
  }
  return Object.assign(Object.create(store) as typeof store, { insert, synchronous: undefined })
}
