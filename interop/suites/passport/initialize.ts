import passport from 'gatepass/compat/passport'

const { initialize } = passport._framework

export { initialize as 'module.exports' }
