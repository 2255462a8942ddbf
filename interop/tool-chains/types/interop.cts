import express from 'express'
import * as cookies from 'gatepass/compat/cookie'
import cookie, { parse } from 'gatepass/compat/cookie'
import cookieParser from 'gatepass/compat/cookie-parser'
import session, * as sessions from 'gatepass/compat/express-session'
import passport, { Strategy } from 'gatepass/compat/passport'

const app = express()
app.use(session({ secret: 'x' }), cookieParser(), passport.session())
const store = new sessions.MemoryStore()
class T extends Strategy {
  name = 't'
}
cookie.parse('a')
cookies.parse('a')
parse('b')
