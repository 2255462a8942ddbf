// As plugins of forums do: what the application loads is asked for in its name.
const passport = require.main.require('passport')
const { Strategy } = require.main.require('passport-local')

module.exports = (app, people) => {
  passport.use(
    'plugin',
    new Strategy((name, password, done) => done(null, name === 'ada' && password === 'secret' && people[1])),
  )
  app.post('/login', passport.authenticate('plugin', { successRedirect: '/me' }))
}
