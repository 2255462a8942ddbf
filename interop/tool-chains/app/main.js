// Runs the application once: what a bundler is given, and what plain Node and tsx run.
const { strictEqual: same } = require('assert')
const { journey } = require('./visit.js')
const imported = require('./imported.mjs')

same(imported.session, require('gatepass/compat/express-session'))
same(imported.passport, require('gatepass/compat/passport'))
same(imported.cookieParser, require('gatepass/compat/cookie-parser'))
same(imported.gatepass, require('gatepass/express').gatepass)
same(imported.memoryStore, require('gatepass/stores/memory').memoryStore)
same(imported.Store, require('gatepass/compat/express-session').Store)
journey(require('./app.js')).then(
  () => console.log('one copy, and logged in'),
  (error) => {
    console.error(error)
    process.exitCode = 1
  },
)
