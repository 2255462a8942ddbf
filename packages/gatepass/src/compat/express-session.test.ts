import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect, createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import session, { Cookie, MemoryStore, Session, type SessionOptions, type Store } from 'gatepass/compat/express-session'
import { memoryStore } from 'gatepass/stores/memory'
import { TestBrowser } from 'gatepass/testing'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { sha256Hex } from '../crypto/random.ts'

const secret = 'a secret of at least thirty-two characters'

type Req = IncomingMessage & { session: Session & Record<string, unknown>; sessionID: string; sessionStore: Store }
type Handler = (req: Req, res: ServerResponse) => unknown

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** Answers with what the handler returns; without it the handler answers. */
async function site(handler: Handler, options: SessionOptions = {}): Promise<TestBrowser> {
  const middleware = session({ secret, resave: false, saveUninitialized: false, ...options })
  const server = createServer((req, res) =>
    middleware(req, res, async (error) => {
      if (error && res.headersSent) return undefined
      if (error) return res.writeHead(res.statusCode < 400 ? 500 : res.statusCode).end((error as Error).message)
      const answer = await handler(req as Req, res)
      if (answer !== undefined) res.end(String(answer))
      return undefined
    }),
  ).listen(0, 'localhost')
  servers.push(server)
  await new Promise((resolve) => server.once('listening', resolve))
  return new TestBrowser(`http://localhost:${(server.address() as AddressInfo).port}`)
}

const count: Handler = (req) => {
  req.session.visits = Number(req.session.visits ?? 0) + 1
  return req.session.visits
}
const textOf = async (browser: TestBrowser, path = '/'): Promise<string> => (await browser.fetch(path)).text()
const stored = (store: MemoryStore): Record<string, unknown>[] =>
  Object.values(store.sessions).map((session) => JSON.parse(session))

/** A point that a request waits at until the test lets it go. */
function barrier(): { readonly reached: Promise<void>; pass(): Promise<void>; open(): void } {
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>()
  const { promise: opened, resolve: open } = Promise.withResolvers<void>()
  const pass = () => {
    reach()
    return opened
  }
  return { reached, open, pass }
}

describe.each([true, false])('with resave: %s', (resave) => {
  test('concurrent requests keep each other’s changes', async () => {
    const store = new MemoryStore()
    const wait = barrier()
    const slow: Handler = async (req) => {
      if (req.url === '/slow') await wait.pass()
      req.session[String(req.url)] = true
      return 'ok'
    }
    const browser = await site(slow, { resave, store })
    await browser.fetch('/first')
    const answer = browser.fetch('/slow')
    await wait.reached
    await browser.fetch('/fast')
    wait.open()
    await answer
    expect(stored(store)).toMatchObject([{ '/first': true, '/fast': true, '/slow': true }])
  })

  test('a request that outlives logout cannot resurrect the session', async () => {
    const store = new MemoryStore()
    const wait = barrier()
    const handler: Handler = async (req) => {
      if (req.url === '/logout') await req.session.destroy()
      else req.session.user = 'ada'
      if (req.url === '/slow') {
        await wait.pass()
        req.session.late = true
      }
      return 'ok'
    }
    const browser = await site(handler, { resave, rolling: true, store })
    await browser.fetch('/login')
    const answer = browser.clone().fetch('/slow')
    await wait.reached
    await browser.fetch('/logout')
    wait.open()
    expect((await answer).headers.getSetCookie()).toEqual([])
    expect(stored(store)).toEqual([])
  })

  test('a longer life that one request gives to the cookie is not taken back by another', async () => {
    const store = new MemoryStore()
    const wait = barrier()
    const handler: Handler = async (req) => {
      if (req.url === '/slow') await wait.pass()
      if (req.url === '/remember') req.session.cookie.maxAge = 3_600_000
      else req.session[String(req.url)] = true
      await req.session.save()
      return 'ok'
    }
    const browser = await site(handler, { resave, store, cookie: { maxAge: 60_000 } })
    await browser.fetch('/first')
    const answer = browser.fetch('/slow')
    await wait.reached
    await browser.fetch('/remember')
    wait.open()
    await answer
    expect(stored(store)).toMatchObject([{ '/first': true, '/slow': true, cookie: { originalMaxAge: 3_600_000 } }])
  })
})

