import { inspect } from 'node:util'
import { deserialize, serialize } from 'node:v8'
import fc from 'fast-check'
import dropIn from 'gatepass/compat/express-session'
import { TestBrowser } from 'gatepass/testing'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Anything, express, listen, original, require, type Session, secret } from './site.ts'

// What programs do with the objects of express-session, they can do with ours: both give the same.

const lodash = require('lodash')
const util = require('node:util')

type Program = (session: Session) => unknown

function cookieOf({ Cookie }: Session, options: object = { maxAge: 60_000, secure: true }): Anything {
  return new Cookie(options)
}

function sessionOf({ Cookie, MemoryStore, Session }: Session): Anything {
  const req = { sessionID: 'abc', sessionStore: new MemoryStore() }
  const data = { cart: 1, nested: { list: [1, 2] }, toString: 'x', req: 5, id: 6, save: 7 }
  return Object.assign(new Session(req, data), { cookie: new Cookie({ maxAge: 60_000, secure: true }) })
}

/** A function with the prototype of another one, as before there was `class`. */
function inheriting(base: Anything, call: (self: object, args: Anything[]) => void): Anything {
  function Inheriting(this: object, ...args: Anything[]) {
    call(this, args)
  }
  util.inherits(Inheriting, base)
  return Inheriting
}

function descriptorsOf(object: object): unknown {
  return Object.entries(Object.getOwnPropertyDescriptors(object))
    .map(([name, { get, set, value: _, ...flags }]) => ({ name, ...flags, get: typeof get, set: typeof set }))
    .sort((a, b) => a.name.localeCompare(b.name))
}

function enumerated(object: object): string[] {
  const names: string[] = []
  for (const name in object) names.push(name)
  return names
}

