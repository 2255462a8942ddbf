import { type Awaitable, andThen, settled } from '../../awaitable.ts'
import { bearerToken, challenge } from '../../http/authorization.ts'
import type { Exchange } from '../../http/exchange.ts'
import { type Failure, type Found, isFailure, type Outcome, type Success, userFrom } from '../../passport/outcome.ts'

/** Reads the token of `Authorization: Bearer` (RFC 6750 §2.1) and lets `check` decide about it. */
export function withToken<User>(
  exchange: Exchange,
  realm: string,
  check: (token: string) => Awaitable<Outcome<User>>,
): Awaitable<Outcome<User>> {
  const given = bearerToken(exchange)
  // RFC 6750 §3.1: without credentials of this kind the challenge names no error.
  if (given === 'missing') return { type: 'failure', reason: 'missing', challenge: challenge('Bearer', { realm }) }
  if (given !== 'malformed') return check(given.token)
  return {
    type: 'failure',
    reason: 'invalid',
    status: 400,
    message: 'The header field Authorization contains no token.',
    challenge: challenge('Bearer', { realm, error: 'invalid_request' }),
  }
}

/** What the application's callback for a token returned. */
export interface Answer<User> {
  /** The callback, for an error: `account` of jwt(). */
  readonly callback: string
  readonly returned: Found<User> | PromiseLike<Found<User>>
  /** The message if there is no user. */
  readonly unknown: string
  readonly success: (user: User) => Awaitable<Success<User>>
}

/** Concludes from what the application's callback returned. */
export function concluded<User>(realm: string, answer: Answer<User>): Awaitable<Outcome<User>> {
  return andThen(settled<Found<User>>(answer.returned), (returned): Awaitable<Outcome<User>> => {
    const user = userFrom(answer.callback, returned)
    if (user === undefined) return refusedToken(realm, 'invalid', answer.unknown)
    // A failure of the application also gets a challenge, which every 401 needs (RFC 9110 §15.5.2).
    return isFailure(user) ? { challenge: challenge('Bearer', { realm }), ...user } : answer.success(user)
  })
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
