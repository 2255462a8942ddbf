import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gatepass } from 'gatepass/node'
import type { SessionStore } from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'
import { sqliteStore } from 'gatepass/stores/sqlite'
import { TestBrowser } from 'gatepass/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines } from './engines.ts'

const BROWSERS = 25
const KEYS = Array.from({ length: 20 }, (_, n) => `key${n}`)

interface Opened {
  readonly store: SessionStore
  close(): Promise<unknown>
}

const stores: Readonly<Record<string, { installed: boolean; start(): Promise<Opened> }>> = {
  memory: { installed: true, start: async () => ({ store: memoryStore(), close: async () => {} }) },
  SQLite: {
    installed: true,
    async start() {
      const folder = await mkdtemp(join(tmpdir(), 'gatepass-'))
      const store = sqliteStore(join(folder, 'sessions.db'))
      return {
        store,
        async close() {
          store.close()
          await rm(folder, { recursive: true })
        },
      }
    },
  },
  ...engines,
}

/** An application on two processes' worth of managers, which works on each request for a few milliseconds. */
async function serve(store: SessionStore): Promise<{ origins: string[]; close(): void }> {
  const servers = await Promise.all([start(store), start(store)])
  return {
    origins: servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    close: () => {
      for (const server of servers) {
        server.close()
        server.closeAllConnections()
      }
    },
  }
}

async function start(store: SessionStore): Promise<Server> {
  const users = { find: (id: string) => ({ id }), subject: (user: { id: string }) => user.id }
  const auth = gatepass({ sessions: { store }, users, carry: KEYS, trustedOrigins: [], onError: () => {} })
  const listener = auth.handler(async (req: IncomingMessage, res: ServerResponse) => {
    const { pathname, searchParams } = new URL(req.url ?? '', 'http://here')
    await sleep(randomInt(8))
    // Looked up where it is needed, as an application does; unsafe requests have looked it up when they came.
    const session = await auth.session(req)
    const data = session.data as Record<string, unknown>
    if (pathname === '/login') await auth.login(req, { type: 'success', user: { id: searchParams.get('user') ?? '' } })
    if (pathname === '/logout') await auth.logout(req)
    if (pathname === '/rotate') session.rotate()
    if (pathname === '/write') data[searchParams.get('key') ?? ''] = true
    await sleep(randomInt(8))
    res.end(JSON.stringify({ subject: session.subject, keys: Object.keys(data) }))
  })
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

for (const [name, { installed, start: begin }] of Object.entries(stores)) {
  if (!installed && process.env.CI) throw new Error(`${name} is not installed`)
  const note = installed ? '' : ` (SKIPPED: ${name} is not installed)`
  describe.skipIf(!installed)(`${BROWSERS} browsers that send several requests at once, on ${name}${note}`, () => {
    let opened: Opened
    let application: { origins: string[]; close(): void }
    beforeAll(async () => {
      opened = await begin()
      application = await serve(opened.store)
    })
    afterAll(async () => {
      application.close()
      await opened.close()
    })

    /** Sends one request of a browser to either process. */
    const send = (browser: TestBrowser, path: string, n: number) => {
      const other = new TestBrowser(application.origins[n % 2] ?? '')
      return Object.assign(other, { jar: browser.jar }).fetch(path, { method: 'POST' })
    }

    /** Runs one trial for each browser, after its first write has begun a session. */
    async function trial(act: (browser: TestBrowser, n: number) => Promise<void>): Promise<void> {
      const browsers = Array.from({ length: BROWSERS }, () => new TestBrowser(application.origins[0] ?? ''))
      await Promise.all(
        browsers.map(async (browser, n) => {
          expect((await send(browser, '/write?key=key0', n)).status).toBe(200)
          await act(browser, n)
        }),
      )
    }

    async function look(browser: TestBrowser): Promise<{ subject?: string; keys: string[] }> {
      return (await (await browser.fetch('/me')).json()) as { subject?: string; keys: string[] }
    }

    /** Writes several keys at once, and tells which were acknowledged. */
    async function write(browser: TestBrowser, keys: readonly string[]): Promise<string[]> {
      const statuses = await Promise.all(
        keys.map(async (key, n) => (await send(browser, `/write?key=${key}`, n)).status),
      )
      for (const status of statuses) expect([200, 409]).toContain(status)
      return keys.filter((_, n) => statuses[n] === 200)
    }

    test('are logged in after a login beside four writes, and keep what was answered 200', async () => {
      await trial(async (browser, n) => {
        const [login, saved] = await Promise.all([
          send(browser, `/login?user=user${n}`, n),
          write(browser, KEYS.slice(1, 5)),
        ])
        expect(login.status).toBe(200)
        const { subject, keys } = await look(browser)
        expect(subject).toBe(`user${n}`)
        expect(keys).toEqual(expect.arrayContaining(['key0', ...saved]))
      })
    })

    test('are logged in after a logout, and a login while writes of before are still at work', async () => {
      await trial(async (browser, n) => {
        await send(browser, `/login?user=user${n}`, n)
        const late = write(browser, KEYS.slice(1, 5))
        expect((await send(browser, '/logout', n)).status).toBe(200)
        expect((await send(browser, `/login?user=again${n}`, n)).status).toBe(200)
        await late
        expect((await look(browser)).subject).toBe(`again${n}`)
      })
    })

    test('keep their login and what was answered 200 beside rotations', async () => {
      await trial(async (browser, n) => {
        await send(browser, `/login?user=user${n}`, n)
        const [rotation, saved] = await Promise.all([send(browser, '/rotate', n), write(browser, KEYS.slice(1, 5))])
        expect(rotation.status).toBe(200)
        const { subject, keys } = await look(browser)
        expect(subject).toBe(`user${n}`)
        expect(keys).toEqual(expect.arrayContaining(saved))
      })
    })

    test('have every one of twenty writes at once answered 200 and kept', async () => {
      await trial(async (browser) => {
        expect(await write(browser, KEYS)).toEqual(KEYS)
        expect((await look(browser)).keys).toEqual(expect.arrayContaining(KEYS))
      })
    })
  })
}
