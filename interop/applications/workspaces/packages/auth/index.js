const passport = require('passport')
const { Strategy } = require('passport-local')

const ada = { id: '1', name: 'ada' }
passport.use(new Strategy((name, password, done) => done(null, name === 'ada' && password === 'secret' ? ada : false)))
passport.serializeUser((user, done) => done(null, user.id))
passport.deserializeUser((id, done) => done(null, id === '1' ? ada : false))

exports.passport = passport
exports.initialize = () => [passport.initialize(), passport.session()]
