import { strategies } from 'gatepass/compat/passport'

const { SessionStrategy } = strategies

export { SessionStrategy as 'module.exports' }
