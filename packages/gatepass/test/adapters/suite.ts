import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { StoreError } from 'gatepass'
import type { SessionRecord, SessionStore } from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'
import { local } from 'gatepass/strategies/local'
import { TestBrowser } from 'gatepass/testing'
import { afterEach, describe, expect, test } from 'vitest'

export interface Account {
  readonly id: string
  readonly name: string
  hash: string
}

export const password = 'correct horse battery staple'

/** Accounts of one test: found at once, or a moment later. */
export class Accounts {
  readonly byId: Map<string, Account> = new Map(
    ['alice', 'bob'].map((name) => [name, { id: name, name, hash: `hash of ${name}` }]),
  )
  lookups = 0

  find(id: string): Account | undefined {
    this.lookups++
    return this.byId.get(id)
  }
}

/** What the suite gives to an application, and the application to its handlers. */
export interface Ingredients {
  readonly store: SessionStore
  readonly accounts: Accounts
  readonly users: {
    find(id: string): Account | undefined | Promise<Account | undefined>
    synchronous?: boolean
    subject(user: Account): string
    stamp(user: Account): string
  }
  readonly strategies: readonly [ReturnType<typeof local<Account>>]
  readonly carry: readonly string[]
  readonly lazy: boolean
  /** A handler of `/slow` waits for this. */
  readonly latch: { promise: Promise<void>; open(): void }
}

export type Cart = { cart?: string[]; visits?: number }

/**
 * The routes every adapter's application has, in the adapter's own words:
 *
 * | route | does |
 * | --- | --- |
 * | `GET /public` | answers `public`, touches nothing |
 * | `POST /login` | login; success `/me`, failure `/login`, next `next`, remember `remember` |
 * | `POST /login-plain` | login; 204, or the adapter's own refusal |
 * | `POST /login-by-hand` | from our own pages only: `await req.login(bob)` and 204 |
 * | `POST /logout` | logout; success `/public` |
 * | `POST /logout-by-hand` | `await req.logout({ everywhere: true })` and 204 |
 * | `GET /me` | guarded; `{ id }` |
 * | `GET /whoami` | `req.user?.id`, or `nobody` |
 * | `POST /cart?item=` | adds to `data.cart` |
 * | `GET /cart` | the cart as JSON |
 * | `GET /slow` | waits for the latch, then writes `data.visits` |
 * | `GET /broken` | writes into the session, then throws |
 */
export type StartApplication = (ingredients: Ingredients) => Promise<Server> | Server

