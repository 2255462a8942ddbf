import connectPgSimple from 'gatepass/compat/connect-pg-simple'
import connectRedis, { RedisStore } from 'gatepass/compat/connect-redis'
import dropIn from 'gatepass/compat/express-session'
import { legacyStore } from 'gatepass/compat/legacy-store'
import type { SessionId } from 'gatepass/session'
import { storeSuite, TestBrowser } from 'gatepass/testing'
import { Redis as Ioredis } from 'ioredis'
import pg from 'pg'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { type Anything, express, listen, original, require, secret } from './site.ts'
import { connection, noPostgres, noRedis, redisUrl, unique } from './stores.ts'

const note = (missing: string | undefined): string => (missing === undefined ? '' : ` (SKIPPED: ${missing})`)

/** What a method gives to its callback. */
function told(call: (done: (error: unknown, value?: unknown) => void) => unknown): Promise<Anything> {
  return new Promise((resolve, reject) => call((error, value) => (error ? reject(error) : resolve(value))))
}

const sessionOf = (name: string, expires: Date | null = null): Anything => ({
  cookie: { originalMaxAge: null, expires, httpOnly: true, path: '/' },
  name,
})
const soon = (): Date => new Date(Date.now() + 90_000)
const past = (): Date => new Date(Date.now() - 90_000)

