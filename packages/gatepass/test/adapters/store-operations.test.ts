import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import fastify from 'fastify'
import { gatepass as expressGatepass } from 'gatepass/express'
import { gatepass as fastifyGatepass } from 'gatepass/fastify'
import { gatepass as nodeGatepass } from 'gatepass/node'
import { type ChangeFeed, SessionManager, type SessionStore, type SubjectIndex } from 'gatepass/session'
import { cachedStore } from 'gatepass/stores/cached'
import { memoryStore } from 'gatepass/stores/memory'
import { postgresStore } from 'gatepass/stores/postgres'
import { redisStore } from 'gatepass/stores/redis'
import { local } from 'gatepass/strategies/local'
import { TestBrowser, TestJar, testClock } from 'gatepass/testing'
import { Client, Pool } from 'pg'
import { createClient } from 'redis'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { postgresPrograms, startPostgres } from '../engines/postgres-server.ts'
import { hasRedis, startRedis } from '../engines/redis-server.ts'
import { until } from '../engines/until.ts'
import { AnnouncingStore } from '../stores/announcing-store.ts'

interface User {
  readonly id: string
}

interface Setup {
  readonly store: SessionStore
  readonly lazy?: boolean
  readonly keys?: readonly [string]
}

const TOUCH_INTERVAL = 60
const key = 'a key of at least thirty-two characters'
const users = { find: (id: string): User => ({ id }), subject: (user: User) => user.id }
const strategies = [local<User>({ verify: (id) => ({ id }) })] as const

let clock = testClock()
const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).toReversed()) await undo()
  clock = testClock()
})

const optionsOf = ({ store, lazy = false, keys }: Setup) => ({
  sessions: { store, touchInterval: TOUCH_INTERVAL, clock: () => clock(), ...(keys !== undefined && { keys }) },
  users,
  strategies,
  lazy,
})

/** `POST /login`; `GET /me` says who that is; `GET /public` asks for nothing. */
const adapters: Readonly<Record<string, (setup: Setup) => Promise<Server>>> = {
  async node(setup) {
    const auth = nodeGatepass(optionsOf(setup))
    const server = createServer(
      auth.handler(async (req, res) => {
        if (req.url === '/public') return res.end('public')
        if (req.method === 'GET') return res.end((await auth.user(req))?.id ?? 'nobody')
        const reply = await auth.gatepass.login(auth.exchange(req), 'local')
        return reply === undefined ? res.end('in') : auth.reply(req, reply)
      }),
    )
    return listening(server)
  },
  async 'Express 5'(setup) {
    const auth = expressGatepass(optionsOf(setup))
    const app = express()
    app.use(auth)
    app.get('/public', (_req, res) => void res.send('public'))
    app.get('/me', async (req, res) => void res.send((await auth.user(req))?.id ?? 'nobody'))
    app.post('/login', auth.login('local'), (_req, res) => void res.send('in'))
    return listening(createServer(app))
  },
  async Fastify(setup) {
    const auth = fastifyGatepass(optionsOf(setup))
    const app = fastify()
    await app.register(auth)
    app.get('/public', () => 'public')
    app.get('/me', async (request) => (await auth.user(request))?.id ?? 'nobody')
    app.post('/login', auth.login('local'))
    await app.listen({ port: 0, host: 'localhost' })
    return app.server
  },
}

async function listening(server: Server): Promise<Server> {
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  return server
}

async function visitor(adapter: string, setup: Setup): Promise<TestBrowser> {
  const server = await adapters[adapter]?.(setup)
  if (server === undefined) throw new Error(`no adapter ${adapter}`)
  cleanup.push(() => server.close().closeAllConnections())
  return new TestBrowser(`http://localhost:${(server.address() as AddressInfo).port}`)
}

const textOf = async (browser: TestBrowser, path: string) => (await browser.fetch(path)).text()

async function logIn(browser: TestBrowser): Promise<void> {
  const { ok } = await browser.fetch('/login', { form: { username: 'ada', password: 'x' } })
  expect(ok).toBe(true)
  expect(await textOf(browser, '/me')).toBe('ada') // the first request may learn how the application answers
}

const operations = new Set([
  ...['load', 'insert', 'replace', 'touch', 'remove'],
  ...['listBySubject', 'removeBySubject', 'insertWithin'],
])

/** The same store; what is asked of it is noted in `calls`. */
function counted<Store extends SessionStore>(store: Store): { store: Store; calls: string[] } {
  const calls: string[] = []
  const proxy = new Proxy(store, {
    get(target, name) {
      const member = Reflect.get(target, name, target) as unknown
      if (typeof member !== 'function') return member
      return (...given: unknown[]) => {
        if (operations.has(String(name))) calls.push(String(name))
        return member.apply(target, given)
      }
    },
  })
  return { store: proxy, calls }
}