describe('a session that ends while a request works on it', () => {
  const endings: readonly (readonly [name: string, end: (store: MemoryStore) => void])[] = [
    ['expires', () => vi.setSystemTime(Date.now() + 61_000)],
    ['is destroyed by another request', (store) => store.clear()],
  ]

  test.each(endings)('and %s is answered 409 if it was changed, and stored nowhere', async (_, end) => {
    vi.useFakeTimers({ toFake: ['Date'] })
    onTestFinished(() => void vi.useRealTimers())
    const store = new MemoryStore()
    const handler: Handler = (req, res) => {
      if (req.url === '/') return count(req, res)
      end(store)
      if (req.url === '/change') req.session.changed = true
      return 'ok'
    }
    for (const resave of [false, true]) {
      const browser = await site(handler, { resave, store, cookie: { maxAge: 60_000 } })
      await browser.fetch('/')
      const changed = await browser.clone().fetch('/change')
      expect([changed.status, await changed.text()]).toEqual([409, expect.stringContaining('its changes were lost')])
      expect(changed.headers.getSetCookie()).toEqual([])
      await browser.fetch('/')
      expect((await browser.fetch('/read')).status).toBe(200)
      store.all((_error, sessions) => expect(sessions).toEqual({}))
    }
  })

  test('is told to `next` if it was changed while the response streams', async () => {
    const store = new MemoryStore()
    const told: unknown[] = []
    const middleware = session({ secret, resave: false, saveUninitialized: false, store })
    const handler: Handler = (req, res) => {
      if (req.url === '/') return res.end(String(count(req, res)))
      res.write('half')
      store.clear()
      req.session.late = true
      return res.end('whole')
    }
    const server = createServer((req, res) =>
      middleware(req, res, (error) => (error ? told.push(error) : handler(req as Req, res))),
    ).listen(0, 'localhost')
    servers.push(server)
    await new Promise((resolve) => server.once('listening', resolve))
    const browser = new TestBrowser(`http://localhost:${(server.address() as AddressInfo).port}`)
    await browser.fetch('/')
    expect(await textOf(browser, '/stream')).toBe('halfwhole')
    expect(told).toMatchObject([{ code: 'ERR_SESSION_ENDED' }])
  })
})

describe('two middlewares on one store', () => {
  test('set the cookie as each of them was told', async () => {
    const store = new MemoryStore()
    const one = await site(
      async (req, res) => {
        if (req.url === '/direct') {
          await new Promise<void>((resolve) => req.sessionStore.regenerate(req, () => resolve()))
        }
        return count(req, res)
      },
      { store, name: 'one', cookie: { path: '/', maxAge: 60_000 } },
    )
    const two = await site(count, { store, name: 'two', cookie: { path: '/two', sameSite: 'strict' } })
    const field = async (browser: TestBrowser, path: string) => (await browser.fetch(path)).headers.getSetCookie()[0]
    expect(await field(one, '/')).toMatch(/^one=[^;]+; Path=\/; Expires=[^;]+; HttpOnly$/)
    expect(await field(two, '/two')).toMatch(/^two=[^;]+; Path=\/two; HttpOnly; SameSite=Strict$/)
    expect(await field(one, '/direct')).toMatch(/^one=[^;]+; Path=\/; Expires=[^;]+; HttpOnly$/)
  })

  test('keep each other’s changes of one session', async () => {
    const store = new MemoryStore()
    const { get, set } = store
    store.get = (...args) => void setImmediate(() => get.apply(store, args))
    store.set = (...args) => void setImmediate(() => set.apply(store, args))
    const arrived = [barrier(), barrier()]
    const handler =
      (mine: number): Handler =>
      async (req, res) => {
        if (req.url === '/') return count(req, res)
        await arrived[mine]?.pass()
        req.session[`by ${mine}`] = true
        return 'ok'
      }
    const [one, two] = [await site(handler(0), { store }), await site(handler(1), { store })]
    await one.fetch('/')
    for (const [name, value] of one.jar) two.jar.set(name, value)
    const answers = [one.fetch('/change'), two.fetch('/change')]
    for (const { reached } of arrived) await reached
    for (const { open } of arrived) open()
    await Promise.all(answers)
    expect(stored(store)).toMatchObject([{ 'by 0': true, 'by 1': true }])
  })
})

test('no byte of the response leaves before the session is saved', async () => {
  const store = new MemoryStore()
  const wait = barrier()
  const set = store.set.bind(store)
  store.set = (sid, session, callback) => void wait.pass().then(() => set(sid, session, callback))
  let answered = false
  const browser = await site(count, { store })
  const answer = browser.fetch('/').then((response) => {
    answered = true
    return response
  })
  await wait.reached
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(answered).toBe(false)
  wait.open()
  expect((await answer).status).toBe(200)
})

