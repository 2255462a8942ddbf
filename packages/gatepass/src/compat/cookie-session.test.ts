import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { UsageError } from 'gatepass'
import { type CookieSessionOptions, type CookieSessionRequest, cookieSession } from 'gatepass/compat/cookie-session'
import { TestBrowser } from 'gatepass/testing'
import { afterEach, expect, onTestFinished, test } from 'vitest'

const keys = ['the key of today', 'the key of yesterday']

type Handler = (req: IncomingMessage & CookieSessionRequest, res: ServerResponse) => unknown

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

async function site(handler: Handler, options: CookieSessionOptions = { keys }): Promise<TestBrowser> {
  const middleware = cookieSession(options)
  const server = createServer((req, res) =>
    middleware(req, res, () => res.end(String(handler(req as IncomingMessage & CookieSessionRequest, res)))),
  ).listen(0, 'localhost')
  servers.push(server)
  await new Promise((resolve) => server.once('listening', resolve))
  return new TestBrowser(`http://localhost:${(server.address() as AddressInfo).port}`)
}

const count: Handler = ({ session }) => {
  if (session) session.visits = Number(session.visits ?? 0) + 1
  return session?.visits
}
const textOf = async (browser: TestBrowser): Promise<string> => (await browser.fetch('/')).text()

test('a session is kept in the browser', async () => {
  const browser = await site(count)
  expect([await textOf(browser), await textOf(browser)]).toEqual(['1', '2'])
  expect([...browser.jar.keys()]).toEqual(['session', 'session.sig'])
  expect(JSON.parse(Buffer.from(browser.jar.get('session') ?? '', 'base64').toString())).toEqual({ visits: 2 })
})

test('a session that nobody touched sets no cookie, and one that did not change is not sent again', async () => {
  for (const handler of [(() => 'a') as Handler, ((req) => req.session?.isNew) as Handler]) {
    expect((await (await site(handler)).fetch('/')).headers.getSetCookie()).toEqual([])
  }
  const browser = await site((req) => Object.assign(req.session ?? {}, { same: true }).same)
  await browser.fetch('/')
  expect((await browser.fetch('/')).headers.getSetCookie()).toEqual([])
})

test('a session whose signature is missing or of another key is a new one', async () => {
  const browser = await site(count)
  await browser.fetch('/')
  browser.jar.set('session.sig', 'x'.repeat(27))
  expect(await textOf(browser)).toBe('1')
  browser.jar.delete('session.sig')
  expect(await textOf(browser)).toBe('1')
})

test('a session that is first looked at when the head has left is read, whatever its signature', async () => {
  const failures: unknown[] = []
  const browser = await site((req, res) => {
    if (req.url === '/') return count(req, res)
    res.write('half ')
    try {
      return req.session?.visits
    } catch (error) {
      return failures.push(error)
    }
  })
  await browser.fetch('/')
  const late = async () => (await browser.fetch('/late')).text()
  expect(await late()).toBe('half 1')
  browser.jar.set('session.sig', 'x'.repeat(27))
  expect(await late()).toBe('half undefined')
  expect(failures).toEqual([])
})

test('a session of a retired key goes on, under a signature of the current one', async () => {
  const old = await site(count, { keys: ['the key of yesterday'] })
  await old.fetch('/')
  const browser = await site((req) => req.session?.visits)
  for (const [name, value] of old.jar) browser.jar.set(name, value)
  expect(await textOf(browser)).toBe('1')
  expect(browser.jar.get('session.sig')).not.toBe(old.jar.get('session.sig'))
  const later = await site(count, { keys: ['the key of today'] })
  for (const [name, value] of browser.jar) later.jar.set(name, value)
  expect(await textOf(later)).toBe('2')
})

test('a cookie that holds no session is an absent one', async () => {
  const browser = await site((req) => JSON.stringify(req.session), { signed: false })
  for (const value of ['e', 'bm90IGpzb24=', '%%%', '']) {
    browser.jar.set('session', value)
    expect(await textOf(browser), value).toBe('{}')
  }
})

test('null ends the session, an object replaces it, and nothing else is one', async () => {
  const browser = await site((req) => {
    const [, what] = (req.url ?? '').split('?')
    if (what === 'end') req.session = null
    if (what === 'replace') Object.assign(req, { session: { b: 2 } })
    if (what === 'wrong') Object.assign(req, { session: 'text' })
    return JSON.stringify(req.session)
  })
  expect(await (await browser.fetch('/?replace')).text()).toBe('{"b":2}')
  expect(await (await browser.fetch('/?end')).text()).toBe('null')
  expect(browser.jar.size).toBe(0)
  const req = { headers: {}, socket: {} } as IncomingMessage
  const res = { setHeader() {}, on() {} } as unknown as ServerResponse
  cookieSession({ keys })(req, res, () => {})
  expect(() => Object.assign(req, { session: 'text' })).toThrow(UsageError)
})