const programs: Readonly<Record<string, Program>> = {
  'own properties of a cookie': (s) => descriptorsOf(cookieOf(s)),
  'the order of its keys': (s) => Object.keys(cookieOf(s, { maxAge: 100, sameSite: 'lax', path: '/x', other: 1 })),
  'for … in over a cookie': (s) => enumerated(cookieOf(s)),
  'for … in over a session': (s) => enumerated(sessionOf(s)),
  'own properties of a session': (s) => descriptorsOf(sessionOf(s)),
  'what the prototypes hold': (s) =>
    ['Cookie', 'Session', 'Store', 'MemoryStore'].map((name) => [
      s[name].name,
      descriptorsOf(s[name].prototype),
      Object.getPrototypeOf(s[name].prototype) === Object.prototype,
    ]),
  'util.inspect': (s) => [cookieOf(s), sessionOf(s), new s.MemoryStore().sessions],
  'JSON.stringify': (s) => [JSON.stringify(cookieOf(s)), JSON.stringify(sessionOf(s))],
  spread: (s) => [{ ...cookieOf(s) }, { ...sessionOf(s) }],
  'Object.assign': (s) => [Object.assign({}, sessionOf(s)), Object.assign(sessionOf(s), { cookie: cookieOf(s), z: 1 })],
  'Object.entries': (s) => [Object.entries(sessionOf(s)), Object.entries(cookieOf(s))],
  in: (s) => ['cookie', 'cart', 'req', 'save', 'none'].map((key) => [key in sessionOf(s), key in cookieOf(s)]),
  hasOwnProperty: (s) => [
    ['cookie', 'cart', 'req', 'id', 'save'].map((key) => Object.hasOwn(sessionOf(s), key)),
    ['expires', '_expires', 'maxAge', 'data', 'path', 'domain'].map((key) => Object.hasOwn(cookieOf(s), key)),
  ],
  delete: (s) => {
    const session = sessionOf(s)
    return [delete session.cart, delete session.none, session, delete session.cookie.path, session.cookie.path]
  },
  defineProperty: (s) => {
    const session = Object.defineProperty(sessionOf(s), 'hidden', { value: 3 })
    return [session.hidden, JSON.stringify(session)]
  },
  freeze: (s) => [Object.freeze(sessionOf(s)).touch(), Object.isFrozen(Object.freeze(cookieOf(s)))],
  'touch of a frozen cookie': (s) => {
    const session = sessionOf(s)
    Object.freeze(session.cookie)
    return thrown(() => session.touch())
  },
  structuredClone: (s) => [structuredClone(cookieOf(s)), structuredClone(sessionOf(s))],
  'v8.serialize': (s) => [deserialize(serialize(cookieOf(s))), deserialize(serialize(sessionOf(s)))],
  'lodash.cloneDeep': (s) => {
    const copies = [lodash.cloneDeep(cookieOf(s)), lodash.cloneDeep(sessionOf(s))]
    return [...copies, JSON.stringify(copies), copies[0].maxAge, copies[1].cookie.expires]
  },
  'lodash.merge, pick, omit': (s) => [
    lodash.merge(sessionOf(s), { nested: { c: 3 }, cookie: { maxAge: 5 } }),
    lodash.pick(sessionOf(s), ['cart', 'cookie']),
    lodash.omit(sessionOf(s), ['cart']),
  ],
  'lodash.isEqual, isPlainObject': (s) => [
    lodash.isEqual(sessionOf(s), sessionOf(s)),
    lodash.isPlainObject(sessionOf(s)),
    lodash.isPlainObject(cookieOf(s)),
  ],
  'a Proxy': (s) => {
    const [cookie, session] = [new Proxy(cookieOf(s), {}), new Proxy(sessionOf(s), {})]
    cookie.maxAge = 10
    return [
      cookie.expires,
      JSON.stringify(cookie),
      session.touch() === session,
      session.id,
      session instanceof s.Session,
    ]
  },
  'Object.create': (s) => {
    const [cookie, session] = [Object.create(cookieOf(s)), Object.create(sessionOf(s))]
    cookie.maxAge = 10
    return [Object.keys(cookie), cookie.expires, JSON.stringify(session), session.touch().id, session.cookie.maxAge]
  },
  'a class that extends': (s) => {
    const { Cookie, Session }: { Cookie: Anything; Session: Anything } = s
    const OwnCookie: Anything = class OwnCookie extends Cookie {}
    const OwnSession: Anything = class OwnSession extends Session {
      hello() {}
    }
    const [cookie, session]: Anything[] = [
      new OwnCookie({ maxAge: 4 }),
      new OwnSession({ sessionID: 'q' }, { hello: 4, k: 1 }),
    ]
    return [cookie, JSON.stringify(cookie), session, session.id, typeof session.hello]
  },
  'util.inherits, and a call without new': (s) => {
    const OwnCookie = inheriting(s.Cookie, (self, args) => s.Cookie.apply(self, args))
    const OwnSession = inheriting(s.Session, (self, args) => s.Session.apply(self, args))
    const OwnStore = inheriting(s.Store, (self, args) => s.Store.apply(self, args))
    const OwnMemory = inheriting(s.MemoryStore, (self, args) => s.MemoryStore.apply(self, args))
    const memory = new OwnMemory()
    memory.set('a', sessionOf(s))
    const cookie = new OwnCookie({ maxAge: 4 })
    return [
      cookie,
      JSON.stringify(cookie),
      new OwnSession({ sessionID: 'q' }, { k: 1 }),
      typeof new OwnStore().on,
      memory.sessions,
      memory instanceof s.MemoryStore,
    ]
  },
  'a prototype with the methods of the store copied into it': (s) => {
    function Mixed() {}
    Object.assign(Mixed.prototype, s.Store.prototype, {
      get: (_sid: string, done: Anything) => done(null, JSON.parse(JSON.stringify(sessionOf(s)))),
    })
    let found: Anything
    const mixed: Anything = Object.create(Mixed.prototype)
    mixed.load('abc', (_error: unknown, session: Anything) => {
      found = session
    })
    return [found, found.id]
  },
  'a cookie made of a cookie, and of its parts': (s) => {
    const { maxAge: _, ...parts } = new s.Cookie({ ...cookieOf(s), maxAge: 9 })
    return [parts, new s.Cookie(cookieOf(s)).expires, JSON.stringify(new s.Cookie(cookieOf(s)))]
  },
  'stored data with names of methods': (s) => {
    const text = '{"__proto__":{"p":1},"constructor":5,"hasOwnProperty":1,"touch":2,"b":2}'
    const session = new s.Session({ sessionID: 'a' }, JSON.parse(text))
    return [session, session.p, Object.hasOwn(session, 'b'), typeof session.touch]
  },
  'createSession of a store': (s) => {
    const req: Anything = { sessionID: 'z' }
    const made = new s.MemoryStore().createSession(req, JSON.parse(JSON.stringify(sessionOf(s))))
    return [made, made.cookie.originalMaxAge, made.id, req.session === made]
  },
  'writing req and id': (s) =>
    ['req', 'id'].map((name) =>
      thrown(() => {
        sessionOf(s)[name] = 1
      }),
    ),
}