test('a failed save never answers 2xx, and sets no cookie', async () => {
  const store = new MemoryStore()
  store.set = (_sid, _session, callback) => callback?.(new Error('the disk is full'))
  const response = await (await site(count, { store })).fetch('/')
  expect([response.status, await response.text()]).toEqual([500, 'the disk is full'])
  expect(response.headers.getSetCookie()).toEqual([])
})

test('an answer that says it failed leaves as it is when the session cannot be saved, and a warning tells of it', async () => {
  const warnings: string[] = []
  const listener = (warning: Error) => warnings.push(warning.message)
  process.on('warning', listener)
  onTestFinished(() => void process.off('warning', listener))
  const store = new MemoryStore()
  const browser = await site(
    (req, res) => {
      if (req.url === '/') return count(req, res)
      store.set = (_sid, _session, callback) => callback?.(new Error('the disk is full'))
      if (req.url === '/changed') req.session.refused = true
      else req.session.destroy()
      res.writeHead(403, { 'Content-Type': 'application/json' }).end('{"error":"not you"}')
      return undefined
    },
    { store },
  )
  await browser.fetch('/')
  store.destroy = (_sid, callback) => callback?.(new Error('the disk is full'))
  for (const path of ['/changed', '/unwaited']) {
    const response = await browser.clone().fetch(path)
    expect([response.status, await response.json()]).toEqual([403, { error: 'not you' }])
    expect(response.headers.getSetCookie()).toEqual([])
  }
  await new Promise(setImmediate)
  expect(warnings).toEqual([expect.stringContaining('the disk is full'), expect.stringContaining('the disk is full')])
})

test('an answer that says it failed leaves as it is, also when the store fails without a reason', async () => {
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  onTestFinished(() => warned.mockRestore())
  const store = Object.assign(new MemoryStore(), {
    set() {
      throw undefined
    },
  })
  const handler: Handler = (req, res) => {
    req.session.refused = true
    res.writeHead(404).end('not found')
  }
  const response = await (await site(handler, { store })).fetch('/')
  expect([response.status, await response.text()]).toEqual([404, 'not found'])
  expect(warned).toHaveBeenCalledWith(expect.stringContaining('no reason'), expect.anything())
})

test('a session signed with a retired secret is signed anew, so that the secret can be dropped', async () => {
  const store = new MemoryStore()
  const old = await site(count, { store, secret: 'old' })
  await old.fetch('/')
  const both = await site((req) => req.session.visits, { store, secret: ['new', 'old'] })
  both.jar.set('connect.sid', old.jar.get('connect.sid') ?? '')
  expect(await textOf(both)).toBe('1')
  expect((await both.fetch('/')).headers.getSetCookie()).toEqual([])
  const fresh = await site(count, { store, secret: 'new' })
  fresh.jar.set('connect.sid', both.jar.get('connect.sid') ?? '')
  expect(await textOf(fresh)).toBe('2')
})

test('a session that ends takes its cookie along, once', async () => {
  const handler: Handler = async (req, res) => {
    if (req.url === '/') return count(req, res)
    if (req.url === '/clear') res.setHeader('Set-Cookie', 'connect.sid=; Path=/app; Max-Age=0')
    await req.session.destroy()
    return 'bye'
  }
  const browser = await site(handler)
  await browser.fetch('/')
  const twin = browser.clone()
  const [field, ...more] = (await browser.fetch('/bye')).headers.getSetCookie()
  expect([field, more]).toEqual(['connect.sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly', []])
  expect((await twin.fetch('/clear')).headers.getSetCookie()).toEqual(['connect.sid=; Path=/app; Max-Age=0'])
})

