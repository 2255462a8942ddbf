import type { LegacyStrategy } from './ask.ts'

const warned = new WeakSet<object>()

/** passport-oauth2 and its descendants check no `state` unless they are told to; said once of each strategy. */
export function warnWithoutState(strategy: LegacyStrategy, options: { readonly state?: unknown }): void {
  if (warned.has(strategy) || !checksNoState(strategy) || typeof options.state === 'string') return
  warned.add(strategy)
  const name = strategy.name ?? 'oauth2'
  process.emitWarning(`Strategy "${name}" accepts a callback that this browser never asked for: it has no \`state\``, {
    type: 'SecurityWarning',
    code: 'GATEPASS_OAUTH_STATE',
    detail: `Any page can log your visitors in to an account of its own. Add \`state: true\` (and \`pkce: true\`) to the options of "${name}".`,
  })
}

/** Whether it is one of passport-oauth2's, with the store that remembers nothing. */
export function checksNoState(strategy: LegacyStrategy): boolean {
  const { _stateStore: store } = strategy as { _stateStore?: object }
  return store?.constructor.name === 'NullStore'
}
