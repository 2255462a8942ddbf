import type * as sessions from 'gatepass/compat/express-session'
import session from 'gatepass/compat/express-session'

import passport = require('gatepass/compat/passport')

import { memoryStore } from 'gatepass/stores/memory'

const app = require('./app.js')
const store: sessions.Store = new session.MemoryStore()
if (typeof session !== 'function' || !(store instanceof session.Store)) throw new Error('not express-session')
if (!(passport instanceof passport.Passport) || memoryStore().synchronous !== true) throw new Error('not gatepass')
require('./visit.js')
  .journey(app)
  .then(() => console.log('logged in'))
