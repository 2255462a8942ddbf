const session = require('express-session')

exports.make = () => session({ secret: 's', resave: false, saveUninitialized: false })
