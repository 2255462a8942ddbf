// Compiled, never run: an application that was written against @types/passport, with nothing but the import changed.
// Its types bring @types/passport with them.
import type { Strategy as SamlStrategy } from '@node-saml/passport-saml'
import express from 'express'
import passport, { type Authenticator, Passport, Strategy, strategies } from 'gatepass/compat/passport'

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

const own: Authenticator = new Passport()
own.use(new strategies.SessionStrategy((id, _req, done) => done(null, id)) as Strategy)

declare function find(id: string): Promise<Express.User>
