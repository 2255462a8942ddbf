import fc from 'fast-check'
import { type Session, SessionManager } from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'
import { TestExchange, TestJar } from 'gatepass/testing'
import { describe, expect, test } from 'vitest'
import { everyInterleaving, type Scenario } from './interleave.ts'
import { copyOf, type Data, printed, recordsOf, storeMakers, World, watched } from './world.ts'

type Opened = Session<Data>

const COOKIE = '__Host-Http-gp'
const KEYS = ['a key of at least thirty-two characters, the first'] as const

const setUps = [
  ['memory', 'one', storeMakers.memory],
  ['memory', 'several', storeMakers.memory],
  ['sqlite', 'several', storeMakers.sqlite],
] as const

// Several hundred to several thousand orders each: on a busy machine that takes a while.
const SLOW = { timeout: 180_000 }

describe.each(setUps)('with the %s store, %s of the processes', SLOW, (_name, processes, makeStore) => {
  /** A logged-in browser with data, and requests that it sends at the same moment. */
  async function scenario(
    requests: readonly ((session: Opened) => unknown)[],
    check: (world: World) => unknown,
  ): Promise<Scenario> {
    const world = new World(makeStore, {}, processes)
    await world.login('alice', { cart: ['tea'], count: 0 })
    world.clock.advance(120)
    return {
      store: world.stepping,
      requests: requests.map((act) => world.concurrently(act)),
      check: async () => {
        await check(world)
        world.close()
      },
    }
  }

  /** Writers of one process take turns, so there are fewer orders of store calls. */
  const expectOrders = (orders: number, atLeast: number) =>
    expect(orders).toBeGreaterThanOrEqual(processes === 'one' ? atLeast / 3 : atLeast)

  const write = (key: string) => (session: Opened) => {
    // As an application does that asks for a login first.
    if (session.id !== undefined) session.data[key] = true
  }

  test('a request that outlives logout cannot resurrect the session', async () => {
    const outliving: Record<string, (session: Opened) => unknown> = {
      'writes data': write('late'),
      'is merely seen': () => {},
      updates: (session) => session.update((data) => Object.assign(data, { late: true })).catch(expectEnded),
      rotates: (session) => session.rotate(),
      'rotates and writes': (session) => {
        session.rotate()
        session.data.late = true
      },
      'updates and writes': async (session) => {
        session.data.late = true
        await session.update((data) => Object.assign(data, { count: 1 })).catch(expectEnded)
        session.data.later = true
      },
    }
    const destroy = (session: Opened) => session.destroy()
    const noSession = async (world: World) => {
      expect(recordsOf(world.store, 'alice')).toEqual([])
      expect((await world.found()).absence).toBe('unknown')
      for (const { exchange } of world.answers) {
        world.jar.receive(exchange)
        expect((await world.found()).subject).toBeUndefined()
      }
    }
    for (const act of Object.values(outliving)) {
      const orders = await everyInterleaving(() => scenario([act, destroy], noSession))
      expectOrders(orders, 4)
    }
    const three = await everyInterleaving(() =>
      scenario([write('late'), (session) => session.rotate(), destroy], noSession),
    )
    expectOrders(three, 500)
  })

  test("concurrent requests keep each other's changes", async () => {
    const both = await everyInterleaving(() =>
      scenario([write('a'), write('b')], async (world) => {
        expect((await world.found()).data).toEqual({ cart: ['tea'], count: 0, a: true, b: true })
      }),
    )
    expectOrders(both, 6)
    const three = await everyInterleaving(() =>
      scenario(
        [
          write('a'),
          (session) => {
            session.data.cart = ['tea', 'milk']
          },
          (session) => {
            delete session.data.count
          },
        ],
        async (world) => {
          expect((await world.found()).data).toEqual({ cart: ['tea', 'milk'], a: true })
        },
      ),
    )
    expectOrders(three, 90)
  })

  test('`update()` loses no increment', async () => {
    const increment = (session: Opened) =>
      session.update((data) => Object.assign(data, { count: Number(data.count) + 1 }))
    for (const requests of [2, 3]) {
      const orders = await everyInterleaving(() =>
        scenario(Array(requests).fill(increment), async (world) => {
          expect((await world.found()).data.count).toBe(requests)
        }),
      )
      expectOrders(orders, 6)
    }
    const mixed = await everyInterleaving(() =>
      scenario([increment, write('a'), increment], async (world) => {
        expect((await world.found()).data).toEqual({ cart: ['tea'], count: 2, a: true })
      }),
    )
    expectOrders(mixed, 90)
  })

  test('rotation keeps a concurrent change and kills the old id', async () => {
    const rotated = async (world: World) => {
      const old = copyOf(world.jar)
      const rotation = world.answers.find(({ exchange }) => exchange.cookies.changed)
      world.jar.receive(rotation?.exchange ?? new TestExchange())
      expect((await world.found(old)).absence).toBe('unknown')
      const session = await world.found()
      expect(session.subject).toBe('alice')
      expect(session.data.cart).toEqual(['tea'])
      // What was answered 200 is stored, under whichever id; what came with the old token after the rotation was a visitor.
      const writes = world.answers.filter(({ exchange, arrivedLive }) => arrivedLive && !exchange.cookies.changed)
      expect(writes.map(({ status }) => status)).toEqual(writes.map(() => 200))
      expect(['a', 'b'].filter((key) => session.data[key] === true)).toHaveLength(writes.length)
      expect(recordsOf(world.store, 'alice')).toHaveLength(1)
    }
    const rotate = (session: { rotate(): void }) => session.rotate()
    expectOrders(await everyInterleaving(() => scenario([rotate, write('a')], rotated)), 10)
    expectOrders(await everyInterleaving(() => scenario([rotate, write('a'), write('b')], rotated)), 500)
  })

  test('a login takes along what another tab puts into the cart, and that tab gets 409 for what the login leaves behind', async () => {
    for (const leftBehind of [false, true]) {
      const orders = await everyInterleaving(async () => {
        const world = new World(makeStore, {}, processes)
        await world.visit((session) => Object.assign(session.data, { cart: ['tea'], planted: true }))
        const login = world.concurrently((session) =>
          session.assign('alice', { at: 0, amr: ['pwd'] }, { carry: ['cart'] }),
        )
        const addToCart = world.concurrently((session) => {
          if (session.id === undefined) return
          session.data.cart = ['tea', 'milk']
          if (leftBehind) session.data.alsoPlanted = true
        })
        return {
          store: world.stepping,
          requests: [login, addToCart],
          check: () => {
            const [record, ...more] = recordsOf(world.store, 'alice')
            expect(more).toEqual([])
            const added = world.answers.find(({ exchange }) => !exchange.cookies.changed)
            const kept = added?.arrivedLive === true && added.status === 200
            if (!leftBehind) expect(added?.status).toBe(200)
            expect(JSON.parse(record?.data ?? '')).toEqual({ cart: kept ? ['tea', 'milk'] : ['tea'] })
            world.close()
          },
        }
      })
      expectOrders(orders, 6)
    }
  })

  test('a session ended by its handle is ended, also while it rotates', async () => {
    const orders = await everyInterleaving(async () => {
      const world = new World(makeStore, {}, processes)
      await world.login('alice')
      const { handle = '' } = await world.found()
      let ended = false
      return {
        store: world.stepping,
        requests: [
          world.concurrently((session) => session.rotate()),
          async () => {
            ended = await world.process().revokeHandle('alice', handle)
          },
        ],
        check: () => {
          expect(ended).toBe(true)
          expect(recordsOf(world.store, 'alice')).toEqual([])
          world.close()
        },
      }
    })
    expectOrders(orders, 5)
  })

  test('a login that races with a logout leaves one live session at most, and only under its own new token', async () => {
    const orders = await everyInterleaving(async () => {
      const world = new World(makeStore, {}, processes)
      await world.login('alice', { secret: 1 })
      const old = copyOf(world.jar)
      return {
        store: world.stepping,
        requests: [
          world.concurrently((session) => session.assign('bob', { at: 0, amr: ['pwd'] })),
          world.concurrently((session) => session.destroy()),
        ],
        check: async () => {
          expect(recordsOf(world.store, 'alice')).toEqual([])
          expect((await world.found(old)).absence).toBe('unknown')
          expect(recordsOf(world.store, 'bob').map(({ data }) => data)).toEqual(['{}'])
          world.close()
        },
      }
    })
    expectOrders(orders, 10)
  })

  test('an unknown token never causes Set-Cookie by itself (a stale tab cannot overwrite a fresh login)', async () => {
    const world = new World(makeStore)
    await world.login('alice', { cart: ['tea'] })
    const stale = copyOf(world.jar)
    await world.visit((session) => session.rotate())
    const exchange = stale.exchange()
    const session = await world.plain.open(exchange)
    expect(session.absence).toBe('unknown')
    expect(session.data).toEqual({})
    session.rotate()
    await world.plain.commit(exchange)
    expect(exchange.cookies.setCookieFields()).toEqual([])
    world.jar.receive(exchange)
    expect((await world.found()).subject).toBe('alice')
    world.close()
  })

  test('a token is never stored, logged or listed; only its hash', async () => {
    const world = new World(makeStore, { keys: KEYS })
    const seen = watched(world.store)
    const manager = new SessionManager<Data>({
      store: seen.store,
      keys: KEYS,
      clock: world.clock,
      onEvent: (event) => void world.events.push(event),
    })
    const secrets: string[] = []
    const sessions: unknown[] = []
    for (const act of ['assign', 'rotate', 'update', 'destroy'] as const) {
      const exchange = world.jar.exchange()
      const session = await manager.open(exchange)
      sessions.push(session, await manager.list('alice'))
      if (act === 'assign') session.assign('alice', { at: 0, amr: ['pwd'] })
      if (act === 'rotate') session.rotate()
      if (act === 'update') await session.update((data) => Object.assign(data, { a: 1 }))
      if (act === 'destroy') session.destroy()
      await manager.commit(exchange)
      sessions.push(session, await manager.list('alice'))
      world.jar.receive(exchange)
      const token = world.jar.get(COOKIE)
      if (token !== undefined) secrets.push(token, ...token.split('.'))
    }
    expect(secrets).toHaveLength(9)
    expect(seen.given.length).toBeGreaterThan(5)
    for (const place of [seen.given, world.events, sessions].map(printed)) {
      for (const secret of secrets) expect(place).not.toContain(secret)
    }
    world.close()
  })

  test('forged or malformed cookies are absent cookies; input from a browser never throws', async () => {
    const world = new World(makeStore)
    const keyed = new SessionManager<Data>({ store: world.store, keys: KEYS, clock: world.clock })
    await world.login()
    const token = world.jar.get(COOKIE) ?? ''
    const values = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom(...'Aw0-_.='), minLength: 40, maxLength: 62 }),
      fc
        .nat(42)
        .chain((at) => fc.constantFrom(...'!.=~ "').map((char) => token.slice(0, at) + char + token.slice(at + 1))),
    )
    for (const manager of [world.plain, keyed]) {
      fc.assert(
        fc.property(values, (value) => {
          const exchange = new TestExchange({ headers: { cookie: `${COOKIE}=${value}` } })
          const session = manager.open(exchange) as Opened
          expect(session.id).toBeUndefined()
          expect(session.absence).toMatch(/^(malformed|forged|unknown|duplicate)$/)
          manager.commit(exchange)
          expect(exchange.cookies.changed).toBe(false)
        }),
      )
    }
    world.close()
  })

  test('an anonymous visitor costs no store call and leaves no record; nor, with keys configured, does a forged token', async () => {
    const world = new World(makeStore)
    const { store, calls } = watched(world.store)
    const manager = new SessionManager<Data>({ store, keys: KEYS, clock: world.clock })
    const forged = new TestJar()
    forged.set(COOKIE, `${'A'.repeat(43)}.${'A'.repeat(16)}`)
    const untagged = new TestJar()
    untagged.set(COOKIE, 'A'.repeat(43))
    for (const jar of [new TestJar(), forged, untagged]) {
      const exchange = jar.exchange()
      const session = await manager.open(exchange)
      expect(session.data).toEqual({})
      expect(session.subject ?? session.login ?? session.handle ?? session.id).toBeUndefined()
      session.rotate()
      await manager.commit(exchange)
      expect(exchange.cookies.changed).toBe(false)
      expect(calls).toEqual([])
    }
    world.close()
  })
})

test('a store is not asked twice by one exchange, however often its session is opened', async () => {
  const { store, calls } = watched(memoryStore())
  const manager = new SessionManager<Data>({ store })
  const jar = new TestJar()
  jar.set(COOKIE, 'A'.repeat(43))
  const exchange = jar.exchange()
  const first = await manager.open(exchange)
  expect(await manager.open(exchange)).toBe(first)
  expect(manager.opened(exchange)).toBe(first)
  expect(calls).toEqual(['load'])
})

function expectEnded(error: unknown): void {
  expect(error).toMatchObject({ code: 'ERR_SESSION_ENDED', status: 409 })
}
