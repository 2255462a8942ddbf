import { createRequire } from 'node:module'
import express from 'express'
import cookieSession from 'gatepass/compat/cookie-session'
import dropIn from 'gatepass/compat/passport'
import { TestBrowser } from 'gatepass/testing'
import { describe, expect, test } from 'vitest'
import { listen } from './strategies/site.ts'

const require = createRequire(import.meta.url)
const original = require('passport')
const secret = 'a secret of at least thirty-two characters'

type Passport = InstanceType<typeof dropIn.Passport>
type Req = express.Request & { session: Record<string, unknown>; flash(type: string): string[] }

interface Store {
  readonly sessions: Record<string, string>
}

function expressSession(store?: Store): express.Handler {
  return require('express-session')({ secret, resave: false, saveUninitialized: false, ...(store && { store }) })
}

/** An application, written as for Passport. */
async function application(passport: Passport, session: express.Handler): Promise<TestBrowser> {
  const { Strategy } = require('passport-local')
  const { ensureLoggedIn } = require('connect-ensure-login')
  passport.use(
    new Strategy((name: string, password: string, done: (error: unknown, user?: unknown, info?: unknown) => void) => {
      if (name === 'boom') return done(new Error('no database'))
      return done(null, password === 'sesame' && { id: name }, { message: 'Wrong name or password.' })
    }),
  )
  passport.serializeUser((user, done) => done(null, (user as { id: string }).id))
  passport.deserializeUser((id: string, done) => done(null, id === 'gone' ? false : { id }))
  const app = express()
  app.use(session, express.urlencoded(), require('connect-flash')(), passport.initialize(), passport.session())
  const json = (req: express.Request, res: express.Response): void => void res.json(req.user ?? null)
  const page = { successRedirect: '/me', failureRedirect: '/login', failureFlash: true, failureMessage: true }
  app.post('/login', passport.authenticate('local', page))
  app.post('/plain', passport.authenticate('local'), json)
  app.post('/strict', passport.authenticate('local', { failWithError: true }), json)
  app.post('/stateless', passport.authenticate('local', { session: false }), json)
  app.post(
    '/connect',
    passport.authorize('local'),
    (req, res) => void res.json([req.user ?? null, (req as never as { account: unknown }).account]),
  )
  app.post('/kept', passport.authenticate('local', { keepSessionInfo: true }), json)
  app.post('/back', passport.authenticate('local', { successReturnToOrRedirect: '/me' }))
  app.post('/own', (req, res, next) => {
    const answer = passport.authenticate('local', (error, user, info, status) => {
      if (error) return next(error)
      res.json({ user, info, status })
    })
    answer(req, res, next)
  })
  app.post('/logout', (req, res, next) => req.logout((error) => (error ? next(error) : res.redirect('/me'))))
  app.get('/login', (req, res) => void res.json((req as Req).flash('error')))
  app.get('/cart', (req, res) => void res.json((req as Req).session.cart ?? null))
  app.post('/cart', (req, res) => {
    Object.assign((req as Req).session, { cart: ['book'] })
    res.end()
  })
  app.get('/me', json)
  app.get('/private', ensureLoggedIn('/login'), json)
  app.use(
    (error: Error & { status?: number }, _req: unknown, res: express.Response, _next: unknown) =>
      void res
        .status(error.status ?? 500)
        .json({ name: error.name === 'AuthenticationError' ? error.name : 'Error', message: error.message }),
  )
  return new TestBrowser(await listen(app))
}

const wrong = { username: 'ada', password: 'no' }
const right = { username: 'ada', password: 'sesame' }

type Step = readonly [method: 'GET' | 'POST', path: string, form?: Readonly<Record<string, string>>]
const walk: readonly Step[] = [
  ['GET', '/me'],
  ['POST', '/plain', wrong],
  ['POST', '/plain', {}],
  ['POST', '/strict', wrong],
  ['POST', '/own', wrong],
  ['POST', '/own', right],
  ['POST', '/own', { username: 'boom', password: 'x' }],
  ['POST', '/plain', { username: 'boom', password: 'x' }],
  ['POST', '/login', wrong],
  ['GET', '/login'],
  ['GET', '/login'],
  ['POST', '/stateless', right],
  ['GET', '/me'],
  ['POST', '/connect', right],
  ['POST', '/cart'],
  ['POST', '/login', right],
  ['GET', '/me'],
  ['GET', '/cart'],
  ['GET', '/private'],
  ['POST', '/cart'],
  ['POST', '/kept', { username: 'eve', password: 'sesame' }],
  ['GET', '/cart'],
  ['GET', '/me'],
  ['POST', '/plain', { username: 'gone', password: 'sesame' }],
  ['GET', '/me'],
  ['POST', '/plain', right],
  ['POST', '/logout'],
  ['GET', '/me'],
]