export function adapterSuite(name: string, start: StartApplication): void {
  describe.each([
    ['store and users that answer at once', false],
    ['store and users that answer later', true],
  ])(`${name}, %s`, (_kind, later) => {
    const servers: Server[] = []
    afterEach(() => {
      for (const server of servers.splice(0)) server.close().closeAllConnections()
    })

    async function open(overrides: Partial<Ingredients> = {}) {
      const accounts = new Accounts()
      const memory = memoryStore()
      const calls = new CountingStore(later ? laterStore(memory) : memory)
      let release = (): void => {}
      const latch = { promise: new Promise<void>((resolve) => (release = resolve)), open: () => release() }
      const ingredients: Ingredients = {
        store: calls,
        accounts,
        users: {
          find: later ? async (id) => accounts.find(id) : (id) => accounts.find(id),
          synchronous: !later,
          subject: (user) => user.id,
          stamp: (user) => user.hash,
        },
        strategies: [
          local<Account>({ verify: (id, given) => (given === password ? accounts.byId.get(id) : undefined) }),
        ],
        carry: ['cart'],
        lazy: false,
        latch,
        ...overrides,
      }
      const server = await start(ingredients)
      servers.push(server)
      if (!server.listening) await new Promise((resolve) => server.once('listening', resolve))
      const origin = `http://localhost:${(server.address() as AddressInfo).port}`
      return { ...ingredients, store: calls, origin, browser: new TestBrowser(origin) }
    }

    async function loggedIn(overrides: Partial<Ingredients> = {}) {
      const app = await open(overrides)
      const response = await app.browser.fetch('/login', { form: { username: 'alice', password } })
      expect(response.status).toBe(200)
      return app
    }

    test('a login leads to the page, under a new token, and the user is on the request', async () => {
      const { browser } = await open()
      const response = await browser.fetch('/login', { form: { username: 'alice', password }, manual: true })
      expect(response.status).toBe(303)
      expect(response.headers.get('location')).toBe('/me')
      expect(response.headers.get('cache-control')).toContain('no-store')
      expect(await (await browser.fetch('/me')).json()).toEqual({ id: 'alice' })
      expect(await (await browser.fetch('/whoami')).text()).toBe('alice')
    })

    test('credentials as JSON log in as well', async () => {
      const { browser } = await open()
      expect((await browser.fetch('/login-plain', { json: { username: 'bob', password } })).status).toBe(204)
      expect(await (await browser.fetch('/whoami')).text()).toBe('bob')
    })

    test('a refused login goes back to the form with the reason, and keeps the wish', async () => {
      const { browser } = await open()
      const form = { username: 'alice', password: 'wrong wrong wrong wrong', next: '/cart?x=1' }
      const response = await browser.fetch('/login', { form, manual: true })
      expect(response.status).toBe(303)
      expect(response.headers.get('location')).toBe('/login?failure=invalid&next=%2Fcart%3Fx%3D1')
      expect(browser.jar.size).toBe(0)
    })

    test('a refused login without a page answers 401 with code and message', async () => {
      const { browser } = await open()
      const response = await browser.fetch('/login-plain', { form: { username: 'alice', password: 'x'.repeat(20) } })
      expect(response.status).toBe(401)
      expect(((await response.json()) as { error: { code: string } }).error.code).toBe('ERR_LOGIN_REFUSED')
    })

    test('a wish to go elsewhere on this origin is followed, one to another origin is not', async () => {
      const { browser } = await open()
      const go = async (next: string) =>
        (await browser.fetch('/login', { form: { username: 'alice', password, next }, manual: true })).headers.get(
          'location',
        )
      expect(await go('/cart')).toBe('/cart')
      expect(await go('//evil.example/')).toBe('/me')
      expect(await go('https://evil.example/')).toBe('/me')
    })

    test('nobody passes a guard without a login, and hears why', async () => {
      const { browser } = await open()
      const response = await browser.fetch('/me')
      expect(response.status).toBe(401)
      const { error } = (await response.json()) as { error: { code: string; hint: string } }
      expect(error.code).toBe('ERR_LOGIN_REQUIRED')
      expect(error.hint).not.toBe('')
    })

    test('an anonymous visitor costs no store call and gets no cookie', async () => {
      const { browser, store } = await open()
      expect(await (await browser.fetch('/public')).text()).toBe('public')
      expect(await (await browser.fetch('/whoami')).text()).toBe('nobody')
      expect(await (await browser.fetch('/cart')).json()).toEqual([])
      expect(store.calls).toEqual([])
      expect(browser.jar.size).toBe(0)
    })

    test('an authenticated request costs one load, one lookup of the user, and no write', async () => {
      const { browser, store, accounts } = await loggedIn()
      store.calls.length = 0
      accounts.lookups = 0
      await browser.fetch('/me')
      expect(store.calls).toEqual(['load'])
      expect(accounts.lookups).toBe(1)
    })

    test('what a handler writes into the session is there in the next request', async () => {
      const { browser } = await open()
      await browser.fetch('/cart?item=pen', { method: 'POST' })
      await browser.fetch('/cart?item=ink', { method: 'POST' })
      expect(await (await browser.fetch('/cart')).json()).toEqual(['pen', 'ink'])
    })

    test('what is named in carry survives a login, nothing else does', async () => {
      const { browser, latch } = await open()
      latch.open()
      await browser.fetch('/cart?item=pen', { method: 'POST' })
      await browser.fetch('/slow')
      expect(await (await browser.fetch('/slow')).text()).toBe('2')
      await browser.fetch('/login', { form: { username: 'alice', password } })
      expect(await (await browser.fetch('/cart')).json()).toEqual(['pen'])
      expect(await (await browser.fetch('/slow')).text()).toBe('1')
    })

    test('a login changes the token, and the old one is dead', async () => {
      const { browser } = await open()
      await browser.fetch('/cart?item=pen', { method: 'POST' })
      const planted = browser.clone()
      await browser.fetch('/login', { form: { username: 'alice', password } })
      expect([...browser.jar.values()]).not.toEqual([...planted.jar.values()])
      expect(await (await planted.fetch('/whoami')).text()).toBe('nobody')
      expect(await (await planted.fetch('/cart')).json()).toEqual([])
    })

    test('a logout ends the session here and deletes the cookie', async () => {
      const { browser } = await loggedIn()
      const stolen = browser.clone()
      const response = await browser.fetch('/logout', { method: 'POST' })
      expect(await response.text()).toBe('public')
      expect(browser.jar.size).toBe(0)
      expect(await (await stolen.fetch('/whoami')).text()).toBe('nobody')
      expect((await stolen.fetch('/logout', { method: 'POST' })).status).toBe(200)
    })

    test('a logout everywhere ends the sessions on other devices', async () => {
      const { browser, origin } = await loggedIn()
      const phone = new TestBrowser(origin)
      await phone.fetch('/login', { form: { username: 'alice', password } })
      expect((await browser.fetch('/logout-by-hand', { method: 'POST' })).status).toBe(204)
      expect(await (await phone.fetch('/whoami')).text()).toBe('nobody')
    })

    test('a login by hand is kept like any other', async () => {
      const { browser } = await open()
      expect((await browser.fetch('/login-by-hand', { method: 'POST' })).status).toBe(204)
      expect(await (await browser.fetch('/whoami')).text()).toBe('bob')
    })

    test('a request that outlives logout cannot resurrect the session', async () => {
      const { browser, latch } = await loggedIn()
      const stolen = browser.clone()
      const slow = browser.fetch('/slow')
      await stolen.fetch('/logout', { method: 'POST' })
      latch.open()
      await slow
      expect(await (await browser.fetch('/whoami')).text()).toBe('nobody')
    })

    test('a changed password ends the logins made with the old one', async () => {
      const { browser, accounts } = await loggedIn()
      const alice = accounts.byId.get('alice')
      if (alice !== undefined) alice.hash = 'another hash'
      const response = await browser.fetch('/me')
      expect(response.status).toBe(401)
      expect(((await response.json()) as { error: { message: string } }).error.message).toContain('credentials')
      if (alice !== undefined) alice.hash = 'hash of alice'
      expect(await (await browser.fetch('/whoami')).text()).toBe('nobody')
    })

    test('a deleted user is logged in nowhere', async () => {
      const { browser, accounts } = await loggedIn()
      accounts.byId.delete('alice')
      expect(await (await browser.fetch('/whoami')).text()).toBe('nobody')
    })

    test('remember-me keeps the login across restarts of the browser, and nothing else does', async () => {
      const { browser } = await open()
      const login = async (remember: Record<string, string>) => {
        const form = { username: 'alice', password, ...remember }
        return (await browser.fetch('/login', { form, manual: true })).headers.getSetCookie().join()
      }
      expect(await login({})).not.toMatch(/max-age|expires/i)
      expect(await login({ remember: 'on' })).toMatch(/max-age=\d{7}/i)
    })

    test('a cross-site request with cookies is refused, and so is a login without any', async () => {
      const { browser, origin } = await loggedIn()
      const evil = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
      const cart = await browser.fetch('/cart?item=bomb', { method: 'POST', headers: evil })
      expect(cart.status).toBe(403)
      expect(await (await browser.fetch('/cart')).json()).toEqual([])
      const stranger = new TestBrowser(origin)
      const login = await stranger.fetch('/login', { form: { username: 'bob', password }, headers: evil })
      expect(login.status).toBe(403)
      expect(login.headers.get('vary')?.toLowerCase()).toContain('origin')
      expect((await stranger.fetch('/login-by-hand', { method: 'POST', headers: evil })).status).toBe(403)
      expect(stranger.jar.size).toBe(0)
      expect((await browser.fetch('/logout', { method: 'POST', headers: evil })).status).toBe(403)
      expect(await (await browser.fetch('/whoami')).text()).toBe('alice')
    })

    test('a failed save never answers 2xx, and leaves no cookie', async () => {
      const { browser, store } = await open()
      store.broken = true
      for (const response of [
        await browser.fetch('/cart?item=pen', { method: 'POST' }),
        await browser.fetch('/login', { form: { username: 'alice', password }, manual: true }),
      ]) {
        expect(response.status).toBe(503)
        expect(response.headers.getSetCookie()).toEqual([])
        expect(response.headers.get('location')).toBeNull()
        expect(response.headers.get('retry-after')).toBe('1')
      }
      store.broken = false
      expect((await browser.fetch('/cart?item=pen', { method: 'POST' })).status).toBe(200)
    })

    test('a store that cannot be read answers 503, never as somebody else', async () => {
      const { browser, store } = await loggedIn()
      store.broken = true
      expect((await browser.fetch('/me')).status).toBe(503)
      expect((await browser.fetch('/whoami')).status).toBe(503)
      expect((await browser.fetch('/public')).status).toBe(later ? 503 : 200)
      store.broken = false
      expect((await browser.fetch('/me')).status).toBe(200)
    })

    test('a handler that throws is answered with 500', async () => {
      const { browser } = await open()
      expect((await browser.fetch('/broken')).status).toBe(500)
    })

    test('a check that fails without saying how lets nobody in', async () => {
      const nothing = (): never => {
        throw undefined
      }
      let works = true
      const find = (id: string): Account => (works ? { id, name: id, hash: `hash of ${id}` } : nothing())
      const { browser, origin, ...app } = await open({
        users: {
          find: later ? async (id) => find(id) : find,
          subject: (user) => user.id,
          stamp: (user) => user.hash,
        },
        strategies: [local<Account>({ verify: (id) => (id === 'alice' ? app.accounts.byId.get('alice') : nothing()) })],
      })
      await browser.fetch('/login', { form: { username: 'alice', password } })
      expect(await (await browser.fetch('/me')).json()).toEqual({ id: 'alice' })
      works = false
      expect((await browser.fetch('/me')).status).toBe(500)
      const bob = { username: 'bob', password }
      expect((await new TestBrowser(origin).fetch('/login-plain', { form: bob })).status).toBe(500)
    })

    test('a login that is refused for the moment says when to come back', async () => {
      const busy = (): never => {
        throw new StoreError('ERR_PASSWORD_BUSY', 'Too many at once', { retryAfter: 2 })
      }
      const { browser } = await open({ strategies: [local<Account>({ verify: busy })] })
      const response = await browser.fetch('/login', { form: { username: 'alice', password } })
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toBe('2')
    })

    test('a forged, doubled or malformed cookie is an absent one, and sets none', async () => {
      const { browser, origin } = await loggedIn()
      const [[name, token]] = [...browser.jar] as [[string, string]]
      for (const cookie of [
        `${name}=${'A'.repeat(43)}`,
        `${name}=${token}; ${name}=${token}`,
        `${name}=%E0%A4%A`,
        `${name}=`,
        `=${token}`,
        `x=__proto__; ${';'.repeat(5000)}`,
      ]) {
        const response = await new TestBrowser(origin).fetch('/whoami', { headers: { cookie } })
        expect(await response.text(), cookie.slice(0, 20)).toBe('nobody')
        expect(response.headers.getSetCookie()).toEqual([])
      }
    })

    test('a personal page is kept by no cache', async () => {
      const { browser } = await loggedIn()
      expect((await browser.fetch('/me')).headers.get('cache-control')).toContain('no-store')
    })

    test('with lazy, a page that ignores its session costs no store call', async () => {
      const { browser, store } = await loggedIn({ lazy: true })
      store.calls.length = 0
      expect(await (await browser.fetch('/public')).text()).toBe('public')
      expect(store.calls).toEqual([])
      expect(await (await browser.fetch('/me')).json()).toEqual({ id: 'alice' })
      expect(store.calls).toEqual(['load'])
    })
  })
}