describe('the methods of a session', () => {
  test('call back, can be awaited, and can be chained', async () => {
    const browser = await site(async (req) => {
      const first = req.session.id
      await new Promise<void>((resolve) => req.session.save(() => resolve()))
      await req.session.regenerate()
      const second = req.session.id
      Object.assign(req.session.touch().save(), { chained: true })
      await req.session.save()
      await req.session.reload()
      return [first === second, req.session.chained, req.session.id === second]
    })
    expect(await textOf(browser)).toBe('false,true,true')
  })

  test('fail by the callback and by the promise', async () => {
    const store = new MemoryStore()
    const browser = await site(
      async (req, res) => {
        if (req.url === '/') return count(req, res)
        store.sessions = {}
        req.session.changed = true
        const told = await new Promise<Error>((resolve) => req.session.save(resolve))
        const rejected = await req.session.reload().then(String, (error: Error) => error.message)
        return [(told as Error & { code: string }).code, rejected]
      },
      { store },
    )
    await browser.fetch('/')
    expect(await textOf(browser, '/gone')).toBe('ERR_SESSION_ENDED,failed to load session')
  })

  test('fail by the response where the application waits for neither', async () => {
    const store = new MemoryStore()
    const unhandled: unknown[] = []
    const listener = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', listener)
    onTestFinished(() => void process.off('unhandledRejection', listener))
    const browser = await site(
      (req, res) => {
        if (req.url === '/') return count(req, res)
        store.destroy = (_sid, callback) => callback?.(new Error('the disk is full'))
        req.session.destroy()
        return 'bye'
      },
      { store },
    )
    await browser.fetch('/')
    const response = await browser.fetch('/bye')
    expect([response.status, await response.text()]).toEqual([500, 'the disk is full'])
    expect(response.headers.getSetCookie()).toEqual([])
    expect(unhandled).toEqual([])
  })

  test('saves that nobody waits for come one after another, and before the response', async () => {
    const records = memoryStore()
    const browser = await site(
      (req) => {
        req.session.save()
        req.session.late = true
        req.session.save()
        return 'ok'
      },
      { store: later(records) },
    )
    expect((await browser.fetch('/')).status).toBe(200)
    expect(records.size).toBe(1)
  })

  test('bring in what others have stored', async () => {
    const store = new MemoryStore()
    const browser = await site(
      async (req, res) => {
        if (req.url === '/') return count(req, res)
        const [sid = ''] = Object.keys(store.sessions)
        store.sessions[sid] = JSON.stringify({ ...stored(store)[0], theirs: 1 })
        req.session.ours = 1
        await req.session.save()
        return Object.keys(req.session)
      },
      { store },
    )
    await browser.fetch('/')
    expect((await textOf(browser, '/two')).split(',').sort()).toEqual(['cookie', 'ours', 'theirs', 'visits'])
  })

  test('work after the response, and do not bring back what has ended', async () => {
    const store = new MemoryStore()
    let kept: Req['session'] | undefined
    const browser = await site(
      (req, res) => {
        kept = req.session
        return count(req, res)
      },
      { store },
    )
    await browser.fetch('/')
    Object.assign(kept ?? {}, { later: true })
    await kept?.save()
    expect(stored(store)).toMatchObject([{ visits: 1, later: true }])
    await kept?.destroy()
    await expect(kept?.save()).rejects.toMatchObject({ code: 'ERR_SESSION_ENDED' })
    expect(stored(store)).toEqual([])
  })

  test('work on a session that a store has loaded for a socket', async () => {
    const store = new MemoryStore()
    const browser = await site(count, { store })
    await browser.fetch('/')
    const [sid = ''] = Object.keys(store.sessions)
    const load = () => new Promise<Session | undefined>((resolve) => store.load(sid, (_, session) => resolve(session)))
    const loaded = (await load()) as Session
    await Object.assign(loaded, { socket: true }).save()
    expect(stored(store)).toMatchObject([{ visits: 1, socket: true }])
    await loaded.reload()
    await loaded.destroy()
    expect(stored(store)).toEqual([])
  })
})

/** The same store, but every answer comes later. */
function later(store: ReturnType<typeof memoryStore>): NonNullable<SessionOptions['store']> {
  const names = ['load', 'insert', 'replace', 'touch', 'remove'] as const
  return Object.fromEntries(
    names.map((name) => [
      name,
      async (...args: never[]) => {
        await new Promise(setImmediate)
        return (store[name] as (...args: never[]) => unknown)(...args)
      },
    ]),
  )
}

test('what is changed while the response streams is stored before it ends', async () => {
  const store = new MemoryStore()
  const browser = await site(
    (req, res) => {
      req.session.progress = 1
      res.write('half')
      req.session.progress = 2
      res.end('whole')
    },
    { store },
  )
  expect(await textOf(browser)).toBe('halfwhole')
  expect(stored(store)).toMatchObject([{ progress: 2 }])
})

