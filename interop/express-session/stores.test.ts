import { TestBrowser } from 'gatepass/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Anything, express, implementations, original, type Session, site } from './site.ts'
import { dropIns, type Kind, ours, theirs } from './stores.ts'

const dropIn = implementations[1]?.[1]

async function opened({ open }: Kind): Promise<(session: Session) => Anything> {
  const { store, close } = await open()
  onTestFinished(async () => void (await close()))
  return store
}

async function dataOf(browser: TestBrowser): Promise<unknown> {
  const { data } = (await (await browser.fetch('/')).json()) as { data: unknown }
  return data
}

/** express-session stores after the head has left. Only a client that waits for the end finds what it stored. */
async function post(browser: TestBrowser, path: string): Promise<string> {
  return (await browser.fetch(path, { method: 'POST', manual: true })).text()
}

/** A request that waits until the test continues it, and what it does then. */
function pausing(): { readonly pause: () => Promise<void>; readonly reached: Promise<void>; readonly go: () => void } {
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>()
  const { promise: gone, resolve: go } = Promise.withResolvers<void>()
  const pause = () => {
    reach()
    return gone
  }
  return { pause, reached, go }
}

/** The promises hold for the drop-in with every store, and for express-session itself on a store of ours. */
const hosts = [
  ...[...theirs, ...dropIns, ...ours].map((kind) => ({ on: 'the drop-in', session: dropIn, kind })),
  ...ours.map((kind) => ({ on: 'express-session', session: original, kind })),
]

describe.each(hosts.map((host) => ({ ...host, title: `${host.on} with ${host.kind.name}` })))(
  '$title',
  ({ session, kind }) => {
    const note = kind.missing === undefined ? '' : ` (SKIPPED: ${kind.missing})`

    test.skipIf(kind.missing)(`a session lives from login to logout${note}`, async () => {
      const store = (await opened(kind))(session)
      const browser = await site(express, session, { store, cookie: { maxAge: 60_000 } })
      await post(browser, '/login/ada')
      await post(browser, '/put/cart/book')
      expect(await dataOf(browser)).toMatchObject({ passport: { user: 'ada' }, cart: 'book' })
      const stolen = browser.clone()
      await post(browser, '/logout')
      expect(await dataOf(browser)).toEqual({})
      expect(await dataOf(stolen)).toEqual({})
    })

    // Applications write this for a cookie that lasts for ever: it is beyond the year 9999.
    test.skipIf(kind.missing)(`a session whose cookie is to last for ever lives${note}`, async () => {
      const store = (await opened(kind))(session)
      // express-session itself writes the second as `Invalid Date`.
      for (const maxAge of [253_402_300_000_000, ...(session === dropIn ? [Number.MAX_VALUE] : [])]) {
        const browser = await site(express, session, { store, cookie: { maxAge } })
        await post(browser, '/login/ada')
        await post(browser, '/put/cart/book')
        expect(await dataOf(browser)).toMatchObject({ passport: { user: 'ada' }, cart: 'book' })
      }
    })

    for (const resave of [false, true]) {
      test.skipIf(kind.missing)(`concurrent requests keep each other’s changes, resave: ${resave}${note}`, async () => {
        const store = (await opened(kind))(session)
        const { pause, reached, go } = pausing()
        const browser = await site(express, session, { store, resave, pause })
        await post(browser, '/login/ada')
        const slow = post(browser, '/slowly/slow/1')
        await reached
        await post(browser, '/put/fast/1')
        go()
        await slow
        expect(await dataOf(browser)).toMatchObject({ passport: { user: 'ada' }, fast: '1', slow: '1' })
      })

      test.skipIf(kind.missing)(
        `a request that outlives logout cannot resurrect, resave: ${resave}${note}`,
        async () => {
          const store = (await opened(kind))(session)
          const { pause, reached, go } = pausing()
          const browser = await site(express, session, { store, resave, pause })
          await post(browser, '/login/ada')
          const stolen = browser.clone()
          const slow = post(stolen, '/slowly/slow/1')
          await reached
          await post(browser, '/logout')
          go()
          await slow
          expect(await dataOf(stolen)).toEqual({})
        },
      )
    }
  },
)

describe.each([...theirs, ...dropIns, ...ours])('both over one $name', (kind) => {
  const note = kind.missing === undefined ? '' : ` (SKIPPED: ${kind.missing})`

  test.skipIf(kind.missing)(`nobody is logged out, in the middle of traffic, in either order${note}`, async () => {
    const open = await opened(kind)
    const options = { cookie: { maxAge: 60_000 } }
    const servers = [
      await site(express, original, { ...options, store: open(original) }),
      await site(express, dropIn, { ...options, store: open(dropIn) }),
    ]
    await Promise.all(Array.from({ length: 8 }, (_, user) => wander(servers, user)))
  })

  /** One visitor, whose requests a load balancer sends to changing servers. */
  async function wander(servers: readonly TestBrowser[], user: number): Promise<void> {
    const jar = new Map<string, string>()
    const next = turns(user)
    const visit = async (path: string, method = 'POST') => {
      const browser = new TestBrowser(servers[next()]?.origin ?? '')
      for (const [name, value] of jar) browser.jar.set(name, value)
      const response = await browser.fetch(path, { method, manual: true })
      const body = await response.text()
      for (const name of jar.keys()) if (!browser.jar.has(name)) jar.delete(name)
      for (const [name, value] of browser.jar) jar.set(name, value)
      return body
    }
    await visit(`/login/user${user}`)
    const expected: Record<string, unknown> = { passport: { user: `user${user}` } }
    for (let n = 0; n < 12; n++) {
      await visit(`/put/key${n}/${n}`)
      expected[`key${n}`] = `${n}`
      const { data, age } = JSON.parse(await visit('/', 'GET'))
      delete data.__lastAccess
      expect(data).toEqual(expected)
      expect(Math.round(age / 1000)).toBe(60)
    }
    await visit('/logout')
    expect(JSON.parse(await visit('/', 'GET')).data).toEqual({})
  }
})

/** The order of servers of a visitor. It is the same in each run. */
function turns(seed: number): () => 0 | 1 {
  let state = seed * 2 + 1
  return () => {
    state = (state * 48_271) % 0x7fffffff
    return (state & 8) === 0 ? 0 : 1
  }
}