describe.each(Object.keys(adapters))('on %s', (adapter) => {
  test('a login is one operation of the store', async () => {
    const { store, calls } = counted(memoryStore({ clock }))
    const browser = await visitor(adapter, { store })
    await browser.fetch('/login', { form: { username: 'ada', password: 'x' } })
    expect(calls).toEqual(['insertWithin'])
  })

  test('an authenticated read is one load, and a write only where the touch interval is over', async () => {
    const { store, calls } = counted(memoryStore({ clock }))
    const browser = await visitor(adapter, { store })
    await logIn(browser)
    const asked = async () => {
      calls.length = 0
      expect(await textOf(browser, '/me')).toBe('ada')
      return [...calls]
    }
    clock.advance(TOUCH_INTERVAL - 1)
    expect(await asked()).toEqual(['load'])
    expect(await asked()).toEqual(['load'])
    clock.advance(1)
    expect(await asked()).toEqual(['load', 'touch'])
    expect(await asked()).toEqual(['load'])
  })

  test('an anonymous visitor costs nothing', async () => {
    const { store, calls } = counted(memoryStore({ clock }))
    const browser = await visitor(adapter, { store })
    expect(await textOf(browser, '/public')).toBe('public')
    expect(await textOf(browser, '/me')).toBe('nobody')
    expect(calls).toEqual([])
  })

  test('with `lazy`, a page that ignores its session costs nothing', async () => {
    const { store, calls } = counted(memoryStore({ clock }))
    const browser = await visitor(adapter, { store, lazy: true })
    await logIn(browser)
    clock.advance(TOUCH_INTERVAL)
    calls.length = 0
    expect(await textOf(browser, '/public')).toBe('public')
    expect(calls).toEqual([])
  })

  test('with keys, a forged token costs nothing', async () => {
    const { store, calls } = counted(memoryStore({ clock }))
    const browser = await visitor(adapter, { store, keys: [key] })
    await logIn(browser)
    const [[name, token] = ['', '']] = browser.jar
    const forger = browser.clone()
    forger.jar.set(name, (token.startsWith('A') ? 'B' : 'A') + token.slice(1))
    calls.length = 0
    expect(await textOf(forger, '/me')).toBe('nobody')
    expect(calls).toEqual([])
    expect(await textOf(browser, '/me')).toBe('ada')
    expect(calls).toEqual(['load'])
  })

  test('with a near cache, a session read of late costs the store behind it nothing', async () => {
    const { store, calls } = counted(new AnnouncingStore(clock, 'at once'))
    const near = cachedStore(store, { clock })
    cleanup.push(() => near.close())
    const browser = await visitor(adapter, { store: near })
    await logIn(browser)
    calls.length = 0
    expect(await textOf(browser, '/me')).toBe('ada')
    expect(await textOf(browser, '/me')).toBe('ada')
    expect(calls).toEqual([])
    clock.advance(TOUCH_INTERVAL)
    await textOf(browser, '/me')
    expect(calls).toEqual(['load', 'touch']) // what is kept is as old as `maxAge` allows
  })
})

interface Wire {
  open(): SessionStore & SubjectIndex & ChangeFeed & { close(): Promise<void> }
  /** What has reached the engine since the last time this was asked, one entry for each command with its keys. */
  sent(): Promise<readonly { command: string; keys: number }[]>
  stop(): Promise<void>
}

interface NamedQuery {
  readonly name?: string
  readonly text: string
  readonly values?: readonly unknown[]
}

/** A server of our own that tells everything it is asked; what a script does inside is no command on the wire. */
async function redisWire(): Promise<Wire> {
  const server = await startRedis()
  const connect = () =>
    createClient({ url: server.url })
      .on('error', () => {})
      .connect()
  const [client, monitor] = [await connect(), await connect()]
  const lines: string[] = []
  await monitor.monitor((line) => lines.push(String(line)))
  let asked = 0
  return {
    open: () => redisStore({ client, clock: () => clock() }),
    async sent() {
      const mark = `mark ${++asked}`
      await client.echo(mark)
      await until(async () => lines.some((line) => line.includes(mark)))
      const commands = lines.splice(0).filter((line) => line.includes('gatepass:') && !line.includes(' lua]'))
      // One line is: 1712.34 [0 127.0.0.1:50000] "GET" "gatepass:session:…"
      return commands
        .filter((line) => !line.includes('"CLIENT"'))
        .map((line) => ({
          command: /\] "(\w+)"/.exec(line)?.[1] ?? line,
          keys: line.match(/"gatepass:(session|subject):/g)?.length ?? 0,
        }))
    },
    async stop() {
      monitor.destroy()
      client.destroy()
      await server.stop()
    },
  }
}

