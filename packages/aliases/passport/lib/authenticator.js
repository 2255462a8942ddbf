module.exports = require('gatepass/compat/passport').Authenticator
