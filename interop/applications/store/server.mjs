import { ConnectSessionKnexStore } from 'connect-session-knex'
import express from 'express'
import session from 'express-session'
import knex from 'knex'
import passport from 'passport'
import { Strategy as LocalStrategy } from 'passport-local'
import ApiKeys from 'passport-localapikey-update'

const database = knex({
  client: 'better-sqlite3',
  connection: ':memory:',
  useNullAsDefault: true,
  pool: { min: 1, max: 1 },
})
const store = new ConnectSessionKnexStore({ knex: database, cleanupInterval: 0 })
const ada = { id: '1', name: 'ada' }
passport.use(new LocalStrategy((name, password, done) => done(null, password === 'secret' ? ada : false)))
passport.use(new ApiKeys.Strategy((key, done) => done(null, key === 'k' ? ada : false)))
passport.serializeUser((user, done) => done(null, user.id))
passport.deserializeUser((id, done) => done(null, id === ada.id ? ada : false))

const app = express()
app.use(express.urlencoded({ extended: false }))
app.use(session({ secret: process.env.SESSION_SECRET ?? 'store', store, resave: false, saveUninitialized: false }))
app.use(passport.session())
app.get('/me', (req, res) => (req.user ? res.json({ name: req.user.name }) : res.sendStatus(401)))
app.get('/key', passport.authenticate('localapikey', { session: false }), (req, res) =>
  res.json({ name: req.user.name }),
)
app.post('/login', passport.authenticate('local', { successRedirect: '/me' }))
app.post('/logout', (req, res, next) => req.logout((error) => (error ? next(error) : res.redirect('/'))))
app.listen(Number(process.env.PORT), '127.0.0.1')