test('a secure cookie that plain http cannot have is told once, with the header that was seen', async () => {
  const warnings: (Error & { code?: string })[] = []
  const listener = (warning: Error) => warnings.push(warning)
  process.on('warning', listener)
  onTestFinished(() => void process.off('warning', listener))
  const browser = await site(count, { cookie: { secure: true } })
  const response = await browser.fetch('/', { headers: { 'x-forwarded-proto': 'https' } })
  await browser.fetch('/')
  await new Promise(setImmediate)
  expect(response.headers.getSetCookie()).toEqual([])
  expect(warnings.map(({ code }) => code)).toEqual(['ERR_SESSION_INSECURE_ORIGIN'])
  expect(warnings[0]?.message).toContain('X-Forwarded-Proto is "https"')
})

test('`auto` follows the connection, also where a function gives the attributes', async () => {
  const cookie = () => ({ secure: 'auto', sameSite: 'auto' }) as const
  const browser = await site(count, { proxy: true, cookie })
  const field = async (proto: string) =>
    (await browser.clone().fetch('/', { headers: { 'x-forwarded-proto': proto } })).headers.getSetCookie()[0]
  expect(await field('https')).toMatch(/; Secure; SameSite=None$/)
  expect(await field('http')).toMatch(/; HttpOnly; SameSite=Lax$/)
})

test('`cookie.expires = false` is a session of the browser', async () => {
  const store = memoryStore()
  const browser = await site(
    (req, res) => {
      if (req.url === '/') Object.assign(req.session.cookie, { expires: false })
      return count(req, res)
    },
    { store, cookie: { maxAge: 60_000 } },
  )
  expect((await browser.fetch('/')).headers.getSetCookie()[0]).not.toContain('Expires')
  expect(await textOf(browser, '/two')).toBe('2')
})

test('a socket, which has a request and no response, has a session', async () => {
  const store = new MemoryStore()
  const browser = await site(count, { store })
  await browser.fetch('/')
  const cookie = [...browser.jar].map((pair) => pair.join('=')).join()
  const req = { url: '/socket', headers: { cookie } } as unknown as Req
  const middleware = session({ secret, resave: false, saveUninitialized: false, store })
  await new Promise<unknown>((next) => middleware(req, {} as never, next))
  req.session.socket = true
  await req.session.save()
  expect(stored(store)).toMatchObject([{ visits: 1, socket: true }])
})

test('cookies that the application gives to writeHead stay, in every form it takes', async () => {
  const forms = [
    { 'Set-Cookie': ['a=1', 'b=2'] },
    ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'],
    [
      ['Set-Cookie', 'a=1'],
      ['Set-Cookie', 'b=2'],
    ],
  ]
  for (const headers of forms) {
    const browser = await site((req, res) => {
      res.writeHead(200, 'fine', headers as never)
      return count(req, res)
    })
    const fields = (await browser.fetch('/')).headers.getSetCookie()
    expect(fields).toEqual(['a=1', 'b=2', expect.stringMatching(/^connect\.sid=s%3A/)])
  }
})

test('HTTP/2 is served', async () => {
  const middleware = session({ secret, resave: false, saveUninitialized: false })
  const server = createHttp2Server((req, res) =>
    middleware(req, res, () => res.end(String(count(req as never, res as never)))),
  ).listen(0)
  const client = connect(`http://localhost:${(server.address() as AddressInfo).port}`)
  onTestFinished(() => void [client.close(), server.close()])
  const visit = async (cookie?: string) => {
    const stream = client.request({ ':path': '/', ...(cookie && { cookie }) })
    const headers = await new Promise<Record<string, unknown>>((resolve) => stream.once('response', resolve))
    return { body: await text(stream), cookie: (headers['set-cookie'] as string[] | undefined)?.[0]?.split(';')[0] }
  }
  const first = await visit()
  expect([first.body, (await visit(first.cookie)).body]).toEqual(['1', '2'])
})

test('a store may override createSession and regenerate', async () => {
  const calls: string[] = []
  class Own extends MemoryStore {
    override createSession(req: Req, stored: object): Session {
      calls.push('createSession')
      const made = super.createSession(req, stored)
      req.session.created = true
      return made
    }
    override regenerate(req: Req, callback: (error?: unknown) => void): void {
      calls.push('regenerate')
      super.regenerate(req, callback)
    }
  }
  const handler: Handler = async (req, res) => {
    if (req.url === '/') return count(req, res)
    if (req.url === '/reload') await req.session.reload()
    if (req.url === '/regenerate') await req.session.regenerate()
    return [req.session.visits, req.session.created]
  }
  const browser = await site(handler, { store: new Own() })
  await browser.fetch('/')
  expect([await textOf(browser, '/read'), calls.splice(0)]).toEqual(['1,true', ['createSession']])
  expect([await textOf(browser, '/reload'), calls.splice(0)]).toEqual(['1,true', ['createSession', 'createSession']])
  expect([await textOf(browser, '/regenerate'), calls.splice(0)]).toEqual([',', ['createSession', 'regenerate']])
})

