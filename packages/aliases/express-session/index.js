// Names for `import { … }`, which Node reads from the text.
exports.Cookie = exports.MemoryStore = exports.Session = exports.Store = undefined
module.exports = require('gatepass/compat/express-session')
