import { createRequire } from 'node:module'
import { inherits } from 'node:util'
import express from 'express'
import session from 'gatepass/compat/express-session'
import dropIn, { type Passport } from 'gatepass/compat/passport'
import { TestBrowser } from 'gatepass/testing'
import { expect, test } from 'vitest'
import { listen } from './strategies/site.ts'

const require = createRequire(import.meta.url)
const original = require('passport')
// As a dependency of passport-azure-ad, for example. From here on every request has its methods.
require('passport04')

type Told = (error?: unknown) => void
type Older = { logIn(user: object, done: Told): void; logOut(): void }

async function site({ Passport }: { Passport: new () => Passport }): Promise<TestBrowser> {
  const passport = new Passport()
  passport.serializeUser((user, done) => done(null, (user as { id: string }).id))
  passport.deserializeUser((id: string, done) => done(null, { id }))
  const app = express()
  app.use(session({ secret: 's', resave: false, saveUninitialized: false }))
  app.use(passport.initialize(), passport.session())
  app.post('/login', (req, res, next) => {
    ;(req as unknown as Older).logIn({ id: 'ada' }, (error) => (error ? next(error) : res.send('in')))
  })
  app.post('/logout', (req, res) => {
    ;(req as unknown as Older).logOut()
    res.send('out')
  })
  app.get('/', (req, res) => void res.json(req.user ?? null))
  return new TestBrowser(await listen(app))
}

test('the methods that Passport 0.4 gives each request log in', async () => {
  for (const passport of [original, dropIn]) {
    const browser = await site(passport)
    expect(await (await browser.fetch('/login', { method: 'POST' })).text()).toBe('in')
    expect(await (await browser.fetch('/')).json()).toEqual({ id: 'ada' })
  }
})

test('they log out, which ends the process with the original, and the response waits for it', async () => {
  const browser = await site(dropIn)
  await browser.fetch('/login', { method: 'POST' })
  const stolen = browser.clone()
  expect(await (await browser.fetch('/logout', { method: 'POST' })).text()).toBe('out')
  for (const each of [browser, stolen]) expect(await (await each.fetch('/')).json()).toBeNull()
})

test('what inherited from Passport without `class` inherits from the drop-in', () => {
  const outcomes = [original, dropIn].map(({ Authenticator, strategies, Strategy }) => {
    function Own(this: object) {
      Authenticator.call(this)
    }
    function OwnSession(this: object) {
      strategies.SessionStrategy.call(this, { key: 'own' }, () => {})
    }
    inherits(Own, Authenticator)
    inherits(OwnSession, strategies.SessionStrategy)
    const passport = Object.create(Own.prototype)
    Own.call(passport)
    const strategy = Object.create(OwnSession.prototype)
    OwnSession.call(strategy)
    passport.use('own', strategy)
    const names: string[] = []
    for (const name in passport) names.push(name)
    return {
      names: names.sort(),
      strategies: Object.keys(passport._strategies),
      known: Object.hasOwn(passport._strategies, 'own'),
      strategy: [strategy.name, strategy._key, strategy instanceof Strategy],
      passport: passport instanceof Authenticator,
    }
  })
  // The original has a hook that it does not use, and no way to replace the part that keeps logins.
  const [theirs, ours] = outcomes
  expect({ ...ours, names: ours?.names.filter((name) => name !== 'sessionManager') }).toEqual(theirs)
})
