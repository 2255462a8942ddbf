export * from 'gatepass/compat/cookie'
export { default } from 'gatepass/compat/cookie'