describe('on a store of ours', () => {
  test('ids are hashed, and the cookie keeps its attributes', async () => {
    const store = memoryStore()
    let sid = ''
    const browser = await site(
      (req, res) => {
        sid = req.sessionID
        if (req.url === '/') req.session.cookie.maxAge = 5_000
        else return req.session.cookie.originalMaxAge
        return count(req, res)
      },
      { store, cookie: { maxAge: 60_000, sameSite: 'strict' } },
    )
    await browser.fetch('/')
    expect(store.load(sha256Hex(sid) as never)?.data).toBe('{"visits":1}')
    expect(await textOf(browser, '/age')).toBe('5000')
  })

  test('its methods may answer with thenables', async () => {
    const store = memoryStore()
    const thenable = new Proxy(store, {
      get: (target, name) => {
        const method = Reflect.get(target, name)
        return (...args: unknown[]) => ({
          // biome-ignore lint/suspicious/noThenProperty: query builders return objects that only have a `then`
          then: (resolve: (value: unknown) => void) => setImmediate(() => resolve(method.apply(target, args))),
        })
      },
    })
    const browser = await site(count, { store: thenable })
    await browser.fetch('/')
    expect(await textOf(browser)).toBe('2')
  })

  test('what it throws is an error of the store, and the text of its driver is the cause', async () => {
    const store = Object.assign(memoryStore(), {
      insert() {
        throw new Error('password=hunter2')
      },
    })
    const browser = await site(count, { store })
    expect(await textOf(browser)).toBe('The session store failed')
  })

  test('a session that is only read is written once a minute at most', async () => {
    const store = memoryStore()
    const browser = await site((req, res) => (req.url === '/' ? count(req, res) : 'read'), { store })
    await browser.fetch('/')
    store.touch = () => {
      throw new Error('touched')
    }
    store.replace = store.touch as never
    expect(await textOf(browser, '/read')).toBe('read')
  })
})

test('a store for express-session is told of a session that is only read, once a minute at most', async () => {
  const store = new MemoryStore()
  let touched = 0
  store.touch = (_sid, _session, callback) => {
    touched += 1
    callback?.()
  }
  const browser = await site((req, res) => (req.url === '/' ? count(req, res) : 'read'), { store })
  await browser.fetch('/')
  for (let n = 0; n < 3; n++) await browser.fetch('/read')
  expect(touched).toBe(1)
})

test.each([
  ['a store for express-session', () => new MemoryStore()],
  ['a store of ours', () => memoryStore()],
])('a cookie that changes alone is stored, also within a minute of a touch, in %s', async (_, makeStore) => {
  const handler: Handler = (req, res) => {
    if (req.url === '/') return count(req, res)
    if (req.url === '/remember') req.session.cookie.maxAge = 30 * 24 * 3_600_000
    return req.session.cookie.originalMaxAge
  }
  const browser = await site(handler, { store: makeStore(), rolling: true, cookie: { maxAge: 60_000 } })
  // In express-session's own form a millisecond may pass between the setting and the reading of an age.
  const age = async () => Math.round(Number(await textOf(browser, '/age')) / 1000)
  await browser.fetch('/')
  expect(await age()).toBe(60)
  await browser.fetch('/remember')
  expect(await age()).toBe(30 * 24 * 3600)
})

test('a touch that a store never answers blocks no other request that reads', async () => {
  const store = new MemoryStore()
  const { promise: lost, resolve: lose } = Promise.withResolvers<void>()
  store.touch = () => lose()
  const browser = await site((req, res) => (req.url === '/' ? count(req, res) : 'read'), { store })
  await browser.fetch('/')
  const waiting = browser.clone().fetch('/read')
  waiting.catch(() => undefined)
  await lost
  expect(await textOf(browser, '/read')).toBe('read')
  for (const server of servers) server.closeAllConnections()
})

