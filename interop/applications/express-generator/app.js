var express = require('express')
var cookieParser = require('cookie-parser')
var flash = require('connect-flash')
var session = require('express-session')
var passport = require('passport')
var LocalStrategy = require('passport-local').Strategy

var people = { 1: { id: '1', name: 'ada' } }

passport.use(
  new LocalStrategy((username, password, cb) => {
    if (username !== 'ada' || password !== 'secret') return cb(null, false, { message: 'Incorrect.' })
    return cb(null, people[1])
  }),
)
passport.serializeUser((user, cb) => {
  process.nextTick(() => {
    cb(null, user.id)
  })
})
passport.deserializeUser((id, cb) => {
  process.nextTick(() => {
    cb(null, people[id])
  })
})

var app = express()
app.use(express.urlencoded({ extended: false }))
app.use(cookieParser())
app.use(session({ secret: 'keyboard cat', resave: false, saveUninitialized: false }))
app.use(flash())
app.use(passport.initialize())
app.use(passport.session())

app.use('/', require('./routes/index'))

module.exports = app