function thrown(act: () => unknown): unknown {
  try {
    return act()
  } catch (error) {
    return (error as Error).name
  }
}

/** What a program gives, with the prototypes. */
const outcome = (program: Program, session: Session): string => inspect(program(session), { depth: 8 })

describe('with the clock held', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: 1_700_000_000_000 }))
  afterEach(() => void vi.useRealTimers())

  test.each(Object.entries(programs))('%s', (_, program) => {
    expect(outcome(program, dropIn)).toBe(outcome(program, original))
  })

  const attribute = fc.constantFrom(
    'path',
    'domain',
    'secure',
    'httpOnly',
    'sameSite',
    'priority',
    'partitioned',
    'own',
  )
  const date = fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true })
  const step = fc.oneof(
    fc.record({ set: fc.constant('maxAge'), value: fc.oneof(fc.constant(null), fc.integer({ min: -1e9, max: 1e9 })) }),
    fc.record({ set: fc.constantFrom('expires', '_expires'), value: fc.oneof(fc.constantFrom(null, false), date) }),
    fc.record({ set: fc.constant('originalMaxAge'), value: fc.oneof(fc.constant(null), fc.nat()) }),
    fc.record({ set: attribute, value: fc.oneof(fc.boolean(), fc.constantFrom('/', 'lax', undefined)) }),
    fc.record({ drop: attribute }),
    fc.record({ copy: fc.constantFrom('cloneDeep', 'create', 'proxy', 'new', 'parts') }),
  )
  type Step = { set?: string; value?: unknown; drop?: string; copy?: string }

  function walk(s: Session, steps: readonly Step[]): unknown {
    let cookie = new s.Cookie()
    const copies: Readonly<Record<string, () => unknown>> = {
      cloneDeep: () => lodash.cloneDeep(cookie),
      create: () => Object.create(cookie),
      proxy: () => new Proxy(cookie, {}),
      new: () => s.Store.prototype.createSession.call({}, {}, { cookie: { ...cookie } }).cookie,
      parts: () => Object.assign(new s.Cookie(), cookie),
    }
    return steps.map(({ set, value, drop, copy = '' }) => {
      if (set !== undefined) cookie[set] = value
      if (drop !== undefined) delete cookie[drop]
      cookie = copies[copy]?.() ?? cookie
      return [{ ...cookie }, enumerated(cookie).sort(), cookie.maxAge, cookie.expires, JSON.stringify(cookie)]
    })
  }

  test('any use of a cookie leaves the same', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        expect(walk(dropIn, steps as Step[])).toEqual(walk(original, steps as Step[]))
      }),
      { numRuns: 500 },
    )
  })
})

type Act = (req: Anything, session: Session, done: (error?: unknown) => void) => void

