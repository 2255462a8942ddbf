import cookie = require('gatepass/compat/cookie')
export = cookie