test('a touch that fails cuts off no answer that is still being written', async () => {
  const store = new MemoryStore()
  store.touch = (_sid, _session, callback) => void callback?.(new Error('down'))
  const browser = await site(
    (req, res) => {
      if (req.url === '/') return count(req, res)
      res.write('a')
      setImmediate(() => res.end('b'))
      return undefined
    },
    { store },
  )
  await browser.fetch('/')
  expect(await textOf(browser, '/stream')).toBe('ab')
})

test('a cookie that nobody signed asks no store, and a session that nobody used leaves nothing', async () => {
  const store = new MemoryStore()
  store.get = () => {
    throw new Error('asked')
  }
  const browser = await site((req) => req.session instanceof Session, { store })
  browser.jar.set('connect.sid', encodeURIComponent('s:sid.AAAA'))
  const response = await browser.fetch('/')
  expect([response.status, response.headers.getSetCookie(), store.sessions]).toEqual([200, [], {}])
})

describe('the end of the cookie', () => {
  const latest = 'Expires=Fri, 31 Dec 9999 23:59:59 GMT'

  test.each([
    ['for ever, as people write it', 253_402_300_000_000, latest],
    ['the largest number', Number.MAX_VALUE, latest],
    ['infinity', Number.POSITIVE_INFINITY, latest],
    ['a date after the year 9999', new Date(8.64e15), latest],
    ['the smallest number', -Number.MAX_VALUE, 'Expires=Thu, 01 Jan 1970 00:00:00 GMT'],
    ['none', null, 'HttpOnly'],
  ])('may be any: %s', async (_, maxAge, expected) => {
    const store = new MemoryStore()
    const byOption = await site(count, { store, cookie: { maxAge: maxAge as number } })
    expect((await byOption.fetch('/')).headers.getSetCookie()[0]).toContain(expected)
    const byHand = await site(
      (req, res) => {
        req.session.cookie.maxAge = maxAge
        return count(req, res)
      },
      { store },
    )
    expect((await byHand.fetch('/')).headers.getSetCookie()[0]).toContain(expected)
    if (!expected.includes('1970')) expect([await textOf(byHand), await textOf(byOption)]).toEqual(['2', '2'])
    const expires = new Cookie({ expires: maxAge instanceof Date ? maxAge : null }).expires
    expect(expires === null || expires.getUTCFullYear() === 9999).toBe(true)
  })

  const ages: readonly unknown[] = [Number.NaN, '60000', true, {}, [], new Date(Number.NaN)]
  const dates: readonly unknown[] = [new Date(Number.NaN), 'tomorrow', 60_000, Number.NaN, true, {}]

  test('is refused where it is none: when options are read, and where it is assigned', () => {
    for (const maxAge of ages) {
      const refusal = expect.objectContaining({ code: expect.stringMatching(/^ERR_COOKIE_(MAX_AGE|EXPIRES)$/) })
      expect(() => session({ secret, cookie: { maxAge: maxAge as number } }), String(maxAge)).toThrow(refusal)
      expect(() => Object.assign(new Cookie(), { maxAge }), String(maxAge)).toThrow(refusal)
    }
    for (const expires of dates.filter((date) => !Number.isNaN(date))) {
      const refusal = expect.objectContaining({ code: 'ERR_COOKIE_EXPIRES' })
      expect(() => session({ secret, cookie: { expires: expires as Date } }), String(expires)).toThrow(refusal)
      expect(() => Object.assign(new Cookie(), { expires }), String(expires)).toThrow(refusal)
    }
  })
})

test('a cookie that could never be written is refused when the options are read', () => {
  const code = (options: SessionOptions) => {
    try {
      session({ secret, ...options })
      return undefined
    } catch (error) {
      return (error as { code: string }).code
    }
  }
  expect(code({ name: 'a b' })).toBe('ERR_COOKIE_NAME')
  expect(code({ cookie: { path: '/;' } })).toBe('ERR_COOKIE_PATH')
  expect(code({ cookie: { sameSite: 'Laxx' as never } })).toBe('ERR_COOKIE_ATTRIBUTE')
  expect(code({ cookie: { sameSite: 'auto', secure: 'auto' } })).toBeUndefined()
})

test('options that are null or false are left out, as in express-session', async () => {
  const nothing = { store: null, cookie: null, genid: null, name: null } as unknown as SessionOptions
  const browser = await site(count, nothing)
  expect([await textOf(browser), await textOf(browser)]).toEqual(['1', '2'])
  expect(() => session(null as never)).not.toThrow()
})

