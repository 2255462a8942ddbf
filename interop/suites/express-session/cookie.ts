import { Cookie } from 'gatepass/compat/express-session'

export { Cookie as 'module.exports' }
