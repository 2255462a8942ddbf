import passport from 'gatepass/compat/passport'

const { authenticate } = passport._framework

export { authenticate as 'module.exports' }
