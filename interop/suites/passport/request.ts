import type { IncomingMessage, ServerResponse } from 'node:http'
import passport from 'gatepass/compat/passport'

/** The methods that a request gets. */
const request = {} as IncomingMessage
passport.initialize({ compat: false })(request, {} as ServerResponse, () => {})

export { request as 'module.exports' }
