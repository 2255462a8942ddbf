import { createServer, type RequestListener, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import express5 from 'express'
import fastify from 'fastify'
import { gatepass as expressGatepass } from 'gatepass/express'
import { gatepass as fastifyGatepass } from 'gatepass/fastify'
import { gatepass as nodeGatepass } from 'gatepass/node'
import type { SessionStore } from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'
import { TestBrowser } from 'gatepass/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const express4 = createRequire(import.meta.url)('express4') as typeof express5

interface User {
  readonly id: string
}

/** What a handler does, in the words of no framework. */
interface Turn {
  login(): Promise<void>
  logout(options?: { everywhere?: boolean }): Promise<void>
  user(): unknown
  update(): Promise<void>
  fields(): Promise<unknown>
  answer(status: number, body: string): void
}
type Handler = (turn: Turn) => unknown

interface Setup {
  readonly store: SessionStore
  /** By path. */
  readonly handlers: Record<string, Handler>
  readonly reported: unknown[]
}

const users = { find: async (id: string): Promise<User> => ({ id }), subject: (user: User) => user.id }
const ada = { id: 'ada' } as never
const change = (data: Record<string, unknown>): void => {
  data.visits = 1
}

const onExpress =
  (express: typeof express5) =>
  ({ store, handlers, reported }: Setup): Server => {
    const auth = expressGatepass({ sessions: { store }, users, onError: (error) => reported.push(error) })
    const app = express().set('env', 'test').use(auth)
    app.use((req, res) => {
      handlers[req.path]?.({
        login: () => req.login(ada),
        logout: (options) => req.logout(options),
        user: () => auth.user(req),
        update: () => req.session.update(change),
        fields: () => auth.exchange(req).fields(),
        answer: (status, body) => void res.status(status).send(body),
      })
    })
    app.use(auth.errors())
    return app.listen(0, 'localhost')
  }

const adapters: Record<string, (setup: Setup) => Server | Promise<Server>> = {
  'Express 5': onExpress(express5),
  'Express 4': onExpress(express4),
  async Fastify({ store, handlers, reported }) {
    const auth = fastifyGatepass({ sessions: { store }, users })
    const stream = { write: (line: string) => void reported.push((JSON.parse(line) as { err: unknown }).err) }
    const app = fastify({ logger: { level: 'error', stream } })
    await app.register(auth)
    app.setErrorHandler(auth.errors())
    app.all('/*', (request, reply) => {
      handlers[request.url]?.({
        login: () => request.login(ada),
        logout: (options) => request.logout(options),
        user: () => auth.user(request),
        update: () => request.session.update(change),
        fields: () => auth.exchange(request).fields(),
        answer: (status, body) => void reply.code(status).send(body),
      })
    })
    await app.listen({ host: 'localhost', port: 0 })
    return app.server
  },
  node({ store, handlers, reported }) {
    const auth = nodeGatepass({ sessions: { store }, users, onError: (error) => reported.push(error) })
    const listener = auth.handler((req, res) => {
      handlers[req.url ?? '']?.({
        login: () => req.login(ada),
        logout: (options) => req.logout(options),
        user: () => auth.user(req),
        update: () => req.session.update(change),
        fields: () => auth.exchange(req).fields(),
        answer: (status, body) => void res.writeHead(status).end(body),
      })
    })
    return createServer(listener as RequestListener).listen(0, 'localhost')
  },
}

const turns = async (): Promise<void> => {
  for (let n = 0; n < 5; n++) await new Promise((resolve) => setImmediate(resolve))
}

/** A store that answers later, and fails on demand. */
class LaterStore {
  readonly #store = memoryStore()
  broken = false
  readonly synchronous: boolean

  constructor(synchronous: boolean) {
    this.synchronous = synchronous
  }

  /** With these calls only the ones that write fail. */
  readonly asStore = (): SessionStore =>
    new Proxy(this.#store, {
      get: (target, name) => {
        if (name === 'synchronous') return this.synchronous
        const member = Reflect.get(target, name, target) as unknown
        if (typeof member !== 'function') return member
        const call = (...given: unknown[]): unknown => {
          if (this.broken && name !== 'load') throw new Error('connection lost')
          return member.apply(target, given)
        }
        if (this.synchronous) return call
        return async (...given: unknown[]) => {
          await turns()
          return call(...given)
        }
      },
    })
}

const unhandled: unknown[] = []
const noteUnhandled = (error: unknown): void => void unhandled.push(error)
beforeEach(() => void process.on('unhandledRejection', noteUnhandled))
afterEach(() => {
  process.off('unhandledRejection', noteUnhandled)
  expect(unhandled.splice(0)).toEqual([])
})

