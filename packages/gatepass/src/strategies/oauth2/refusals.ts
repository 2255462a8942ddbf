import { GatepassError, ProtocolError, UsageError } from '../../error.ts'
import type { Exchange } from '../../http/exchange.ts'
import type { Failure } from '../../passport/outcome.ts'
import { isLoopback } from '../../session/token.ts'

/** The session that began to link has ended, or the user's credentials have changed. */
export function linkEnded(): ProtocolError {
  return new ProtocolError('ERR_OAUTH_LINK_ENDED', 'The login that began to link this identity has ended')
}

/**
 * The origin that a code may be sent to. It must not come from the Host field, which an attacker can write (RFC 9700 §4.1).
 *
 * @throws {UsageError} `ERR_OAUTH_OPTIONS` if no origin is configured and the request does not come to this machine
 */
export function trustedOrigin(strategy: string, { origin, originConfigured }: Exchange): string {
  if (originConfigured || isLoopback(origin)) return origin
  const what = `${strategy}: only the request's Host field names the origin of \`callback\``
  throw new UsageError('ERR_OAUTH_OPTIONS', what, {
    hint: "Set the `origin` of gatepass(): 'https://app.example', or set `callback` to the whole address.",
  })
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
