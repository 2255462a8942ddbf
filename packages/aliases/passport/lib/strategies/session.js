module.exports = require('gatepass/compat/passport').strategies.SessionStrategy
