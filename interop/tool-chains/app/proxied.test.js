const { equal } = require('assert')
const proxyquire = require('proxyquire')
const { journey } = require('./visit.js')

it('logs in when a drop-in is loaded through proxyquire', async () => {
  let made = 0
  const cookieParser = require('gatepass/compat/cookie-parser')
  const counted = (...args) => {
    made++
    return cookieParser(...args)
  }
  await journey(proxyquire('./app.js', { 'gatepass/compat/cookie-parser': counted }))
  equal(made, 1)
})