describe.each(
  Object.entries(adapters).flatMap(([name, start]) => [
    [name, 'at once', start, true] as const,
    [name, 'later', start, false] as const,
  ]),
)('%s, with a store that answers %s: without an await', (_name, _when, start, synchronous) => {
  const servers: Server[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) server.close().closeAllConnections()
  })

  async function open(handlers: Record<string, Handler>) {
    const later = new LaterStore(synchronous)
    const reported: unknown[] = []
    const who: Handler = async (turn) => turn.answer(200, ((await turn.user()) as User | undefined)?.id ?? 'nobody')
    const server = await start({ store: later.asStore(), reported, handlers: { '/who': who, ...handlers } })
    servers.push(server)
    if (!server.listening) await new Promise((resolve) => server.once('listening', resolve))
    const browser = new TestBrowser(`http://localhost:${(server.address() as AddressInfo).port}`)
    const post = async (path: string) => {
      const response = await browser.fetch(path, { method: 'POST', manual: true })
      return [response.status, (await response.text()).includes('ERR_STORE_UNAVAILABLE') ? 'refused' : ''] as const
    }
    const whoami = async () => (await browser.fetch('/who')).text()
    return { later, reported, browser, post, whoami }
  }
  const codes = (errors: unknown[]): unknown[] => errors.map((error) => (error as { code?: string }).code)

  const login: Handler = (turn) => {
    turn.login()
    turn.answer(200, 'in')
  }
  const logout: Handler = (turn) => {
    turn.logout()
    turn.answer(200, 'out')
  }

  test('the answer to a login or a logout waits until it is done', async () => {
    const { post, whoami } = await open({ '/in': login, '/out': logout })
    expect([(await post('/in'))[0], await whoami()]).toEqual([200, 'ada'])
    expect([(await post('/out'))[0], await whoami()]).toEqual([200, 'nobody'])
  })

  test('a login or a logout that fails is told by the answer', async () => {
    const everywhere: Handler = (turn) => {
      turn.logout({ everywhere: true })
      turn.answer(200, 'out')
    }
    const { later, post, whoami } = await open({ '/in': login, '/out': logout, '/everywhere': everywhere })
    later.broken = true
    expect(await post('/in')).toEqual([503, 'refused'])
    later.broken = false
    await post('/in')
    later.broken = true
    expect(await post('/out')).toEqual([503, 'refused'])
    expect(await post('/everywhere')).toEqual([503, 'refused'])
    expect(await whoami()).toBe('ada')
  })

  test('an update that fails is told by the answer, before it and while it waits', async () => {
    const update: Handler = (turn) => {
      turn.update()
      turn.answer(200, 'saved')
    }
    const slow: Handler = async (turn) => {
      turn.update()
      await turns().then(turns)
      turn.answer(200, 'saved')
    }
    const { later, post } = await open({ '/update': update, '/slow': slow })
    expect((await post('/update'))[0]).toBe(200)
    later.broken = true
    expect(await post('/update')).toEqual([503, 'refused'])
    expect(await post('/slow')).toEqual([503, 'refused'])
  })

  test('a failure that came before the answer is told by it', async () => {
    const slow: Handler = async (turn) => {
      turn.logout({ everywhere: true })
      await turns().then(turns).then(turns)
      turn.answer(200, 'out')
    }
    const { later, post, whoami } = await open({ '/in': login, '/slow': slow })
    await post('/in')
    later.broken = true
    expect(await post('/slow')).toEqual([503, 'refused'])
    expect(await whoami()).toBe('ada')
  })

  test('a failure that the application has heard is not told again', async () => {
    const heard: Handler = (turn) => {
      turn.update().then(
        () => turn.answer(200, 'saved'),
        () => turn.answer(200, 'heard'),
      )
    }
    const { later, browser, reported } = await open({ '/heard': heard })
    later.broken = true
    const response = await browser.fetch('/heard', { method: 'POST' })
    expect([response.status, await response.text()]).toEqual([200, 'heard'])
    expect(reported).toEqual([])
  })

  test.each<[string, Handler]>([
    ['then', (turn) => void turn.logout({ everywhere: true }).then(() => turn.answer(200, 'out'))],
    ['finally', (turn) => void turn.logout({ everywhere: true }).finally(() => {})],
  ])('a failure is told by an answer where what would answer stands behind `%s` alone', async (_kind, handler) => {
    const { later, post, whoami } = await open({ '/in': login, '/chain': handler })
    await post('/in')
    later.broken = true
    expect(await post('/chain')).toEqual([503, 'refused'])
    expect(await whoami()).toBe('ada')
  })

  test('what comes after the answer is reported, and ends no process', async () => {
    const late: Handler = (turn) => {
      turn.answer(200, 'out')
      turn.logout()
    }
    const { post, whoami, reported } = await open({ '/in': login, '/late': late })
    await post('/in')
    expect((await post('/late'))[0]).toBe(200)
    await turns()
    expect(codes(reported)).toEqual(['ERR_RESPONSE_STARTED'])
    expect(await whoami()).toBe('ada')
  })

  test('a user that is looked up and not used ends no process', async () => {
    const look: Handler = (turn) => {
      turn.user()
      turn.answer(200, 'page')
    }
    const { browser, later } = await open({ '/look': look })
    later.broken = true
    expect((await browser.fetch('/look')).status).toBe(200)
  })

  test('a body that is asked for and cannot be read ends no process', async () => {
    const read: Handler = async (turn) => {
      turn.fields()
      await turns()
      turn.answer(200, 'page')
    }
    const { browser } = await open({ '/read': read })
    const headers = { 'content-type': 'text/plain' }
    const url = new URL('/read', browser.origin)
    expect((await fetch(url, { method: 'POST', headers, body: 'x' })).status).toBe(200)
  })

  test('an answer of 400 and more leaves as it is, without a cookie, and the failure is reported', async () => {
    const refuse: Handler = (turn) => {
      turn.login()
      turn.answer(403, '{"error":"of the application"}')
    }
    const { later, browser, reported } = await open({ '/refuse': refuse })
    later.broken = true
    const response = await browser.fetch('/refuse', { method: 'POST' })
    expect([response.status, await response.text()]).toEqual([403, '{"error":"of the application"}'])
    expect(response.headers.getSetCookie()).toEqual([])
    expect(codes(reported)).toEqual(['ERR_STORE_UNAVAILABLE'])
  })
})
