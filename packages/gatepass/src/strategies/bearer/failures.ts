import { challenge } from '../../http/authorization.ts'
import type { Failure } from '../../passport/outcome.ts'

/** The request has no credentials of this kind (RFC 6750 §3.1: then the challenge says nothing of an error). */
export function missing(realm: string): Failure {
  return { type: 'failure', reason: 'missing', challenge: challenge('Bearer', { realm }) }
}

/** The header field is not written as RFC 6750 §2.1 says. */
export function malformedRequest(realm: string): Failure {
  return {
    type: 'failure',
    reason: 'invalid',
    status: 400,
    message: 'The header field Authorization holds no token.',
    challenge: challenge('Bearer', { realm, error: 'invalid_request' }),
  }
}

/** @param message in plain ASCII, since it also travels in a header field */
export function refusedToken(realm: string, reason: 'invalid' | 'expired', message: string): Failure {
  return {
    type: 'failure',
    reason,
    message,
    challenge: challenge('Bearer', { realm, error: 'invalid_token', error_description: message }),
  }
}

/** What the application itself says; 401 needs a challenge in any case (RFC 9110 §15.5.2). */
export function refusedByApplication(realm: string, failure: Failure): Failure {
  return { challenge: challenge('Bearer', { realm }), ...failure }
}
