import { challenge } from '../http/authorization.ts'
import { problemReply } from '../http/error-reply.ts'
import type { Exchange, Reply } from '../http/exchange.ts'
import type { Failure } from './outcome.ts'
import type { Anonymity, Rejection } from './passport.ts'

/** The reason of the first failure, which a login page can turn into a sentence. */
export function reasonOf(rejection: Rejection): Failure['reason'] {
  return rejection.failures[0]?.reason ?? 'missing'
}

/** The answer to refused credentials if the application names no page for them. */
export function refusalReply(exchange: Exchange, rejection: Rejection): Reply {
  const first = rejection.failures[0]
  return problemReply(exchange, {
    status: rejection.status,
    code: first?.code ?? 'ERR_LOGIN_REFUSED',
    message: first?.message ?? refusals[reasonOf(rejection)],
    retryAfter: first?.retryAfter,
    challenges: rejection.challenges,
  })
}

const refusals: Record<Failure['reason'], string> = {
  missing: 'The request carries no credentials.',
  invalid: 'The credentials are not right.',
  expired: 'The credentials have expired.',
  locked: 'Too many attempts; try again later.',
  denied: 'Access was denied.',
  unavailable: 'This cannot be checked right now; try again shortly, or log in another way.',
}

/** The answer to a request without the login that it needs. It says why there is none, and what to do. */
export function loginRequiredReply(
  exchange: Exchange,
  anonymity: Anonymity | undefined,
  challenges: readonly string[] = [],
): Reply {
  const { message, hint } = explanations[anonymity ?? 'not-logged-in']
  return problemReply(exchange, { status: 401, code: 'ERR_LOGIN_REQUIRED', message, hint, challenges })
}

/** The answer to a valid token without the scope (RFC 6750 §3.1). */
export function insufficientScopeReply(exchange: Exchange, scope: string | undefined): Reply {
  return problemReply(exchange, {
    status: 403,
    code: 'ERR_TOKEN_SCOPE',
    message: 'The token does not have the scope that is needed here.',
    hint: `Send a token with the scope ${scope}.`,
    challenges: [challenge('Bearer', { error: 'insufficient_scope', scope })],
  })
}

/** The answer to a valid token or API key if the route needs the session cookie. */
export function cookieRequiredReply(exchange: Exchange): Reply {
  return problemReply(exchange, {
    status: 403,
    code: 'ERR_TOKEN_SCOPE',
    message: 'A token or an API key is not accepted here.',
    hint: 'Send the request with the session cookie and without Authorization.',
  })
}

/**
 * The answer to a login that is older than the route allows.
 *
 * @param options.tokenWithin for a request with a token: how old the login of the token may be, in seconds (RFC 9470 §3)
 */
export function loginTooOldReply(exchange: Exchange, options: { readonly tokenWithin?: number } = {}): Reply {
  const error = 'insufficient_user_authentication'
  const { tokenWithin } = options
  return problemReply(exchange, {
    status: 401,
    code: 'ERR_LOGIN_TOO_OLD',
    message: 'This needs a recent login.',
    hint: 'Log in again, then repeat the request.',
    ...(tokenWithin !== undefined && { challenges: [challenge('Bearer', { error, max_age: String(tokenWithin) })] }),
  })
}

const explanations: Record<Anonymity, { message: string; hint: string }> = {
  'no-cookie': {
    message: 'No user is logged in: the request carries no session cookie.',
    hint: 'Log in first. If you have just logged in, check that the cookie was set (Secure, SameSite, proxy) and that credentials are sent (fetch: credentials).',
  },
  duplicate: {
    message: 'No user is logged in: the session cookie was sent twice.',
    hint: 'Another site on this domain may have set one. Delete the cookies of this site, then log in again.',
  },
  malformed: {
    message: 'No user is logged in: the session cookie does not have the form of a session token.',
    hint: 'Log in again.',
  },
  forged: {
    message: 'No user is logged in: the session cookie was not issued by this server.',
    hint: 'Log in again. If this follows a change of keys, keep the earlier key as a retired one.',
  },
  unknown: {
    message: 'No user is logged in: the session has ended.',
    hint: 'It expired, was logged out, or was ended from another device. Log in again.',
  },
  'not-logged-in': { message: 'No user is logged in.', hint: 'There is a session, but no login in it. Log in first.' },
  'user-gone': {
    message: 'No user is logged in: the account does not exist any more.',
    hint: 'Log in with another account.',
  },
  'credentials-changed': {
    message: 'No user is logged in: the credentials have changed since this login.',
    hint: 'Log in again with the new ones.',
  },
  'no-sessions': {
    message: 'The request carries no credentials.',
    hint: 'This server keeps no sessions: send credentials with every request.',
  },
  stateless: {
    message: 'No user is logged in: the credentials in Authorization were not accepted.',
    hint: 'Send others, or none.',
  },
  refused: {
    message: 'No user is logged in: the credentials in Authorization were refused.',
    hint: 'The header field WWW-Authenticate says why.',
  },
}
