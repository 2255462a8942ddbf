// The suite of connect-pg-simple replaces the package `pg` by proxyquire, which reaches CommonJS modules only: this one. While a
// store is made, what it loads as `pg` is what proxyquire gives here.
const Module = require('node:module')
const connectPgSimple = require('gatepass/compat/connect-pg-simple')

const ours = Module.createRequire(require.resolve('gatepass/compat/connect-pg-simple')).resolve('pg')
const theirs = Module.createRequire(module.parent.filename).resolve('pg')

module.exports = (session) =>
  class extends connectPgSimple(session) {
    constructor(options) {
      const { [ours]: before } = require.cache
      require.cache[ours] = Object.assign(new Module(ours), { loaded: true, exports: require(theirs) })
      super(options)
      if (before) require.cache[ours] = before
      else delete require.cache[ours]
    }
  }

// The next proxyquire loads it again.
delete require.cache[__filename]
