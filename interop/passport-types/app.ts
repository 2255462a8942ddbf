// Compiled, never run: an application that was written against @types/passport, with nothing but the import changed.
// Its types bring @types/passport with them.
import type { Strategy as SamlStrategy } from '@node-saml/passport-saml'
import express from 'express'
import passport, {
  type Authenticator,
  Passport,
  type PassportStatic,
  Strategy,
  strategies,
} from 'gatepass/compat/passport'

declare global {
  namespace Express {
    interface User {
      id: string
      admin: boolean
    }
  }
}

const app = express()
const options: passport.AuthenticateOptions = { failureFlash: true, successRedirect: '/' }
const profile: passport.Profile = { provider: 'x', id: '1', displayName: 'Ada' }

passport.serializeUser((user, done) => {
  done(null, user.id)
})
passport.serializeUser<string>((user, done) => done(null, user.id))
passport.serializeUser(async (user) => user.id)
passport.deserializeUser((id: string, done) => {
  find(id).then((user) => done(null, user), done)
})
passport.deserializeUser(async (id: string) => find(id))
passport.deserializeUser((req: express.Request, _id: string, done: passport.DoneCallback) => done(null, req.user))

class Always extends Strategy {
  override name = 'always'
  override authenticate(): void {
    this.success({ id: profile.id, admin: false })
  }
}

class ByHeader extends Strategy {
  override authenticate(req: express.Request, options?: { header: string }): void {
    if (req.get(options?.header ?? 'x-user') === undefined) this.fail({ message: 'No header' }, 400)
    else this.pass()
  }
}
passport.use('header', new ByHeader())

declare const saml: SamlStrategy
passport.use(saml)

app.use(passport.initialize(), passport.session())
passport.use(new Always()).use('other', new Always()).unuse('other')
app.post('/login', passport.authenticate('always', options))
app.post('/login', passport.authenticate(['always', 'other'], { session: false, scope: ['a'] }), (req, res) => {
  const name: string | undefined = req.user?.id
  res.json({ name, info: req.authInfo })
})
app.post('/own', (req, res, next) => {
  const middleware = passport.authenticate(
    'always',
    (err: Error | null, user: Express.User | false, info: { message: string }) => {
      if (err || !user) return next(err ?? info.message)
      req.logIn(user, (error) => (error ? next(error) : res.redirect('/')))
    },
  )
  middleware(req, res, next)
})
app.get('/me', (req, res) => {
  if (req.isAuthenticated()) res.json(req.user.admin)
  else res.sendStatus(401)
})
app.post('/logout', (req, res, next) => {
  req.logout((error) => (error ? next(error) : res.redirect('/')))
})
app.post('/logout', async (req, res) => {
  await req.logout({ keepSessionInfo: true })
  await req.login({ id: '1', admin: true }, { keepSessionInfo: ['cart'] })
  res.redirect('/')
})
app.get('/connect', passport.authorize('always', { scope: 'x' }))

class ByToken extends passport.Strategy {
  override name = 'token'
  override authenticate(this: passport.StrategyCreated<this>, req: express.Request): void {
    const failure: passport.StrategyFailure = { message: 'No token' }
    if (req.get('authorization')) this.success({ id: '1', admin: false }, {})
    else this.fail(failure)
  }
}
class ByCookie implements passport.Strategy {
  name = 'cookie'
  authenticate(this: passport.StrategyCreated<ByCookie>, _req: express.Request, _options?: object): void {
    this.pass()
  }
}
const conclude = (strategy: passport.StrategyCreatedStatic): void => strategy.redirect('/')
const told: passport.AuthorizeCallback & passport.AuthenticateCallback = (error, user) => [error, user]
app.get('/connect', passport.authorize('always', told))

/** Modules receive the application's Passport, or one of their own. */
export function configure(given: passport.PassportStatic, other: passport.Authenticator): PassportStatic {
  other.use(new ByToken()).use(new ByCookie())
  given.use('by token', new given.Strategy()).use(new ByToken())
  return given
}
export const begin = (given: passport.Authenticator): express.Handler => given.initialize()
configure(passport, new passport.Passport())
configure(passport, new passport.Authenticator())
export class OwnPassport extends passport.Authenticator {
  override init(): void {
    super.init()
    this.use(new ByToken())
  }
}
const framework: passport.Framework<number, string> = {
  initialize: () => () => 1,
  authenticate: (_passport, name) => () => String(name),
}
export const initialized: number = passport.framework(framework).initialize()
export const onward: Record<string, unknown> = { conclude }
const find2: passport.DeserializeUserFunction = (id, _req, done) => find(String(id)).then((user) => done(null, user))
const byKey: passport.SessionStrategy = new strategies.SessionStrategy({ key: 'login' }, find2 as never)
passport.use(byKey as Strategy)

const own: Authenticator = new Passport()
own.use(new strategies.SessionStrategy((id, _req, done) => done(null, id)) as Strategy)

declare function find(id: string): Promise<Express.User>
