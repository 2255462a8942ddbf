module.exports = require('gatepass/compat/cookie-session')