describe.skipIf(noRedis)(`gatepass/compat/connect-redis${note(noRedis)}`, () => {
  let client: ReturnType<typeof createClient>
  const used: string[] = []
  const prefixed = (): string => {
    const prefix = `${unique()}:`
    used.push(prefix)
    return prefix
  }
  beforeAll(async () => {
    client = createClient({ url: redisUrl })
    await client.connect()
  })
  afterAll(async () => {
    for (const prefix of used) await new RedisStore({ client, prefix }).clear()
    client.destroy()
  })

  /** The originals that take a client of today, each in its form. */
  const originals: Readonly<Record<string, (options: Anything) => Anything>> = {
    'connect-redis 7': (options) => new (require('connect-redis7').default)(options),
    'connect-redis 8': (options) => new (require('connect-redis8').RedisStore)(options),
    'connect-redis 9': (options) => new (require('connect-redis9').RedisStore)(options),
    'connect-redis 10': (options) => new (require('connect-redis').RedisStore)(options),
  }

  test.each(Object.entries(originals))('what %s writes is read, and the other way round', async (_, make) => {
    const prefix = prefixed()
    const [theirs, ours] = [make({ client, prefix }), new RedisStore({ client, prefix })]
    for (const [writer, reader] of [
      [theirs, ours],
      [ours, theirs],
    ]) {
      const session = sessionOf('ada', soon())
      await told((done) => writer.set('a', session, done))
      const [text, ttl] = [await client.get(`${prefix}a`), await client.ttl(`${prefix}a`)]
      expect(await told((done) => reader.get('a', done))).toEqual(JSON.parse(String(text)))
      expect(text).toBe(JSON.stringify(session))
      expect(ttl).toBeGreaterThan(88)
      await told((done) => reader.destroy('a', done))
      expect(await told((done) => writer.get('a', done))).toBeFalsy()
    }
  })

  const optionsOf: Readonly<Record<string, () => Anything>> = {
    'the defaults': () => ({}),
    'ttl in seconds': () => ({ ttl: 50 }),
    'ttl as a function': () => ({ ttl: (session: Anything) => (session.name === 'gone' ? 0 : 40) }),
    disableTTL: () => ({ disableTTL: true }),
    disableTouch: () => ({ disableTouch: true }),
    'a serializer': () => ({
      serializer: {
        stringify: (session: Anything) => Buffer.from(JSON.stringify(session)).toString('base64'),
        parse: (text: string) => JSON.parse(Buffer.from(text, 'base64').toString()),
      },
    }),
    'a serializer that fails': () => ({
      serializer: { stringify: JSON.stringify, parse: (text: string) => JSON.parse(`{${text}`) },
    }),
    scanCount: () => ({ scanCount: 1 }),
  }

  /** What a store answers, and leaves in Redis. */
  async function walk(store: Anything, prefix: string, expires: Date): Promise<unknown[]> {
    const seen: unknown[] = []
    const see = async (work: Promise<unknown>) => {
      const outcome = await work.catch((error: Error) => error.constructor.name)
      const keys = (await client.keys(`${prefix}*`)).sort()
      const left = await Promise.all(
        keys.map(async (key) => [
          key.slice(prefix.length),
          await client.get(key),
          Math.round((await client.ttl(key)) / 10),
        ]),
      )
      seen.push([
        Array.isArray(outcome)
          ? [...outcome].sort((a, b) => (JSON.stringify(a) > JSON.stringify(b) ? 1 : -1))
          : outcome,
        left,
      ])
    }
    for (const call of [
      (...done: Anything[]) => store.get('none', ...done),
      (...done: Anything[]) => store.set('a', sessionOf('ada'), ...done),
      (...done: Anything[]) => store.set('b', sessionOf('bob', expires), ...done),
      (...done: Anything[]) => store.set('c', sessionOf('gone', past()), ...done),
      (...done: Anything[]) => store.get('a', ...done),
      (...done: Anything[]) => store.touch('a', sessionOf('ada', expires), ...done),
      (...done: Anything[]) => store.touch('none', sessionOf('none'), ...done),
      (...done: Anything[]) => store.length(...done),
      (...done: Anything[]) => store.ids(...done),
      (...done: Anything[]) => store.all(...done),
      (...done: Anything[]) => store.destroy('a', ...done),
      (...done: Anything[]) => store.destroy('a', ...done),
      (...done: Anything[]) => store.clear(...done),
      (...done: Anything[]) => store.clear(...done),
    ]) {
      await see(told((done) => call(done)))
      await see(call())
    }
    return seen
  }

  test.each(Object.entries(optionsOf))(
    'with %s it answers as connect-redis 10, and leaves the same',
    async (_, options) => {
      const [one, other, expires] = [prefixed(), prefixed(), soon()]
      const theirs = await walk(originals['connect-redis 10']?.({ client, prefix: one, ...options() }), one, expires)
      expect(await walk(new RedisStore({ client, prefix: other, ...options() }), other, expires)).toEqual(theirs)
    },
  )

  test('as a function of a session it is connect-redis 6, with every client that had', async () => {
    const connectRedis6 = require('connect-redis6')
    const redis3 = require('redis3').createClient(redisUrl)
    const redis4 = require('redis4').createClient({ url: redisUrl, legacyMode: true })
    const ioredis = new Ioredis(redisUrl)
    await redis4.connect()
    onTestFinished(() => {
      redis3.quit()
      ioredis.disconnect()
      return redis4.disconnect()
    })
    for (const older of [redis3, redis4, ioredis]) {
      const answers = await Promise.all(
        [connectRedis6, connectRedis].map(async (connect) => {
          const prefix = prefixed()
          const store = new (connect(dropIn))({ client: older, prefix })
          expect(store).toBeInstanceOf(dropIn.Store)
          const calls: readonly ((done: Anything) => unknown)[] = [
            (done) => store.get('none', done),
            (done) => store.set('a', sessionOf('ada'), done),
            (done) => store.get('a', done),
            (done) => store.touch('a', sessionOf('ada', soon()), done),
            (done) => store.touch('none', sessionOf('none'), done),
            (done) => store.set('b', sessionOf('bob', soon()), done),
            (done) => store.length(done),
            (done) => store.destroy('a', done),
            (done) => store.destroy('a', done),
            (done) => store.clear(done),
          ]
          const seen: unknown[] = []
          for (const call of calls) seen.push(JSON.stringify(await told(call))?.replace(/"expires":"[^"]*"/, ''))
          return seen
        }),
      )
      expect(answers[1]).toEqual(answers[0])
    }
    for (const connect of [connectRedis6, connectRedis])
      expect(() => new (connect(original))({})).toThrow('client must be')
  })

  const clients: Readonly<Record<string, () => Promise<readonly [client: Anything, close: () => unknown]>>> = {
    'node-redis of today': async () => {
      const made = await createClient({ url: redisUrl }).connect()
      return [made, () => made.destroy()]
    },
    'node-redis of today that connects later': async () => {
      const made = createClient({ url: redisUrl })
      void made.connect()
      return [made, () => made.destroy()]
    },
    'node-redis 4': async () => {
      const made = require('redis4').createClient({ url: redisUrl })
      await made.connect()
      return [made, () => made.disconnect()]
    },
    ioredis: async () => {
      const made = new Ioredis(redisUrl)
      return [made, () => made.disconnect()]
    },
    'legacy() of node-redis': async () => {
      const made = await createClient({ url: redisUrl }).connect()
      return [made.legacy(), () => made.destroy()]
    },
  }

  test.each(Object.entries(clients))('%s: two processes lose no write, and end no session in vain', async (_, open) => {
    const [own, close] = await open()
    onTestFinished(async () => void (await close()))
    const prefix = prefixed()
    await twoProcesses(() => new RedisStore({ client: own, prefix }))
  })

  test('lookups that arrive together are one command', async () => {
    const prefix = prefixed()
    const store = new RedisStore({ client, prefix })
    const ids = Array.from({ length: 20 }, (_, n) => `s${n}`)
    for (const id of ids) await store.set(id, sessionOf(id))
    const sent = vi.spyOn(client, 'sendCommand')
    onTestFinished(() => sent.mockRestore())
    const found = await Promise.all(ids.map((id) => told((done) => store.get(id, done))))
    expect(found.map(({ name }) => name)).toEqual(ids)
    expect(sent.mock.calls.map(([[command]]) => command)).toEqual(['MGET'])
  })

  test('what a subclass does to its sessions is done', async () => {
    const prefix = prefixed()
    class Own extends RedisStore {
      override get(sid: string, callback?: Anything): Promise<Anything> {
        const work = super.get(sid).then((session) => session && { ...session, extra: 'of the subclass' })
        return callback ? work.then((session) => callback(null, session), callback) : work
      }
    }
    const store = new Own({ client, prefix })
    await store.set('a', sessionOf('ada'))
    expect((await legacyStore(store).load('a' as SessionId))?.data).toContain('of the subclass')
  })

  test('the prefix is a text, not a pattern', async () => {
    const prefix = prefixed()
    const [store, other] = [
      new RedisStore({ client, prefix: `${prefix}[ab]*` }),
      new RedisStore({ client, prefix: `${prefix}a` }),
    ]
    await store.set('1', sessionOf('ada'))
    await other.set('2', sessionOf('bob'))
    expect(await store.ids()).toEqual(['1'])
    await store.clear()
    expect(await other.length()).toBe(1)
  })

  // By its own clock, which is not that of Redis.
  storeSuite(
    'gatepass() on it',
    ({ clock }) => ({ store: legacyStore(new RedisStore({ client, prefix: prefixed(), ttl: () => 3600 }), { clock }) }),
    { test, describe, subjectIndex: false },
  )
})

describe.skipIf(noPostgres)(`gatepass/compat/connect-pg-simple${note(noPostgres)}`, () => {
  let pool: pg.Pool
  const tables: string[] = []
  const table = (): string => {
    const name = unique()
    tables.push(name)
    return name
  }
  const make = (options: Anything) => new (connectPgSimple(dropIn))({ pruneSessionInterval: false, ...options })
  const theirs = (options: Anything) =>
    new (require('connect-pg-simple')(dropIn))({ pruneSessionInterval: false, ...options })
  beforeAll(() => {
    pool = new pg.Pool(connection)
  })
  afterAll(async () => {
    for (const name of tables) await pool.query(`DROP TABLE IF EXISTS "${name}"`)
    await pool.end()
  })

  const rowsOf = async (name: string) =>
    (
      await pool.query(
        `SELECT sid, sess::text, extract(epoch FROM expire) - extract(epoch FROM now()::timestamp) AS left FROM "${name}" ORDER BY sid`,
      )
    ).rows

  test('it makes the table that connect-pg-simple makes, also if processes start together', async () => {
    const [one, other, schemaName] = [unique(), table(), unique()]
    // In a schema of its own, because connect-pg-simple names the key of every table alike.
    await pool.query(`CREATE SCHEMA "${schemaName}"`)
    onTestFinished(async () => void (await pool.query(`DROP SCHEMA "${schemaName}" CASCADE`)))
    await told((done) => theirs({ pool, schemaName, tableName: one, createTableIfMissing: true }).get('x', done))
    const starting = Array.from({ length: 4 }, () => make({ pool, tableName: other, createTableIfMissing: true }))
    await Promise.all(starting.map((store) => told((done) => store.get('x', done))))
    const shape = async (name: string) =>
      (
        await pool.query(
          `SELECT column_name, data_type, is_nullable, collation_name FROM information_schema.columns WHERE table_name = $1 ORDER BY 1`,
          [name],
        )
      ).rows
    expect(await shape(other)).toEqual(await shape(one))
    await told((done) => theirs({ pool, tableName: other }).set('x', sessionOf('ada'), done))
  })

  test('what connect-pg-simple writes is read, and the other way round', async () => {
    const tableName = table()
    const ours = make({ pool, tableName, createTableIfMissing: true })
    await told((done) => ours.get('none', done))
    for (const [writer, reader] of [
      [theirs({ pool, tableName }), ours],
      [ours, theirs({ pool, tableName })],
    ]) {
      const session = sessionOf('ada', soon())
      await told((done) => (writer ?? ours).set('a', session, done))
      const [row] = await rowsOf(tableName)
      expect(row.sess).toBe(JSON.stringify(session))
      expect(Number(row.left)).toBeGreaterThan(85)
      expect(await told((done) => reader.get('a', done))).toEqual(JSON.parse(row.sess))
      await told((done) => reader.destroy('a', done))
      expect(await told((done) => reader.get('a', done))).toBeUndefined()
    }
  })

  const optionsOf: Readonly<Record<string, Anything>> = {
    'the defaults': {},
    ttl: { ttl: 50 },
    disableTouch: { disableTouch: true },
    'a schema': { schemaName: 'public' },
  }

  test.each(Object.entries(optionsOf))(
    'with %s it answers as connect-pg-simple, and leaves the same',
    async (_, options) => {
      const expires = soon()
      const [before, ours] = await Promise.all(
        [theirs, make].map(async (open) => {
          const tableName = table()
          const store = open({ pool, tableName, ...options })
          await told((done) => make({ pool, tableName, createTableIfMissing: true }).get('none', done))
          const calls: readonly ((done: Anything) => unknown)[] = [
            (done) => store.get('none', done),
            (done) => store.set('a', sessionOf('ada'), done),
            (done) => store.set('a', sessionOf('ada again'), done),
            (done) => store.set('b', sessionOf('bob', expires), done),
            (done) => store.set('c', sessionOf('gone', past()), done),
            (done) => store.get('a', done),
            (done) => store.get('c', done),
            (done) => store.touch('a', sessionOf('ada', expires), done),
            (done) => store.touch('none', sessionOf('none'), done),
            (done) => store.pruneSessions(done),
            (done) => store.destroy('a', done),
            (done) => store.destroy('a', done),
            (done) => store.query(`SELECT count(*) FROM ${store.quotedTable()}`, done),
          ]
          const seen: unknown[] = []
          for (const call of calls) {
            const rows = (await told(call)) ?? null
            seen.push([
              rows,
              (await rowsOf(tableName)).map(({ sid, sess, left }) => [
                sid,
                sess.replace(/"expires":"[^"]*"/, ''),
                Math.round(left / 10),
              ]),
            ])
          }
          return seen
        }),
      )
      expect(ours).toEqual(before)
    },
  )

  test('the error of the driver reaches the callback', async () => {
    for (const store of [theirs({ pool, tableName: 'nowhere' }), make({ pool, tableName: 'nowhere' })]) {
      for (const call of ['get', 'destroy'] as const) {
        await expect(told((done) => store[call]('a', done))).rejects.toMatchObject({ code: '42P01', severity: 'ERROR' })
      }
    }
  })

  test('lookups that arrive together are one query', async () => {
    const tableName = table()
    const store = make({ pool, tableName, createTableIfMissing: true })
    const ids = Array.from({ length: 20 }, (_, n) => `s${n}`)
    for (const id of ids) await told((done) => store.set(id, sessionOf(id), done))
    const sent = vi.spyOn(pool, 'query')
    onTestFinished(() => sent.mockRestore())
    const found = await Promise.all([...ids, 'none'].map((id) => told((done) => store.get(id, done))))
    expect(found.map((session) => session?.name)).toEqual([...ids, undefined])
    expect(sent).toHaveBeenCalledTimes(1)
  })

  test.each(['a pool', 'pg-promise'])('%s: two processes lose no write, and end no session in vain', async (by) => {
    const tableName = table()
    const pgp = require('pg-promise')({ noWarnings: true })
    const database = by === 'a pool' ? { pool } : { pgPromise: pgp(connection) }
    onTestFinished(() => pgp.end())
    await twoProcesses(() => make({ ...database, tableName, createTableIfMissing: true }))
  })

  test('a session that is not JSON is removed, as in connect-pg-simple', async () => {
    for (const open of [theirs, make]) {
      const tableName = table()
      await pool.query(`CREATE TABLE "${tableName}" (sid varchar PRIMARY KEY, sess text, expire timestamp)`)
      await pool.query(`INSERT INTO "${tableName}" VALUES ('a', '{', now() + interval '1 day')`)
      const store = open({ pool, tableName })
      expect(await told((done) => store.get('a', done))).toBeFalsy()
      await vi.waitFor(async () => expect(await rowsOf(tableName)).toEqual([]))
    }
  })

  test('timers that a test has replaced hold up no request', async () => {
    const store = make({ pool, tableName: table(), createTableIfMissing: true })
    const browser = await site(store)
    vi.useFakeTimers({ toFake: ['setTimeout', 'setImmediate', 'setInterval', 'Date', 'performance'] })
    onTestFinished(() => void vi.useRealTimers())
    await browser.fetch('/put/a')
    vi.advanceTimersByTime(600_000)
    expect(await (await browser.fetch('/')).json()).toEqual({ a: 1 })
  })
})

/** An application on the drop-in for express-session. */
async function site(store: Anything, pause: () => Promise<void> = async () => {}): Promise<TestBrowser> {
  const app = express()
  app.use(dropIn({ secret, resave: false, saveUninitialized: false, store, cookie: { maxAge: 3_600_000 } }))
  app.get('/', (req: Anything, res: Anything) => {
    const { cookie: _, ...data } = req.session
    res.json(data)
  })
  app.get('/put/:key', async (req: Anything, res: Anything) => {
    await pause()
    req.session[req.params.key] = 1
    res.send('put')
  })
  app.get('/save/:key', async (req: Anything, res: Anything) => {
    req.session[req.params.key] = 1
    await req.session.save()
    req.session[`${req.params.key} again`] = 1
    res.send('saved')
  })
  app.get('/end', (req: Anything, res: Anything) => req.session.destroy(() => res.send('ended')))
  app.use((error: Anything, _req: Anything, res: Anything, _next: Anything) =>
    res.status(error.status ?? 500).send(error.code),
  )
  return new TestBrowser(await listen(app))
}

/** Two servers, each with a store of its own over the same database, as in two processes. */
async function twoProcesses(open: () => Anything): Promise<void> {
  const { promise: gone, resolve: go } = Promise.withResolvers<void>()
  const arrived: (() => void)[] = []
  let waiting = 0
  const pause = async () => {
    waiting++
    for (const arrive of arrived) arrive()
    await gone
  }
  const all = (count: number) =>
    new Promise<void>((resolve) => {
      const check = () => waiting === count && resolve()
      arrived.push(check)
      check()
    })
  const sites = [await site(open()), await site(open())]
  const slow = [await site(open(), pause), await site(open(), pause)]
  const [first, second] = sites as [TestBrowser, TestBrowser]
  await first.fetch('/put/begun')
  const cookie = [...first.jar]
  const visit = (server: TestBrowser, path: string) => {
    for (const [name, value] of cookie) server.jar.set(name, value)
    return server.fetch(path)
  }
  const keys = Array.from({ length: 16 }, (_, n) => `key${n}`)
  const puts = keys.map((key, n) => visit(slow[n % 2] as TestBrowser, `/put/${key}`))
  await all(keys.length)
  go()
  expect((await Promise.all(puts)).map(({ status }) => status)).toEqual(keys.map(() => 200))
  await Promise.all([visit(first, '/save/one'), visit(second, '/save/other')])
  const expected = Object.fromEntries(
    ['begun', ...keys, 'one', 'one again', 'other', 'other again'].map((key) => [key, 1]),
  )
  expect(await (await visit(second, '/')).json()).toEqual(expected)
  // A request that outlives the end of its session.
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  const late = await site(open(), () => ended)
  const putting = visit(late, '/put/late')
  await new Promise((resolve) => setTimeout(resolve, 50))
  await visit(second, '/end')
  end()
  expect((await putting).status).toBe(409)
  expect(await (await visit(first, '/')).json()).toEqual({})
}

/** A Redis that hangs. */
const silent = { get: () => {}, set: () => {}, del: () => {}, expire: () => {} }

test('a store that gets no answer fails in time, and the requests after it at once', async () => {
  const store = new RedisStore({ client: silent, timeout: 0.5 })
  await expect(store.get('a')).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
  const before = performance.now()
  await expect(told((done) => store.get('a', done))).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
  expect(performance.now() - before).toBeLessThan(400)
  const hanging = new (connectPgSimple(dropIn))({ pool: { query: () => new Promise(() => {}) }, timeout: 0.05 })
  const calls = ['get', 'destroy', 'pruneSessions'] as const
  for (const call of calls) {
    const work = told((done) => (call === 'pruneSessions' ? hanging.pruneSessions(done) : hanging[call]('a', done)))
    await expect(work).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
  }
})

test('what the originals refuse is refused', () => {
  expect(() => new RedisStore({ client: undefined })).toThrow('client must be directly provided')
  expect(() => new (connectPgSimple(dropIn))({ pgPromise: {} })).toThrow('pgPromise')
})
