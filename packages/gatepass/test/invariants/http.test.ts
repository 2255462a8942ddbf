import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { Readable } from 'node:stream'
import express5 from 'express'
import fc from 'fast-check'
import { StoreError } from 'gatepass'
import { gatepass as expressGatepass } from 'gatepass/express'
import { gatepass as nodeGatepass } from 'gatepass/node'
import type { SessionStore } from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'
import { local } from 'gatepass/strategies/local'
import { describe, expect, test } from 'vitest'
import { listen } from '../listen.ts'

const express4 = createRequire(import.meta.url)('express4') as typeof express5
const origin = 'http://localhost'
const users = { find: (id: string) => ({ id }), subject: (user: { id: string }) => user.id }
const strategies = [local<{ id: string }>({ verify: (name) => ({ id: name }) })] as const

/** Every way in which a handler can answer; all of them would be a 2xx or a 3xx. */
const answers: Record<string, (res: ServerResponse) => void> = {
  end: (res) => res.end('secret'),
  'writeHead and end': (res) => res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 6 }).end('secret'),
  'write and a late end': (res) => {
    res.write('sec')
    setImmediate(() => res.end('ret'))
  },
  flushHeaders: (res) => {
    res.flushHeaders()
    res.end('secret')
  },
  'a pipe': (res) => void Readable.from(['sec', 'ret']).pipe(res),
  'a redirect': (res) => res.writeHead(303, { Location: '/' }).end(),
}

type Serve = (store: SessionStore, answer: (res: ServerResponse) => void) => Server
const serve: Record<string, Serve> = {
  'node:http': (store, answer) => {
    const auth = nodeGatepass({ origin, sessions: { store }, users, strategies, onError: () => {} })
    return createServer(
      auth.handler(async (req, res) => {
        Object.assign((await auth.session(req)).data, { seen: true })
        answer(res)
      }),
    )
  },
  'Express 5': (store, answer) => createServer(expressApplication(express5, store, answer)),
  'Express 4': (store, answer) => createServer(expressApplication(express4, store, answer)),
}

function expressApplication(express: typeof express5, store: SessionStore, answer: (res: ServerResponse) => void) {
  const auth = expressGatepass({ origin, sessions: { store }, users, strategies })
  const app = express().set('env', 'test').use(auth)
  app.post('/login', auth.login('local', { success: '/home', next: 'next' }))
  app.get('/', (req, res, next) => {
    Promise.resolve(auth.session(req))
      .then(({ data }) => {
        Object.assign(data, { seen: true })
        answer(res)
      })
      .catch(next)
  })
  return app
}

/** A store whose writes do something first, at once or later. */
function storeThat(before: () => void, later: boolean): SessionStore {
  const store = memoryStore()
  const delayed = async <T>(write: () => T): Promise<T> => {
    await new Promise((resolve) => setImmediate(resolve))
    before()
    return write()
  }
  const atOnce = <T>(write: () => T): T => {
    before()
    return write()
  }
  const when = later ? delayed : atOnce
  return {
    synchronous: !later,
    load: (id) => store.load(id),
    insert: (record) => when(() => store.insert(record)) as Promise<void>,
    replace: (record, version) => when(() => store.replace(record, version)),
    touch: (id, seenAt, expiresAt) => when(() => store.touch(id, seenAt, expiresAt)),
    remove: (id, version) => when(() => store.remove(id, version)),
  }
}

async function get(port: number): Promise<{ status: number; cookies: string[]; body: string }> {
  const [res] = (await once(request({ port, host: '127.0.0.1', agent: false }).end(), 'response')) as [IncomingMessage]
  const body = Buffer.concat(await res.toArray()).toString()
  return { status: res.statusCode ?? 0, cookies: res.headers['set-cookie'] ?? [], body }
}

const combinations = Object.keys(serve).flatMap((framework) =>
  Object.keys(answers).flatMap((answer) => [
    [framework, answer, 'at once'] as const,
    [framework, answer, 'later'] as const,
  ]),
)

describe('no byte of the response leaves before the session is saved', () => {
  test.each(combinations)('%s, %s, the store answers %s', async (framework, answer, when) => {
    const written: (number | undefined)[] = []
    let current: ServerResponse | undefined
    const store = storeThat(() => written.push(current?.socket?.bytesWritten), when === 'later')
    const server = serve[framework]?.(store, (res) => {
      current = res
      answers[answer]?.(res)
    })
    const { status, cookies, body } = await get(await listen(server as Server))
    expect(written).toEqual([0])
    expect([200, 303]).toContain(status)
    expect(cookies).toHaveLength(1)
    expect(body).toBe(status === 303 ? '' : 'secret')
  })
})

describe('a failed save never answers 2xx', () => {
  test.each(combinations)('%s, %s, the store fails %s', async (framework, answer, when) => {
    for (const error of [new StoreError('ERR_STORE_UNAVAILABLE', 'down'), new Error('broken'), undefined]) {
      const store = storeThat(() => {
        throw error
      }, when === 'later')
      const server = serve[framework]?.(store, (res) => answers[answer]?.(res))
      const { status, cookies, body } = await get(await listen(server as Server))
      expect(status).toBeGreaterThanOrEqual(500)
      expect(cookies).toEqual([])
      expect(body).not.toContain('sec')
    }
  })
})

test('a redirect target from the request never leaves the origin unless it is listed', async () => {
  const port = await listen(createServer(expressApplication(express5, memoryStore(), (res) => res.end())))
  const login = async (next: string): Promise<string> => {
    const sent = request({
      port,
      host: '127.0.0.1',
      agent: false,
      method: 'POST',
      path: '/login',
      headers: { origin, 'content-type': 'application/json' },
    })
    sent.end(JSON.stringify({ username: 'alice', password: 'any', next }))
    const [res] = (await once(sent, 'response')) as [IncomingMessage]
    res.resume()
    expect(res.statusCode).toBe(303)
    return String(res.headers.location)
  }
  expect(await login('/cart?x=1')).toBe('/cart?x=1')
  expect(await login('//evil.example')).toBe('/home')
  const parts = fc.constantFrom(
    ...[
      '/',
      '\\',
      '.',
      '%2f',
      '%5c',
      '\t',
      '\r\n',
      ':',
      '@',
      '?',
      '#',
      'http:',
      'javascript:',
      'localhost',
      'evil.example',
      'a',
    ],
  )
  await fc.assert(
    fc.asyncProperty(fc.array(parts, { maxLength: 8 }), async (target) => {
      expect(new URL(await login(target.join('')), origin).origin).toBe(origin)
    }),
    { numRuns: 200 },
  )
})
