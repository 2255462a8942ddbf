const passport = require('passport')

module.exports = (name) => passport.authenticate(name, { session: false })
