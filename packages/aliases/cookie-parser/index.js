// Names for `import { … }`, which Node reads from the text.
exports.JSONCookie = exports.JSONCookies = exports.signedCookie = exports.signedCookies = undefined
module.exports = require('gatepass/compat/cookie-parser')
