const express = require('express')
const cookie = require('gatepass/compat/cookie')
const cookieParser = require('gatepass/compat/cookie-parser')
const cookieSession = require('gatepass/compat/cookie-session')
const session = require('gatepass/compat/express-session')
const passport = require('gatepass/compat/passport')
const { gatepass } = require('gatepass/express')
const { memoryStore } = require('gatepass/stores/memory')
const { google } = require('gatepass/strategies/google')
const { local } = require('gatepass/strategies/local')

class Named extends passport.Strategy {
  constructor() {
    super()
    this.name = 'named'
  }

  authenticate(req) {
    if (req.query.name) this.success({ id: req.query.name })
    else this.fail(401)
  }
}
passport.use(new Named())
passport.serializeUser((user, done) => done(null, user.id))
passport.deserializeUser((id, done) => done(null, { id }))

const app = express()
app.use(cookieParser('secret'))

/** The drop-ins for express-session and Passport. */
const old = express.Router()
old.use(session({ secret: 'secret', resave: false, saveUninitialized: false }), passport.session())
old.post('/login', passport.authenticate('named'), (_req, res) => res.end())
old.get('/me', (req, res) => {
  req.session.views = (req.session.views || 0) + 1
  res.json({ user: req.user, views: req.session.views, cookies: Object.keys(cookie.parse(req.headers.cookie || '')) })
})
app.use('/old', old)

/** Sessions in a cookie. */
app.get('/kept', cookieSession({ keys: ['secret'], name: 'kept' }), (req, res) => {
  req.session.views = (req.session.views || 0) + 1
  res.json({ views: req.session.views, signed: req.signedCookies })
})

/** Gatepass's own interface, with the session of a store. */
const auth = gatepass({
  sessions: { store: memoryStore() },
  users: { subject: (user) => user.id, find: (id) => ({ id }) },
  strategies: [
    local({ verify: (name, password) => password === 'right' && { id: name } }),
    google({
      clientId: 'id',
      clientSecret: 'secret',
      callback: '/google',
      account: ({ subject }) => ({ id: subject }),
    }),
  ],
})
const own = express.Router()
own.use(auth)
own.post('/login', auth.login('local', { success: '/own/me' }))
own.get('/me', auth.requireLogin(), (req, res) => res.json(req.user))
app.use('/own', own)

module.exports = app
