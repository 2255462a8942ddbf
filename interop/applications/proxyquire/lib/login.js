const passport = require('passport')
const cookie = require('cookie')

exports.login = passport.authenticate('local', { failureRedirect: '/login' })
exports.theme = (req) => cookie.parse(req.headers.cookie || '').theme || 'light'