/** What handlers do with `req.session`. */
const acts: Readonly<Record<string, Act>> = {
  'put a Proxy in its place': (req, _session, done) => {
    req.session = new Proxy(req.session, {})
    req.session.x = 1
    req.session.save(done)
  },
  'reload through a Proxy': (req, _session, done) => {
    req.session = new Proxy(req.session, {})
    req.session.reload(done)
  },
  'regenerate through a Proxy': (req, _session, done) => {
    new Proxy(req.session, {}).regenerate((error: unknown) => {
      req.session.x = 1
      done(error)
    })
  },
  'freeze it': (req, _session, done) => {
    Object.freeze(req.session)
    done()
  },
  'merge into it': (req, _session, done) => {
    lodash.merge(req.session, { keep: { z: 1 }, cookie: { maxAge: 1_000_000 } })
    done()
  },
  'copy it into the next session': (req, _session, done) => {
    const copy = { ...req.session }
    req.session.regenerate((error: unknown) => {
      Object.assign(req.session, copy)
      done(error)
    })
  },
  'clone it into the next session': (req, _session, done) => {
    const copy = lodash.cloneDeep(req.session)
    req.session.regenerate((error: unknown) => {
      lodash.merge(req.session, copy)
      done(error)
    })
  },
  'make a session of its own class': (req, { Session }, done) => {
    const Own: Anything = class Own extends Session {}
    req.session = new Own(req, { ...req.session, own: 1 })
    done()
  },
  'replace its cookie': (req, { Cookie }, done) => {
    req.session.cookie = new Cookie({ maxAge: 100_000 })
    done()
  },
  'write the end of its cookie': (req, _session, done) => {
    req.session.cookie._expires = new Date(Date.now() + 7_000_000)
    done()
  },
  'wrap save': (req, _session, done) => {
    const { save } = req.session
    req.session.save = function (...args: unknown[]) {
      return save.apply(this, args)
    }
    req.session.x = 1
    req.session.save(done)
  },
  'ask the store': (req, _session, done) => {
    req.sessionStore.get(req.sessionID, (error: unknown, found: Anything) => {
      req.sessionStore.createSession(req, found)
      req.session.x = found.keep
      done(error)
    })
  },
}

/** Stores that keep what they are given, each in its own way. */
const keepings: Readonly<Record<string, (session: Session) => Anything>> = {
  'session-memory-store, which clones': (session) => new (require('session-memory-store')(session))(),
  'a Map of the objects themselves': (session) => mapStore(session, (given) => given),
  'a Map of structured clones': (session) => mapStore(session, structuredClone),
}

function mapStore(session: Session, copy: (given: Anything) => Anything): Anything {
  const Own = inheriting(session.Store, (self, args) => session.Store.apply(self, args))
  const sessions = new Map<string, Anything>()
  return Object.assign(new Own(), {
    get: (sid: string, done: Anything) => setImmediate(done, null, sessions.get(sid) && copy(sessions.get(sid))),
    set: (sid: string, given: Anything, done: Anything) => setImmediate(done, sessions.set(sid, copy(given)) && null),
    destroy: (sid: string, done: Anything) => setImmediate(done, sessions.delete(sid) && null),
  })
}

async function visit(session: Session, store: Anything, act: Act): Promise<unknown[]> {
  const app = express()
  app.use(session({ secret, resave: false, saveUninitialized: false, cookie: { maxAge: 3_600_000 }, store }))
  app.get('/begin', (req: Anything, res: Anything) => {
    req.session.keep = { v: 1 }
    res.send('begun')
  })
  app.get('/act', (req: Anything, res: Anything, next: Anything) => {
    act(req, session, (error) => (error ? next(error) : res.send('done')))
  })
  app.get('/see', (req: Anything, res: Anything) => {
    const { cookie, ...data } = req.session
    res.json({ data, age: Math.round(cookie.originalMaxAge / 5000), left: Math.round(cookie.maxAge / 5000) })
  })
  const browser = new TestBrowser(await listen(app))
  const answers: unknown[] = []
  for (const path of ['/begin', '/see', '/act', '/see']) {
    const response = await browser.fetch(path)
    answers.push([response.status, await response.text(), response.headers.getSetCookie().length])
  }
  return answers
}

describe.each([...Object.entries(keepings), ['MemoryStore', (session: Session) => new session.MemoryStore()] as const])(
  '%s',
  (name, make) => {
    test.each(Object.entries(acts))('handlers may %s', async (what, act) => {
      const [theirs, ours] = await Promise.all([original, dropIn].map((session) => visit(session, make(session), act)))
      // structuredClone refuses a Proxy, and express-session gives the store what the handler made. Ours stores the data in it.
      if (name.includes('structured') && what.includes('put a Proxy')) expect(ours?.[2]).toEqual([200, 'done', 1])
      else expect(ours).toEqual(theirs)
    })
  },
)
