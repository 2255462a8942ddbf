const express = require('express')
const session = require('express-session')
const passport = require('passport')

const people = { 1: { id: '1', name: 'ada' } }
passport.serializeUser((user, done) => done(null, user.id))
passport.deserializeUser((id, done) => done(null, people[id]))

const app = express()
app.use(express.urlencoded({ extended: false }))
app.use(session({ secret: 'forum', resave: false, saveUninitialized: false }))
app.use(passport.initialize(), passport.session())
require('forum-plugin-login')(app, people)
app.get('/me', (req, res) => (req.user ? res.json({ name: req.user.name }) : res.sendStatus(401)))
app.post('/logout', (req, res, next) => req.logout((error) => (error ? next(error) : res.redirect('/'))))
app.listen(Number(process.env.PORT), '127.0.0.1')