/** An answer without what differs between two runs: ids, times, addresses. */
async function answers(browser: TestBrowser, store: Store | undefined): Promise<unknown[]> {
  const seen: unknown[] = []
  for (const [method, path, form] of walk) {
    const response = await browser.fetch(path, { method, manual: true, ...(form && { form }) })
    const headers = Object.fromEntries(response.headers)
    delete headers.date
    headers['set-cookie'] &&= headers['set-cookie'].replace(/=[^;]*/, '=…').replace(/Expires=[^;]*/g, 'Expires=…')
    headers['set-cookie'] &&= headers['set-cookie'].replace(/\.sig=[^;]*/, '.sig=…')
    const records = Object.values(store?.sessions ?? {}).map((text) => JSON.parse(text))
    seen.push({ path, status: response.status, headers, body: await response.text(), records })
  }
  return seen
}

describe('the same requests get the same answers from Passport and from the drop-in', () => {
  test('on express-session, with the same records in the store', async () => {
    const { MemoryStore } = require('express-session')
    const stores = [new MemoryStore(), new MemoryStore()] as const
    const theirs = await answers(await application(new original.Passport(), expressSession(stores[0])), stores[0])
    const ours = await answers(await application(new dropIn.Passport(), expressSession(stores[1])), stores[1])
    expect(ours).toEqual(theirs)
    expect(JSON.stringify(ours)).toContain('"passport":{"user":"ada"}')
  })
})

test('a login made by either is found by the other, and ended by it', async () => {
  const { MemoryStore } = require('express-session')
  const store = new MemoryStore()
  const theirs = await application(new original.Passport(), expressSession(store))
  const ours = await application(new dropIn.Passport(), expressSession(store))
  for (const [from, to] of [
    [theirs, ours],
    [ours, theirs],
  ] as const) {
    await from.fetch('/login', { form: right })
    for (const [name, value] of from.jar) to.jar.set(name, value)
    expect(await (await to.fetch('/me')).json()).toEqual({ id: 'ada' })
    await to.fetch('/logout', { method: 'POST' })
    expect(await (await from.fetch('/me')).json()).toBeNull()
  }
})

describe('sessions in the cookie, on which Passport fails', () => {
  const kinds = [
    ['cookie-session', require('cookie-session')],
    ['gatepass/compat/cookie-session', cookieSession],
  ] as const

  test.each(kinds)('%s: logs in with the session emptied, and out', async (_, kind) => {
    const browser = await application(new dropIn.Passport(), kind({ keys: [secret] }))
    await browser.fetch('/cart', { method: 'POST' })
    expect(await (await browser.fetch('/plain', { form: right })).json()).toEqual({ id: 'ada' })
    expect(await (await browser.fetch('/me')).json()).toEqual({ id: 'ada' })
    expect(await (await browser.fetch('/cart')).json()).toBeNull()
    await browser.fetch('/logout', { method: 'POST' })
    expect(await (await browser.fetch('/me')).json()).toBeNull()
  })

  test('Passport itself answers 500', async () => {
    const browser = await application(new original.Passport(), require('cookie-session')({ keys: [secret] }))
    expect((await browser.fetch('/plain', { form: right })).status).toBe(500)
  })
})

describe('what the drop-in does better', () => {
  test('who was sent to the login page comes back to where they wanted to go', async () => {
    const visit = async (passport: Passport): Promise<string | null> => {
      const browser = await application(passport, expressSession())
      await browser.fetch('/private')
      return (await browser.fetch('/back', { form: right, manual: true })).headers.get('location')
    }
    expect(await visit(new dropIn.Passport())).toBe('/private')
    expect(await visit(new original.Passport())).toBe('/me')
  })

  test('a path that leads to another site is not gone to', async () => {
    const browser = await application(new dropIn.Passport(), (req, _res, next) => {
      const bag = {
        returnTo: '//evil.example/',
        regenerate: (done: () => void) => done(),
        save: (done: () => void) => done(),
      }
      Object.assign(req, { session: bag })
      next()
    })
    expect((await browser.fetch('/back', { form: right, manual: true })).headers.get('location')).toBe('/me')
  })
})