async function postgresWire(): Promise<Wire> {
  const server = await startPostgres()
  const pool = new Pool({ host: '127.0.0.1', user: 'postgres', port: server.port })
  await postgresStore({ pool, announce: true }).migrate()
  const query = vi.spyOn(Client.prototype, 'query')
  return {
    open: () => postgresStore({ pool, announce: true, clock: () => clock() }),
    async sent() {
      const queries = query.mock.calls.map(([given]) => given as unknown as NamedQuery)
      query.mockClear()
      // The first use of a store looks at the tables once more: those queries have no name.
      return queries
        .filter(({ name }) => name?.startsWith('gatepass '))
        .map(({ text, values }) => {
          const [ids] = values ?? []
          return { command: text.trim().split(/\s/)[0] ?? '', keys: Array.isArray(ids) ? ids.length : 1 }
        })
    },
    async stop() {
      query.mockRestore()
      await pool.end()
      await server.close()
    },
  }
}

const wires = [
  { engine: 'Redis', has: hasRedis, start: redisWire, one: 'GET', many: 'MGET', login: 'EVALSHA' },
  {
    engine: 'PostgreSQL',
    has: postgresPrograms !== undefined,
    start: postgresWire,
    one: 'SELECT',
    many: 'SELECT',
    login: 'SELECT',
  },
]

test.runIf(process.env.CI)('the engines of these tests are installed', () => {
  expect(wires.filter(({ has }) => !has)).toEqual([])
})

for (const { engine, has, start, one, many, login } of wires) {
  describe.skipIf(!has)(`what reaches ${engine}${has ? '' : ` (SKIPPED: ${engine} is not installed)`}`, () => {
    let wire: Wire
    beforeAll(async () => {
      wire = await start()
    })
    afterAll(() => wire.stop())

    test.each(Object.keys(adapters))(
      'on %s: a login and a read are one command, other visits none',
      async (adapter) => {
        const store = wire.open()
        cleanup.push(() => store.close())
        const browser = await visitor(adapter, { store, lazy: true, keys: [key] })
        await logIn(browser) // and makes the server know the script
        await wire.sent()
        const sentBy = async (visit: () => Promise<unknown>) => {
          await visit()
          return (await wire.sent()).map(({ command }) => command)
        }
        expect(await sentBy(() => textOf(browser, '/me'))).toEqual([one])
        expect(await sentBy(() => textOf(browser, '/public'))).toEqual([])
        const other = new TestBrowser(browser.origin)
        expect(await sentBy(() => textOf(other, '/me'))).toEqual([])
        expect(await sentBy(() => other.fetch('/login', { form: { username: 'bob', password: 'x' } }))).toEqual([login])
      },
    )

    test('what is looked up in one turn of the event loop is one command', async () => {
      const store = wire.open()
      cleanup.push(() => store.close())
      const sessions = new SessionManager<{ n: number }>({ store, clock })
      const jars = Array.from({ length: 30 }, () => new TestJar())
      for (const [n, jar] of jars.entries()) {
        const exchange = jar.exchange()
        ;(await sessions.open(exchange)).data.n = n
        await sessions.commit(exchange)
        jar.receive(exchange)
      }
      await wire.sent()
      const opened = await Promise.all(
        jars.map(async (jar, n) => {
          // Requests of one turn do not come to this point at the same moment.
          for (let moments = n % 5; moments > 0; moments--) await undefined
          return sessions.open(jar.exchange())
        }),
      )
      expect(opened.map((session) => session.data.n)).toEqual([...jars.keys()])
      expect(await wire.sent()).toEqual([{ command: many, keys: 30 }])
    })

    test.each(Object.keys(adapters))('on %s: what the near cache has is no command', async (adapter) => {
      const near = cachedStore(wire.open(), { clock })
      cleanup.push(() => near.close())
      const browser = await visitor(adapter, { store: near })
      await until(async () => near.listening)
      await logIn(browser)
      // An announcement of the login itself may still be on its way.
      await until(async () => {
        await textOf(browser, '/me')
        return (await wire.sent()).length === 0
      })
      for (let n = 0; n < 5; n++) expect(await textOf(browser, '/me')).toBe('ada')
      expect(await wire.sent()).toEqual([])
    })
  })
}
