module.exports = require('gatepass/compat/passport').AuthenticationError
