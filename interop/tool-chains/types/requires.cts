import express = require('express')
import session = require('gatepass/compat/express-session')
import passport = require('gatepass/compat/passport')
import cookieParser = require('gatepass/compat/cookie-parser')
import cookieSession = require('gatepass/compat/cookie-session')
import cookie = require('gatepass/compat/cookie')

import { gatepass } from 'gatepass/express'
import { gatepass as hono } from 'gatepass/hono'
import { memoryStore } from 'gatepass/stores/memory'
import { google } from 'gatepass/strategies/google'

declare module 'gatepass/compat/express-session' {
  interface SessionData {
    cviews: number
  }
}
const app = express()
app.use(session({ secret: 'x' }), cookieParser(), cookieSession({ keys: ['a'] }))
app.use(passport.initialize())
declare const data: session.SessionData
const n: number = data.cviews
class S extends session.Store {}
class T extends passport.Strategy {
  name = 't'
}
const s: session.SessionOptions = { secret: 'x' }
const c: cookie.SerializeOptions = { path: '/' }
const map: Record<string, string | undefined> = cookie.parse('a=b')
app.get('/', (req, res) => {
  const v: number | undefined = req.session.cviews
  res.cookie('a', v)
})
// @ts-expect-error: cviews is a number
data.cviews = 'x'
