const express = require('express')
const cookieParser = require('cookie-parser')
const session = require('express-session')
const passport = require('passport')
const { Strategy } = require('passport-local')

passport.use(new Strategy((name, password, done) => done(null, password === 'secret' && { id: name })))
passport.serializeUser((user, done) => done(null, user.id))
passport.deserializeUser((id, done) => done(null, { id }))

const app = express()
app.use(express.urlencoded({ extended: false }))
app.use(cookieParser())
app.use(session({ secret: 'jest', resave: false, saveUninitialized: false }))
app.use(passport.initialize(), passport.session())
app.get('/me', (req, res) => (req.user ? res.json({ id: req.user.id, mocked: req.mocked }) : res.sendStatus(401)))
app.post('/login', passport.authenticate('local', { successRedirect: '/me' }))
app.post('/logout', (req, res, next) => req.logout((error) => (error ? next(error) : res.redirect('/'))))
module.exports = app
