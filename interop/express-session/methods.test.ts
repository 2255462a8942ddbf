import passport from 'gatepass/compat/passport'
import { TestBrowser } from 'gatepass/testing'
import { describe, expect, test } from 'vitest'
import { type Anything, express, express4, implementations, listen, original, secret } from './site.ts'

const dropIn = implementations[1]?.[1]

/** A method of the session, and the method of the store that it needs. */
const acts: Readonly<Record<string, readonly [needs: string, act: (req: Anything, callback?: Anything) => Anything]>> =
  {
    save: ['set', (req, ...callback) => req.session.save(...callback)],
    reload: ['get', (req, ...callback) => req.session.reload(...callback)],
    destroy: ['destroy', (req, ...callback) => req.session.destroy(...callback)],
    regenerate: ['destroy', (req, ...callback) => req.session.regenerate(...callback)],
    logIn: ['destroy', (req, ...callback) => req.logIn({ id: 'ada' }, ...callback)],
    logOut: ['destroy', (req, ...callback) => req.logOut(...callback)],
  }

type Act = (req: Anything, callback?: Anything) => Anything
type Form = (act: Act, done: (res: Anything, error?: unknown) => void) => Anything

/** The usual ways to write a handler that does one thing and then answers. */
const forms: readonly (readonly [name: string, form: Form])[] = [
  [
    'an arrow function with a callback',
    (act, done) => (req: Anything, res: Anything) => act(req, (e: unknown) => done(res, e)),
  ],
  [
    'a block with a callback',
    (act, done) => (req: Anything, res: Anything) => {
      act(req, (error: unknown) => done(res, error))
    },
  ],
  [
    'an async function with a callback',
    (act, done) => async (req: Anything, res: Anything) => act(req, (error: unknown) => done(res, error)),
  ],
  [
    'a block with a callback that rejects',
    (act, done) => (req: Anything, res: Anything) => {
      act(req, async (error: unknown) => {
        if (error) throw error
        done(res)
      })
    },
  ],
  [
    'a block with a callback that throws',
    (act, done) => (req: Anything, res: Anything) => {
      act(req, (error: unknown) => {
        if (error) throw error
        done(res)
      })
    },
  ],
  [
    'an async function that awaits and catches',
    (act, done) => async (req: Anything, res: Anything, next: Anything) => {
      try {
        await act(req)
        done(res)
      } catch (error) {
        next(error)
      }
    },
  ],
  [
    'an arrow function that goes on with the promise',
    (act, done) => (req: Anything, res: Anything, next: Anything) => act(req).then(() => done(res), next),
  ],
  [
    'a block that goes on with the promise and forgets to catch',
    (act, done) => (req: Anything, res: Anything) => {
      act(req).then(() => done(res))
    },
  ],
  [
    'an arrow function that goes on with the promise and forgets to catch',
    (act, done) => (req: Anything, res: Anything) => act(req).then(() => done(res)),
  ],
  [
    'a block that forgets to await',
    (act, done) => (req: Anything, res: Anything) => {
      act(req)
      done(res)
    },
  ],
]

const awaiting: Form = (act, done) => async (req, res) => {
  await act(req)
  done(res)
}

const frameworks = [
  ['Express 4', express4],
  ['Express 5', express],
] as const
const answers = [
  ['at once', (callback: () => void) => callback()],
  ['later', (callback: () => void) => void setImmediate(callback)],
] as const

interface Outcome {
  readonly status: number
  readonly heard: readonly string[]
  readonly escaped: readonly unknown[]
  /** The user who is logged in afterwards. */
  readonly user: string | null
}

/** What the application receives when a method of its session succeeds, or fails. */
async function outcomeOf(framework: Anything, session: Anything, form: Form, how: Anything): Promise<Outcome> {
  const { what, fails, when } = how
  const [needs, act] = acts[what] as (typeof acts)[string]
  const store = new session.MemoryStore()
  let failing = false
  const heard: string[] = []
  for (const name of ['get', 'set', 'destroy']) {
    const method = store[name]
    store[name] = (...args: Anything[]) => {
      const broken = failing && name === needs
      when(() => (broken ? args.at(-1)(new Error('no store')) : method.apply(store, args)))
    }
  }
  const app = framework()
  const { Passport } = passport
  const own = new Passport()
  own.serializeUser(async (user) => (user as Anything).id)
  own.deserializeUser(async (id: string) => ({ id }) as Anything)
  app.use(session({ secret, resave: false, saveUninitialized: false, store }), own.session())
  app.get('/begin', (req: Anything, res: Anything) => {
    req.session.begun = true
    res.send('begun')
  })
  const done = (res: Anything, error?: unknown) => {
    if (error) heard.push('callback')
    res.status(error ? 503 : 200).send('answered')
  }
  const handler = form(act, done)
  app.get('/me', (req: Anything, res: Anything) => res.json(req.user?.id ?? null))
  app.get('/act', (req: Anything, res: Anything, next: Anything) => {
    failing = fails
    if (what === 'save') req.session.changed = true
    return handler(req, res, next)
  })
  app.use((_error: unknown, _req: Anything, res: Anything, _next: Anything) => {
    heard.push('error handler')
    res.status(500).send('failed')
  })
  const browser = new TestBrowser(await listen(app))
  await browser.fetch('/begin')
  let status = 0
  const escaped = await escapes(async () => {
    const response = await browser.fetch('/act')
    status = response.status
    await response.text()
  })
  failing = false
  const user = (await (await browser.fetch('/me')).json()) as string | null
  return { status, heard, escaped, user }
}

/** Notes errors that would have ended the process, and warnings of the router. */
async function escapes(work: () => Promise<void>): Promise<unknown[]> {
  const escaped: unknown[] = []
  const note = (reason: unknown) => void escaped.push(reason)
  const events = ['uncaughtException', 'unhandledRejection', 'deprecation'] as const
  for (const event of events) process.on(event as 'unhandledRejection', note)
  await work()
  // Unhandled errors come within the next turns of the event loop.
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
  for (const event of events) process.off(event as 'unhandledRejection', note)
  return escaped
}

describe.each(frameworks)('%s', (version, framework) => {
  const written = version === 'Express 5' ? [...forms, ['an async function that awaits', awaiting] as const] : forms
  describe.each(answers)('a store that answers %s', (_, when) => {
    test.each(written)('%s hears of a failure once, and the process lives', async (_name, form) => {
      for (const what of Object.keys(acts)) {
        const works = await outcomeOf(framework, dropIn, form, { what, fails: false, when })
        const user = what === 'logIn' ? 'ada' : null
        expect({ what, ...works }).toEqual({ what, status: 200, heard: [], escaped: [], user })
        const fails = await outcomeOf(framework, dropIn, form, { what, fails: true, when })
        expect({ what, ...fails }).toMatchObject({ what, heard: [expect.any(String)], escaped: [] })
        expect(fails.status).toBeGreaterThanOrEqual(500)
      }
    })
  })
})

test('a forgotten await of a login holds the response on the original express-session, too', async () => {
  const form = forms.at(-1)?.[1] as Form
  for (const what of ['logIn', 'logOut']) {
    const when = (callback: () => void) => void setImmediate(callback)
    const works = await outcomeOf(express, original, form, { what, fails: false, when })
    expect(works).toEqual({ status: 200, heard: [], escaped: [], user: what === 'logIn' ? 'ada' : null })
    const fails = await outcomeOf(express, original, form, { what, fails: true, when })
    expect(fails).toEqual({ status: 500, heard: ['error handler'], escaped: [], user: null })
  }
})