test('attributes that take the place of the cookie become one, and what is not attributes is refused', async () => {
  const browser = await site(async (req, res) => {
    const cookies: Record<string, unknown> = {
      '/': { maxAge: 60_000, sameSite: 'strict' },
      '/none': null,
      '/text': 'x',
    }
    Object.assign(req.session, { cookie: cookies[req.url ?? ''] })
    if (req.headers['x-save']) await req.session.save()
    return count(req, res)
  })
  for (const headers of [{}, { 'x-save': 'yes' }]) {
    const fields = (await browser.clone().fetch('/', { headers })).headers.getSetCookie()
    expect(fields).toEqual([expect.stringMatching(/; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Strict$/)])
  }
  for (const path of ['/none', '/text']) {
    const response = await browser.clone().fetch(path)
    expect([response.status, await response.text()]).toEqual([500, expect.stringContaining('not a cookie')])
  }
})

test('a genid that gives no text is an error, and not a session that nothing keeps', async () => {
  for (const genid of [async () => 'x', () => 5, () => undefined, () => '']) {
    const response = await (await site(count, { genid: genid as never })).fetch('/')
    expect([response.status, await response.text()]).toEqual([500, 'genid option must return a string'])
  }
})

test('a second answer ends no process, as with express-session', async () => {
  const escaped = vi.fn()
  process.on('uncaughtException', escaped)
  onTestFinished(() => void process.off('uncaughtException', escaped))
  const browser = await site((req, res) => {
    count(req, res)
    res.end('one')
    res.end('two')
  })
  expect([await textOf(browser), await textOf(browser)]).toEqual(['one', 'one'])
  expect(escaped).not.toHaveBeenCalled()
})

describe('a session changed after the response began', () => {
  test('is saved before a chunk that is not a chunk could end the process', async () => {
    const store = new MemoryStore()
    const browser = await site(
      (req, res) => {
        count(req, res)
        res.write('half ')
        req.session.late = true
        expect(() => res.end(42)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
        res.end('whole')
      },
      { store },
    )
    expect(await textOf(browser)).toBe('half whole')
    expect(stored(store)).toMatchObject([{ visits: 1, late: true }])
  })

  test.each([
    ['the store fails', 1],
    ['its data cannot be written', 1n],
  ])('closes the connection if %s and `next` throws', async (_, value) => {
    const escaped = vi.fn()
    process.on('uncaughtException', escaped)
    process.on('unhandledRejection', escaped)
    onTestFinished(() => {
      process.off('uncaughtException', escaped)
      process.off('unhandledRejection', escaped)
    })
    const store = new MemoryStore()
    const middleware = session({ secret, resave: false, saveUninitialized: false, store })
    const server = createServer((req, res) =>
      middleware(req, res, (error) => {
        if (error) throw error
        count(req as Req, res)
        res.write('half ')
        store.set = (_sid, _session, callback) => callback?.(new Error('the disk is full'))
        Object.assign((req as Req).session, { late: value })
        res.end('whole')
      }),
    ).listen(0, 'localhost')
    servers.push(server)
    await new Promise((resolve) => server.once('listening', resolve))
    const response = await fetch(`http://localhost:${(server.address() as AddressInfo).port}`)
    await expect(response.text()).rejects.toThrow()
    await new Promise(setImmediate)
    expect(escaped).not.toHaveBeenCalled()
  })
})

test('a session that begins when the head has left is told once', async () => {
  const warnings: (Error & { code?: string })[] = []
  const listener = (warning: Error) => warnings.push(warning)
  process.on('warning', listener)
  onTestFinished(() => void process.off('warning', listener))
  const store = new MemoryStore()
  const browser = await site(
    (req, res) => {
      res.write('half')
      req.session.late = true
      res.end('whole')
    },
    { store },
  )
  expect([await textOf(browser), await textOf(browser)]).toEqual(['halfwhole', 'halfwhole'])
  expect(warnings.map(({ code }) => code)).toEqual(['ERR_RESPONSE_STARTED'])
  expect(store.sessions).toEqual({})
})

test('options that cannot be are refused in express-session’s words', () => {
  expect(() => session({ secret: [] })).toThrow('secret option array must contain one or more strings')
  expect(() => session({ genid: 'x' as never })).toThrow('genid option must be a function')
  expect(() => session({ unset: 'x' as never })).toThrow('unset option must be "destroy" or "keep"')
  expect(() => session({ secret, store: {} })).toThrow('it lacks get, set, destroy')
  expect(() => new Cookie({ maxAge: '1' as never })).toThrow('maxAge must be a number or Date')
})
