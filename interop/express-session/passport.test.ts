import { TestBrowser } from 'gatepass/testing'
import { expect, test } from 'vitest'
import { type Anything, express, implementations, listen, require, type Session, secret } from './site.ts'

const { default: dropIn }: Anything = await import('gatepass/compat/passport')
const passports: readonly (readonly [name: string, passport: Anything])[] = [
  ['passport', require('passport')],
  ['gatepass/compat/passport', dropIn],
]

type Arrive = (goOn: () => void) => void

async function application(
  session: Session,
  { Passport }: Anything,
  arrive: Arrive = (goOn) => goOn(),
): Promise<TestBrowser> {
  const { Strategy } = require('passport-local')
  const passport = new Passport()
  passport.use(
    new Strategy((name: string, password: string, done: Anything) => done(null, password === 'sesame' && { id: name })),
  )
  passport.serializeUser((user: Anything, done: Anything) => done(null, user.id))
  passport.deserializeUser((id: string, done: Anything) => arrive(() => done(null, { id })))
  const app = express()
  app.use(session({ secret, resave: false, saveUninitialized: false }), express.urlencoded(), passport.session())
  const page = { successRedirect: '/', failureRedirect: '/', failureMessage: true, keepSessionInfo: true }
  app.post('/login', passport.authenticate('local', page))
  app.post('/logout', (req: Anything, res: Anything, next: Anything) =>
    req.logout((error: unknown) => (error ? next(error) : res.redirect('/'))),
  )
  app.post('/cart', (req: Anything, res: Anything) => {
    req.session.cart = 'book'
    res.redirect('/')
  })
  app.get('/', (req: Anything, res: Anything) => {
    const { cookie: _, ...data } = req.session
    res.json({ user: req.user ?? null, data })
  })
  return new TestBrowser(await listen(app))
}

const walk = [
  ['/cart', {}],
  ['/login', { username: 'ada', password: 'no' }],
  ['/login', { username: 'ada', password: 'sesame' }],
  ['/logout', {}],
  ['/login', { username: 'bob', password: 'sesame' }],
] as const

async function answersOf(session: Session, passport: Anything): Promise<unknown[]> {
  const browser = await application(session, passport)
  const answers: unknown[] = []
  for (const [path, form] of walk) {
    const before = browser.jar.get('connect.sid')
    const response = await browser.fetch(path, { form, manual: true })
    await response.text()
    const renewed = browser.jar.get('connect.sid') !== before
    answers.push([response.status, renewed, await (await browser.fetch('/')).json()])
  }
  return answers
}

const [original, ours] = implementations.map(([, session]) => session)

test.each(passports)('%s logs in and out on both alike', async (_, passport) => {
  const answers = await answersOf(original, passport)
  expect(answers).toMatchObject([{}, {}, [302, true, { user: { id: 'ada' } }], [302, true, { user: null }], {}])
  expect(await answersOf(ours, passport)).toEqual(answers)
})

test('a logout succeeds although another one was faster', async () => {
  const found: (() => void)[] = []
  const both = Promise.withResolvers<void>()
  // Both requests find the login before either ends it.
  const arrive: Arrive = (goOn) => {
    if (found.push(goOn) === 2) both.resolve()
    if (found.length > 2) goOn()
  }
  const browser = await application(ours, dropIn, arrive)
  await browser.fetch('/login', { form: { username: 'ada', password: 'sesame' }, manual: true })
  const twin = browser.clone()
  const logouts = [browser, twin].map((each) => each.fetch('/logout', { form: {}, manual: true }))
  await both.promise
  found[0]?.()
  await Promise.race(logouts)
  found[1]?.()
  expect((await Promise.all(logouts)).map(({ status }) => status)).toEqual([302, 302])
  for (const each of [browser, twin]) expect(await (await each.fetch('/')).json()).toMatchObject({ user: null })
})
