import { StoreError } from 'gatepass'
import { gatepass as fetchGatepass } from 'gatepass/fetch'
import { gatepass, type HonoEnv, type HonoGatepassOptions } from 'gatepass/hono'
import type { SessionStore } from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'
import { local } from 'gatepass/strategies/local'
import { type Context, Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { HTTPException } from 'hono/http-exception'
import { describe, expect, test, vi } from 'vitest'

interface User {
  readonly id: string
}
const users = { find: (id: string): User => ({ id }), subject: (user: User) => user.id }
const origin = 'https://app.example'
const own = { origin, 'sec-fetch-site': 'same-origin' }
const form = { ...own, 'content-type': 'application/x-www-form-urlencoded' }
const login = 'username=ada&password=correct+horse'

function brokenStore(): SessionStore {
  const down = () => {
    throw new StoreError('ERR_STORE_UNAVAILABLE', 'down')
  }
  return { synchronous: true, load: () => undefined, insert: down, replace: down, touch: down, remove: down }
}

describe('an application of Hono', () => {
  function application(options: Partial<HonoGatepassOptions<User, 'local'>> = {}) {
    const reported: unknown[] = []
    const auth = gatepass({
      sessions: { store: memoryStore() },
      users,
      strategies: [local({ verify: (id, password) => (password === 'correct horse' ? { id } : undefined) })],
      onError: (error) => reported.push(error),
      ...options,
    })
    const app = new Hono<HonoEnv<User>>()
    app.use(auth)
    const ask = (path: string, init: RequestInit = {}) => app.request(`${origin}${path}`, init)
    return { app, auth, ask, reported }
  }

  test('has its own errors answered as they say, and others reported, with the session saved', async () => {
    const { app, auth, ask, reported } = application()
    app.onError(auth.errors())
    app.get('/forbidden', (c) => {
      c.var.auth.session.data.seen = true
      throw new HTTPException(403, { message: 'not for you' })
    })
    app.get('/broken', () => {
      throw new Error('boom')
    })
    const forbidden = await ask('/forbidden')
    expect([forbidden.status, await forbidden.text()]).toEqual([403, 'not for you'])
    expect(forbidden.headers.getSetCookie()).toHaveLength(1)
    expect((await ask('/broken')).status).toBe(500)
    expect(reported).toEqual([new Error('boom')])
  })

  test('that answers several visitors with the same response gives the cookie of one only to that one', async () => {
    const { app, ask } = application()
    const home = new Response(null, { status: 302, headers: { location: '/' } })
    app.get('/login', async (c) => {
      await c.var.auth.login({ id: 'ada' })
      return home
    })
    app.get('/other', () => home)
    expect((await ask('/login')).headers.getSetCookie()).toHaveLength(1)
    expect((await ask('/other')).headers.getSetCookie()).toEqual([])
    expect([...home.headers]).toEqual([['location', '/']])
  })

  test('answers each of two requests that fail with the same error as that request asked', async () => {
    const down = new StoreError('ERR_STORE_UNAVAILABLE', 'down', { cause: new Error('socket closed') })
    // As where requests share a look-up.
    const failing = Promise.reject(down)
    failing.catch(() => {})
    const store = Object.assign(memoryStore(), { synchronous: false })
    const { app, ask, reported } = application({ sessions: { store } })
    app.get('/', (c) => c.text('reached'))
    app.get('/login', async (c) => {
      await c.var.auth.login({ id: 'ada' })
      return c.text('in')
    })
    const cookie = (await ask('/login')).headers.getSetCookie()[0]?.split(';')[0] ?? ''
    Object.assign(store, { load: () => failing })
    const both = () =>
      Promise.all(['text/html', 'application/json'].map((accept) => ask('/', { headers: { accept, cookie } })))
    const answers = await both()
    expect(answers.map(({ status }) => status)).toEqual([503, 503])
    expect(answers.map(({ headers }) => headers.get('content-type'))).toEqual([
      'text/plain; charset=utf-8',
      'application/json; charset=utf-8',
    ])
    expect(Object.keys(down)).not.toContain('getResponse')
    expect(reported).toEqual([down, down])
    // An error handler of the application sees the error as it was thrown.
    app.onError((error, c) => {
      const known = error instanceof StoreError && (error.cause as Error).message === 'socket closed'
      return c.text(known ? `${error.code} ${error.message}` : 'another error', 500)
    })
    expect(await (await both())[0]?.text()).toBe('ERR_STORE_UNAVAILABLE down')
  })

  test('has an error before the middleware answered, with the address it configured and without a visit', async () => {
    const { auth } = application({ address: () => '10.0.0.1', trustProxy: 1 })
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const app = new Hono()
    const visited: unknown[] = []
    app.onError((error, c) => {
      const answer = auth.errors()(error, c)
      try {
        visited.push(auth.exchange(c))
      } catch {}
      return answer
    })
    app.get('/', () => {
      throw new StoreError('ERR_STORE_UNAVAILABLE', 'down')
    })
    expect((await app.request('/')).status).toBe(503)
    expect([visited, warned.mock.calls]).toEqual([[], []])
    warned.mockRestore()
  })

  test('refuses another site with 403 also without an error handler of its own', async () => {
    const { app, ask } = application()
    app.post('/', (c) => c.text('done'))
    const headers = { cookie: 'a=b', origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
    const response = await ask('/', { method: 'POST', headers })
    expect(response.status).toBe(403)
    expect(response.headers.get('vary')).toContain('Origin')
  })

  test('logs in where middleware has put another request in the place of the first, or has read the form', async () => {
    const readers: Record<string, (c: Context) => Promise<unknown>> = {
      formData: (c) => c.req.formData(),
      parseBody: (c) => c.req.parseBody(),
      text: (c) => c.req.text(),
      nothing: async () => {},
    }
    for (const [what, read] of Object.entries(readers)) {
      const { app, auth, ask } = application()
      app.use(bodyLimit({ maxSize: 1000 }))
      app.use(async (c, next) => {
        await read(c)
        await next()
      })
      app.post('/login', auth.login('local'), (c) => c.text(c.var.auth.user?.id ?? 'nobody'))
      const chunked = new Blob([login]).stream()
      const streamed = { method: 'POST', headers: form, body: chunked, duplex: 'half' } as RequestInit
      for (const init of [{ method: 'POST', headers: form, body: login }, streamed]) {
        expect(await (await ask('/login', init)).text(), what).toBe('ada')
      }
    }
  })

  test.each(['requireLogin', 'logout', 'requireSameOrigin'] as const)(
    'hears at once that %s was registered without being called',
    async (name) => {
      const { app, auth, ask } = application()
      app.onError(auth.errors())
      app.get('/', auth[name] as never, (c) => c.text('reached'))
      expect((await ask('/')).status).toBe(500)
    },
  )

  test('has the request as the core sees it, and a body of a type that is not accepted is not read', async () => {
    const { app, auth, ask } = application({ address: () => '10.0.0.1', trustProxy: 1 })
    app.onError(auth.errors())
    app.post('/fields', async (c) => c.json(await auth.exchange(c).fields()))
    app.get('/host', (c) => c.text(auth.exchange(c).host ?? 'none'))
    const forwarded = { host: 'inside.example', 'x-forwarded-host': 'app.example', 'x-forwarded-proto': 'https' }
    expect(await (await ask('/host', { headers: forwarded })).text()).toBe('app.example')
    expect(await (await ask('/host', { headers: { host: 'inside.example' } })).text()).toBe('inside.example')
    expect(await (await ask('/fields', { method: 'POST', headers: form, body: login })).json()).toMatchObject({
      username: 'ada',
    })
    let pulled = 0
    const body = new ReadableStream({ pull: () => void pulled++ }, { highWaterMark: 0 })
    const headers = { ...own, 'content-type': 'text/plain', 'content-length': '70000' }
    const refused = await ask('/fields', { method: 'POST', headers, body, duplex: 'half' } as RequestInit)
    expect([refused.status, pulled]).toEqual([415, 0])
  })

  test('hears that its error handler was registered without being called', () => {
    const { auth } = application()
    expect(() => (auth.errors as (error: Error) => unknown)(new Error('boom'))).toThrow(
      expect.objectContaining({ code: 'ERR_PASSPORT_OPTIONS' }),
    )
  })

  test('hears from Hono of a handler that gives no response', async () => {
    const { app, ask } = application()
    app.get('/', (() => {}) as never)
    const silent = vi.spyOn(console, 'error').mockImplementation(() => {})
    expect((await ask('/')).status).toBe(500)
    silent.mockRestore()
  })

  test('must say how the address is known if it trusts a proxy, and then sets Secure cookies behind TLS', async () => {
    expect(() => application({ trustProxy: 1 })).toThrow(expect.objectContaining({ code: 'ERR_HTTP_PROXY' }))
    const { app, auth } = application({ trustProxy: 1, address: () => '127.0.0.1' })
    app.post('/login', auth.login('local'), (c) => c.text('in'))
    const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'app.example' }
    const response = await app.request('http://127.0.0.1/login', {
      method: 'POST',
      headers: { ...form, ...forwarded },
      body: login,
    })
    expect(response.headers.getSetCookie().join()).toMatch(/^__Host-Http-gp=.*Secure/)
  })
})

describe.each([
  [
    'throws',
    () => {
      throw new Error('the log is down')
    },
  ],
  ['rejects', () => Promise.reject(new Error('the log is down'))],
])('where onError %s, the answer leaves and a warning says it', (_how, onError) => {
  const options = { users, onError, sessions: { store: brokenStore() } }
  test.each([
    [
      'fetch',
      () => {
        const auth = fetchGatepass(options)
        return auth.handler((request) => {
          auth.of(request).session.data.seen = true
          return new Response('hello')
        })
      },
    ],
    [
      'Hono',
      () => {
        const app = new Hono<HonoEnv<User>>().use(gatepass(options))
        app.get('/', (c) => {
          c.var.auth.session.data.seen = true
          return c.text('hello')
        })
        return (request: Request) => app.request(request)
      },
    ],
  ])('with %s', async (_name, make) => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const response = await make()(new Request(origin))
    expect(response.status).toBe(503)
    expect(warned.mock.calls).toEqual([['gatepass(): onError failed: the log is down', { code: 'GATEPASS_LISTENER' }]])
    warned.mockRestore()
  })
})

