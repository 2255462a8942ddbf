module.exports = require('gatepass/compat/express-session').MemoryStore
