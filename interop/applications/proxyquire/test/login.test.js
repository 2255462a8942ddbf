const assert = require('node:assert')
const proxyquire = require('proxyquire').noCallThru()

describe('login', () => {
  it('asks passport for the local strategy', () => {
    const asked = []
    const passport = { authenticate: (...args) => asked.push(args) && 'middleware' }
    const { login } = proxyquire('../lib/login', { passport, cookie: { parse: () => ({}) } })
    assert.equal(login, 'middleware')
    assert.deepEqual(asked, [['local', { failureRedirect: '/login' }]])
  })
  it('reads the theme', () => {
    const { theme } = require('../lib/login')
    assert.equal(theme({ headers: { cookie: 'theme=dark' } }), 'dark')
    assert.equal(theme({ headers: {} }), 'light')
  })
  it('makes a session', () => {
    assert.equal(typeof require('../lib/session').make(), 'function')
  })
})
