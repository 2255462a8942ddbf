import { challenge } from '../../http/authorization.ts'
import type { Failure } from '../../passport/outcome.ts'

/** The request has no credentials of this kind. RFC 6750 §3.1: the challenge then names no error. */
export function missing(realm: string): Failure {
  return { type: 'failure', reason: 'missing', challenge: challenge('Bearer', { realm }) }
}

/** The header field does not have the form of RFC 6750 §2.1. */
export function malformedRequest(realm: string): Failure {
  return {
    type: 'failure',
    reason: 'invalid',
    status: 400,
    message: 'The header field Authorization contains no token.',
    challenge: challenge('Bearer', { realm, error: 'invalid_request' }),
  }
}

/** @param message in ASCII, because it is also sent in a header field */
export function refusedToken(realm: string, reason: 'invalid' | 'expired', message: string): Failure {
  return {
    type: 'failure',
    reason,
    message,
    challenge: challenge('Bearer', { realm, error: 'invalid_token', error_description: message }),
  }
}

/** A failure of the application, with a challenge, which every 401 needs (RFC 9110 §15.5.2). */
export function refusedByApplication(realm: string, failure: Failure): Failure {
  return { challenge: challenge('Bearer', { realm }), ...failure }
}