/** Counts what a store is asked, and breaks on demand. */
class CountingStore implements SessionStore {
  readonly calls: string[] = []
  broken = false
  readonly synchronous: boolean
  readonly listBySubject: (subject: string) => unknown
  readonly #store: ReturnType<typeof memoryStore>

  constructor(store: ReturnType<typeof memoryStore>) {
    this.#store = store
    this.synchronous = store.synchronous === true
    this.listBySubject = (subject) => this.#ask('listBySubject', () => store.listBySubject(subject))
  }

  load(id: SessionRecord['id']) {
    return this.#ask('load', () => this.#store.load(id))
  }
  insert(record: SessionRecord) {
    return this.#ask('insert', () => this.#store.insert(record))
  }
  replace(record: SessionRecord, version: number) {
    return this.#ask('replace', () => this.#store.replace(record, version))
  }
  touch(id: SessionRecord['id'], seenAt: number, expiresAt: number) {
    return this.#ask('touch', () => this.#store.touch(id, seenAt, expiresAt))
  }
  remove(id: SessionRecord['id'], version?: number) {
    return this.#ask('remove', () => this.#store.remove(id, version))
  }
  removeBySubject(subject: string, except?: SessionRecord['id']) {
    return this.#ask('removeBySubject', () => this.#store.removeBySubject(subject, except))
  }
  insertWithin(record: SessionRecord, limit: number) {
    return this.#ask('insertWithin', () => this.#store.insertWithin(record, limit))
  }

  #ask<T>(call: string, answer: () => T): T {
    this.calls.push(call)
    if (this.broken) throw new Error('connection lost')
    return answer()
  }
}

/** The same store, a turn of the event loop away. */
function laterStore(store: ReturnType<typeof memoryStore>): ReturnType<typeof memoryStore> {
  return new Proxy(store, {
    get(target, name) {
      if (name === 'synchronous') return false
      const member = Reflect.get(target, name, target) as unknown
      if (typeof member !== 'function') return member
      return async (...given: unknown[]) => {
        await new Promise((resolve) => setImmediate(resolve))
        return member.apply(target, given)
      }
    },
  })
}