describe('a handler of the fetch standard', () => {
  const options = { users, onError: () => {} }

  test('gives its response out as it is where there is nothing to add', async () => {
    const auth = fetchGatepass({ ...options, sessions: { store: memoryStore() } })
    const response = new Response('hello')
    expect(await auth.handler(() => response)(new Request(origin))).toBe(response)
    const failed = Response.error()
    expect(await auth.handler(() => failed)(new Request(origin))).toBe(failed)
  })

  test('that answers several visitors with the same response gives the cookie of one only to that one', async () => {
    const auth = fetchGatepass({ ...options, sessions: { store: memoryStore() } })
    const home = new Response(null, { status: 302, headers: { location: '/' } })
    const answer = auth.handler(async (request) => {
      if (request.url.endsWith('/login')) await auth.of(request).login({ id: 'ada' })
      return home
    })
    const first = await answer(new Request(`${origin}/login`))
    expect(first.headers.getSetCookie()).toHaveLength(1)
    // Also fields that a session adds without a cookie are of that visitor only.
    const cookie = first.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    const again = await answer(new Request(`${origin}/again`, { headers: { cookie } }))
    expect(again.headers.get('cache-control')).toContain('no-store')
    expect(await answer(new Request(`${origin}/other`))).toBe(home)
    expect([...home.headers]).toEqual([['location', '/']])
  })

  test('may answer with a response that it has fetched, whose fields cannot be changed', async () => {
    const auth = fetchGatepass({ ...options, sessions: { store: memoryStore() } })
    const fetched = await fetch('data:text/plain,hello')
    const answer = auth.handler((request) => {
      auth.of(request).session.data.seen = true
      return fetched
    })
    const response = await answer(new Request(origin))
    expect(response.headers.getSetCookie()).toHaveLength(1)
    expect(await response.text()).toBe('hello')
  })

  test('whose session cannot be saved answers 503, and lets go of the body that nobody will read', async () => {
    const auth = fetchGatepass({ ...options, sessions: { store: brokenStore() } })
    const cancelled = vi.fn()
    const answer = auth.handler((request) => {
      auth.of(request).session.data.seen = true
      return new Response(new ReadableStream({ cancel: cancelled }))
    })
    const response = await answer(new Request(origin))
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
    expect(response.headers.getSetCookie()).toEqual([])
    expect(cancelled).toHaveBeenCalledOnce()
  })

  test('warns once if a proxy is trusted and the address of the connection is not known', async () => {
    const auth = fetchGatepass({ ...options, sessions: { store: memoryStore() }, trustProxy: 1 })
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const answer = auth.handler(() => new Response('hello'))
    for (let n = 0; n < 2; n++) await answer(new Request(origin))
    await answer(new Request(origin), { address: '127.0.0.1' })
    expect(warned.mock.calls).toHaveLength(1)
    warned.mockRestore()
  })

  test.each([
    ['has read', (request: Request) => request.text()],
    ['reads', (request: Request) => void request.body?.getReader()],
  ])('that %s the body of a login says so', async (_when, read) => {
    const reported: unknown[] = []
    const auth = fetchGatepass({
      ...options,
      sessions: { store: memoryStore() },
      strategies: [local({ verify: (id) => ({ id }) })],
      onError: (error) => reported.push(error),
    })
    const step = auth.login('local')
    const answer = auth.handler(async (request) => {
      await read(request)
      return (await step(request)) ?? new Response('in')
    })
    const response = await answer(new Request(`${origin}/login`, { method: 'POST', headers: form, body: login }))
    expect(response.status).toBe(500)
    expect(reported).toEqual([expect.objectContaining({ code: 'ERR_BODY_READ' })])
  })

  test.each([undefined, null, {}, 'hello'])(
    'that returns %j and no response answers 500, and says so',
    async (value) => {
      const onError = vi.fn()
      const auth = fetchGatepass({ ...options, sessions: { store: memoryStore() }, onError })
      const answer = auth.handler((async () => value) as never)
      expect((await answer(new Request(origin))).status).toBe(500)
      expect(onError.mock.calls).toEqual([
        [expect.objectContaining({ code: 'ERR_PASSPORT_OPTIONS' }), expect.anything()],
      ])
    },
  )

  test('whose response cannot carry a cookie warns once that it is lost', async () => {
    const auth = fetchGatepass({ ...options, sessions: { store: memoryStore() } })
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const failed = Response.error()
    const answer = auth.handler((request) => {
      auth.of(request).session.data.seen = true
      return failed
    })
    for (let n = 0; n < 2; n++) expect(await answer(new Request(origin))).toBe(failed)
    expect(warned.mock.calls.map(([, details]) => details)).toEqual([
      expect.objectContaining({ code: 'ERR_RESPONSE_STARTED' }),
    ])
    warned.mockRestore()
  })
})
