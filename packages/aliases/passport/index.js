// Names for `import { … }`, which Node reads from the text.
exports.Authenticator = exports.Passport = exports.Strategy = exports.strategies = undefined
module.exports = require('gatepass/compat/passport')
