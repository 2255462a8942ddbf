import express from 'express'
import * as all from 'gatepass'
import cookie, { parse } from 'gatepass/compat/cookie'
import cookieParser from 'gatepass/compat/cookie-parser'
import cookieSession from 'gatepass/compat/cookie-session'
import session, { type SessionData, Store } from 'gatepass/compat/express-session'
import passport, { Strategy } from 'gatepass/compat/passport'
import { gatepass } from 'gatepass/express'
import { gatepass as hono } from 'gatepass/hono'
import { memoryStore } from 'gatepass/stores/memory'
import { google } from 'gatepass/strategies/google'

declare module 'gatepass/compat/express-session' {
  interface SessionData {
    views: number
  }
}
const app = express()
app.use(session({ secret: 'x' }), cookieParser(), cookieSession({ keys: ['a'] }))
app.use(passport.initialize())
const data: SessionData = { views: 1 }
const n: number = data.views
class S extends Store {}
passport.serializeUser((user, done) => done(null, 'x'))
const s: session.SessionOptions = { secret: 'x' }
const c: cookie.SerializeOptions = { path: '/' }
const map: Record<string, string | undefined> = cookie.parse('a=b'),
  m2 = parse('a=b')
app.get('/', (req, res) => {
  const v: number | undefined = req.session.views
  res.cookie('a', v)
})
// @ts-expect-error: views is a number
data.views = 'x'
