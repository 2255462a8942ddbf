import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SessionManager } from '../../src/session/manager.ts'
import type { Session } from '../../src/session/session.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { TestExchange, TestJar } from '../../src/testing/exchange.ts'
import { everyInterleaving, type Scenario } from './interleave.ts'
import { copyOf, type Data, printed, recordsOf, storeMakers, World, watched } from './world.ts'

type Opened = Session<Data>

const COOKIE = '__Host-Http-gp'
const KEYS = ['a key of at least thirty-two characters, the first'] as const

describe.each(Object.entries(storeMakers))('with the %s store', (_name, makeStore) => {
  /** A logged-in browser with data, and requests that it sends at the same moment. */
  async function scenario(
    requests: readonly ((session: Opened) => unknown)[],
    check: (world: World) => unknown,
  ): Promise<Scenario> {
    const world = new World(makeStore)
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
    let logoutCameInTime = false
    const destroy = (session: Opened) => {
      logoutCameInTime = session.id !== undefined
      session.destroy()
    }
    const noSession = async (world: World) => {
      // A logout that arrives with a token which a rotation has already ended cannot know what became of it.
      if (!logoutCameInTime) return expect(world.events.map(({ type }) => type)).toContain('rotated')
      expect(recordsOf(world.store, 'alice')).toEqual([])
      expect((await world.found()).absence).toBe('unknown')
      for (const exchange of world.answers) {
        world.jar.receive(exchange)
        expect((await world.found()).subject).toBeUndefined()
      }
    }
    for (const act of Object.values(outliving)) {
      const orders = await everyInterleaving(() => scenario([act, destroy], noSession))
      expect(orders).toBeGreaterThanOrEqual(6)
    }
    const three = await everyInterleaving(() =>
      scenario([write('late'), (session) => session.rotate(), destroy], noSession),
    )
    expect(three).toBeGreaterThan(500)
  })

  test("concurrent requests keep each other's changes", async () => {
    const both = await everyInterleaving(() =>
      scenario([write('a'), write('b')], async (world) => {
        expect((await world.found()).data).toEqual({ cart: ['tea'], count: 0, a: true, b: true })
      }),
    )
    expect(both).toBeGreaterThanOrEqual(6)
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
    expect(three).toBeGreaterThan(90)
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
      expect(orders).toBeGreaterThanOrEqual(6)
    }
    const mixed = await everyInterleaving(() =>
      scenario([increment, write('a'), increment], async (world) => {
        expect((await world.found()).data).toEqual({ cart: ['tea'], count: 2, a: true })
      }),
    )
    expect(mixed).toBeGreaterThan(90)
  })

  test('rotation keeps a concurrent change and kills the old id', async () => {
    const rotated = async (world: World) => {
      const old = copyOf(world.jar)
      const exchange = world.answers.find(({ cookies }) => cookies.changed)
      world.jar.receive(exchange ?? new TestExchange())
      expect((await world.found(old)).absence).toBe('unknown')
      const session = await world.found()
      expect(session.subject).toBe('alice')
      expect(session.data.cart).toEqual(['tea'])
      // Whatever took effect before the rotation is kept; whatever comes later is told to be discarded, never lost in silence.
      const discarded = world.events.filter(({ type }) => type === 'discarded').length
      const kept = ['a', 'b'].filter((key) => session.data[key] === true).length
      const late = world.answers.filter((answer) => world.stepped.opened(answer)?.absence === 'unknown').length
      expect(kept + discarded + late).toBe(world.answers.length - 1)
      expect(recordsOf(world.store, 'alice')).toHaveLength(1)
    }
    const rotate = (session: { rotate(): void }) => session.rotate()
    expect(await everyInterleaving(() => scenario([rotate, write('a')], rotated))).toBeGreaterThanOrEqual(10)
    expect(await everyInterleaving(() => scenario([rotate, write('a'), write('b')], rotated))).toBeGreaterThan(500)
  })

  test('a login takes along what another tab puts into the cart before it, and nothing after it', async () => {
    const orders = await everyInterleaving(async () => {
      const world = new World(makeStore)
      await world.visit((session) => Object.assign(session.data, { cart: ['tea'], planted: true }))
      const login = world.concurrently((session) =>
        session.assign('alice', { at: 0, amr: ['pwd'] }, { carry: ['cart'] }),
      )
      const addToCart = world.concurrently((session) => {
        if (session.id !== undefined) Object.assign(session.data, { cart: ['tea', 'milk'], alsoPlanted: true })
      })
      return {
        store: world.stepping,
        requests: [login, addToCart],
        check: () => {
          const [record, ...more] = recordsOf(world.store, 'alice')
          expect(more).toEqual([])
          const told = world.events.some(({ type }) => type === 'discarded')
          const late = world.answers.some((answer) => world.stepped.opened(answer)?.absence === 'unknown')
          expect(JSON.parse(record?.data ?? '')).toEqual({ cart: told || late ? ['tea'] : ['tea', 'milk'] })
          world.close()
        },
      }
    })
    expect(orders).toBeGreaterThanOrEqual(10)
  })

  test('a session ended by its handle is ended, also while it rotates', async () => {
    const orders = await everyInterleaving(async () => {
      const world = new World(makeStore)
      await world.login('alice')
      const { handle = '' } = await world.found()
      let ended = false
      return {
        store: world.stepping,
        requests: [
          world.concurrently((session) => session.rotate()),
          async () => {
            ended = await world.stepped.revokeHandle('alice', handle)
          },
        ],
        check: () => {
          expect(ended).toBe(true)
          expect(recordsOf(world.store, 'alice')).toEqual([])
          world.close()
        },
      }
    })
    expect(orders).toBeGreaterThanOrEqual(5)
  })

  test('a login that races with a logout leaves one live session at most, and only under its own new token', async () => {
    const orders = await everyInterleaving(async () => {
      const world = new World(makeStore)
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
    expect(orders).toBeGreaterThanOrEqual(10)
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
