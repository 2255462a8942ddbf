import { Authenticator } from 'gatepass/compat/passport'

export { Authenticator as 'module.exports' }
