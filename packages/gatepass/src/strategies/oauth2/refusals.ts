import { GatepassError, ProtocolError } from '../../error.ts'
import type { Failure } from '../../passport/outcome.ts'
import { type Callback, saidBy } from '../../protocols/oauth2/authorization.ts'

/** This callback belongs to no pending login (used, expired, or another browser's). An existing login is left alone. */
export function notBegunHere({ parameters }: Callback): ProtocolError {
  const error = parameters.get('error')
  const said = error === null ? '' : `, and says ${saidBy(error)}`
  return new ProtocolError('ERR_OAUTH_STATE', `The callback belongs to no pending login of this browser${said}`)
}

/** The session that began to link has ended, or the user's credentials have changed. */
export function linkEnded(): ProtocolError {
  return new ProtocolError('ERR_OAUTH_LINK_ENDED', 'The login that began to link this identity has ended')
}

/** The application has no account for this identity. */
export function refusedAccount(): ProtocolError {
  return new ProtocolError('ERR_OAUTH_ACCOUNT', 'The application has no account for this identity')
}

/** The failure that the user sees for an error of the provider or the browser; `undefined` for other errors. */
export function failureOf(error: unknown, label: string): Failure | undefined {
  if (!(error instanceof GatepassError) || !/^ERR_O(AUTH|IDC)_/.test(error.code) || !(error instanceof ProtocolError)) {
    return undefined
  }
  const reason = reasons[error.code] ?? 'invalid'
  const status = error.status >= 500 ? error.status : reason === 'denied' ? 403 : 401
  return { type: 'failure', reason, code: error.code, message: messageOf(error, reason, label), status }
}

const reasons: Readonly<Record<string, Failure['reason']>> = {
  ERR_OAUTH_ACCOUNT: 'denied',
  ERR_OAUTH_DENIED: 'denied',
  ERR_OAUTH_LINK_ENDED: 'expired',
  ERR_OAUTH_STATE: 'expired',
  ERR_OAUTH_ADDRESS: 'unavailable',
  ERR_OAUTH_RESPONSE: 'unavailable',
  ERR_OAUTH_UNAVAILABLE: 'unavailable',
  ERR_OIDC_METADATA: 'unavailable',
}

function messageOf({ code }: GatepassError, reason: Failure['reason'], label: string): string {
  if (code === 'ERR_OAUTH_ACCOUNT') return `There is no account here for this login with ${label}.`
  if (code === 'ERR_OAUTH_LINK_ENDED') return 'Your login has ended. Log in again, then link.'
  if (reason === 'denied') return `The login with ${label} was cancelled. Try again, or log in another way.`
  if (reason === 'expired') {
    return `This login with ${label} was already finished, took longer than ten minutes, or began in another browser. Start again.`
  }
  if (reason === 'unavailable')
    return `${label} does not answer right now. Try again in a minute, or log in another way.`
  return `The answer of ${label} could not be verified. Try again. If that does not help, log in another way.`
}
