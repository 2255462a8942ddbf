// Names for `import { … }`, which Node reads from the text.
exports.parse =
  exports.parseCookie =
  exports.parseSetCookie =
  exports.serialize =
  exports.stringifyCookie =
  exports.stringifySetCookie =
    undefined
module.exports = require('gatepass/compat/cookie')