test('regenerate empties the session in the browser, too', async () => {
  const browser = await site(count)
  await browser.fetch('/')
  const other = await site((req) => req.session?.regenerate() && 'emptied')
  for (const [name, value] of browser.jar) other.jar.set(name, value)
  await other.fetch('/')
  expect(Buffer.from(other.jar.get('session') ?? '', 'base64').toString()).toBe('{}')
})

test('what Passport calls is not part of the data, and data of that name is kept', async () => {
  const browser = await site((req) => {
    if (Object.values(req.session ?? {}).includes('mine')) return 'kept'
    const names = Object.keys(req.session ?? {}).length
    if (req.session) Object.assign(req.session, { save: 'mine' })
    return names
  })
  expect([await textOf(browser), await textOf(browser)]).toEqual(['0', 'kept'])
})

test('a session that cannot be written leaves the page to the visitor', async () => {
  const browser = await site(count, { keys, secure: true })
  const response = await browser.fetch('/')
  expect(response.status).toBe(200)
  expect(response.headers.getSetCookie()).toEqual([])
})

/** The warnings of what the application does, by their codes. */
function warnings(): (string | undefined)[] {
  const codes: (string | undefined)[] = []
  const listener = (warning: Error & { code?: string }) => codes.push(warning.code)
  process.on('warning', listener)
  onTestFinished(() => void process.off('warning', listener))
  return codes
}

test('a session that cannot be kept is told once for each reason, and the page is answered', async () => {
  const told = warnings()
  const browser = await site(
    (req) => {
      const { session, sessionOptions, url } = req
      if (url === '/circle') Object.assign(session ?? {}, { session })
      if (url === '/bigint') Object.assign(session ?? {}, { n: 1n })
      if (url === '/age') sessionOptions.maxAge = '60000' as never
      if (url === '/large') Object.assign(session ?? {}, { text: 'x'.repeat(5000) })
      if (url === '/secure') sessionOptions.secure = true
      return count(req, {} as ServerResponse)
    },
    { keys },
  )
  for (const path of ['/circle', '/bigint', '/age', '/large', '/secure', '/circle', '/age', '/large', '/secure']) {
    expect((await browser.clone().fetch(path)).status, path).toBe(200)
  }
  await new Promise(setImmediate)
  expect(told).toEqual(['ERR_SESSION_DATA', 'ERR_COOKIE_MAX_AGE', 'ERR_COOKIE_TOO_LARGE', 'ERR_COOKIE_SECURE_REQUIRED'])
})

test('keys that fail without a reason leave the page as it is', async () => {
  const told = warnings()
  const broken = {
    index: () => -1,
    sign() {
      throw undefined
    },
  }
  expect(await textOf(await site(count, { keys: broken }))).toBe('1')
  await new Promise(setImmediate)
  expect(told).toEqual([undefined])
})

test('a cookie may be made to last for ever', async () => {
  const told = warnings()
  const ends = [
    { maxAge: 253_402_300_000_000 },
    { maxAge: Number.MAX_VALUE },
    { maxAge: Number.POSITIVE_INFINITY },
    { expires: new Date(8.64e15) },
  ]
  for (const end of ends) {
    const [field = ''] = (await (await site(count, { keys, ...end })).fetch('/')).headers.getSetCookie()
    expect(field).toContain('Expires=Fri, 31 Dec 9999 23:59:59 GMT')
  }
  await new Promise(setImmediate)
  expect(told).toEqual([])
})

test('a cookie that could never be written is refused when the options are read', () => {
  const code = (options: object) => {
    try {
      cookieSession({ keys, ...options })
      return undefined
    } catch (error) {
      return (error as UsageError).code
    }
  }
  for (const maxAge of [Number.NaN, '1 day', true, {}]) expect(code({ maxAge })).toBe('ERR_COOKIE_MAX_AGE')
  for (const expires of [new Date(Number.NaN), 'tomorrow', 60_000, true]) {
    expect(code({ expires })).toBe('ERR_COOKIE_EXPIRES')
  }
  expect(code({ path: '/;' })).toBe('ERR_COOKIE_PATH')
  expect(code({ sameSite: 'Laxx' })).toBe('ERR_COOKIE_ATTRIBUTE')
  expect(code({ name: 'a b' })).toBe('ERR_COOKIE_NAME')
  expect(code({ maxAge: null, expires: null, name: null })).toBeUndefined()
})

test('without keys it must be told that it is not signed', () => {
  expect(() => cookieSession()).toThrow(expect.objectContaining({ code: 'ERR_COOKIE_KEYS' }))
  expect(() => cookieSession({ keys: [] })).toThrow(UsageError)
  expect(cookieSession({ signed: false })).toBeTypeOf('function')
})
