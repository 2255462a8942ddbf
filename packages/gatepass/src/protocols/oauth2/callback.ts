import { type ErrorCode, ProtocolError } from '../../error.ts'

/** The parameters that the browser brought back from the provider. */
export interface Callback {
  readonly state: string
  readonly parameters: URLSearchParams
}

/**
 * Reads the parameters of a callback. They are not verified yet.
 *
 * @throws {ProtocolError} `ERR_OAUTH_CALLBACK`, `ERR_OAUTH_STATE`
 */
export function readCallback(parameters: URLSearchParams): Callback {
  for (const name of ['state', 'code', 'iss', 'error']) {
    if (parameters.getAll(name).length > 1) throw refused('ERR_OAUTH_CALLBACK', `has ${name} twice`)
  }
  const state = parameters.get('state') ?? ''
  if (/^[\w-]{43}$/.test(state)) return { state, parameters }
  const error = parameters.get('error')
  if (error === null) throw refused('ERR_OAUTH_STATE', 'has no state of ours')
  // An attacker can send this, so it ends no login. It is reported as the provider's error, not as a login that took too long.
  throw refused(
    isCancelled(error) ? 'ERR_OAUTH_DENIED' : 'ERR_OAUTH_PROVIDER',
    `has no state of ours, and says ${saidBy(error)}`,
  )
}

/**
 * The code in a callback with a known state (RFC 6749 §4.1.2, RFC 9207 §2.4).
 *
 * @param issuers whether this is a name of the provider
 * @throws {ProtocolError} `ERR_OAUTH_ISSUER`, `ERR_OAUTH_DENIED`, `ERR_OAUTH_PROVIDER`, `ERR_OAUTH_CALLBACK`
 */
export function codeOf(
  parameters: URLSearchParams,
  { issuers, announced }: { issuers: (issuer: string) => boolean; announced: boolean },
): string {
  const issuer = parameters.get('iss')
  if (issuer === null ? announced : !issuers(issuer)) throw refused('ERR_OAUTH_ISSUER', 'is not from this provider')
  const error = parameters.get('error')
  if (error !== null) throw errorOf(error)
  const code = parameters.get('code') ?? ''
  if (code === '' || parameters.has('response')) throw refused('ERR_OAUTH_CALLBACK', 'has neither a code nor an error')
  return code
}

/**
 * Whether the user has cancelled the login: `access_denied` (RFC 6749 §4.1.2.1), or what Apple, LinkedIn
 * (`user_cancelled_authorize`, `user_cancelled_login`) and others send in its place.
 */
export function isCancelled(error: string): boolean {
  return /^(?:access_denied|user_(?:cancell?ed|denied|declined)(?:_[a-z_]{1,40})?)$/.test(error)
}

/** An error's code, for a message. `error_description` is never repeated, because an attacker can write it. */
export function saidBy(error: string): string {
  return /^[a-z_]{1,64}$/.test(error) ? error : 'an unknown error'
}

function errorOf(error: string): ProtocolError {
  if (isCancelled(error)) return refused('ERR_OAUTH_DENIED', `has the error ${saidBy(error)}: the login was cancelled`)
  const busy = error === 'server_error' || error === 'temporarily_unavailable'
  if (busy)
    return new ProtocolError('ERR_OAUTH_UNAVAILABLE', `The provider answered with the error ${error}`, { status: 502 })
  return refused('ERR_OAUTH_PROVIDER', `has the error ${saidBy(error)}`)
}

function refused(code: ErrorCode, what: string): ProtocolError {
  return new ProtocolError(code, `The provider's callback ${what}`)
}
