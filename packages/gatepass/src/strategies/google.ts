/**
 * Google is a conformant OpenID provider, with these differences:
 * - `hd` in the token names the user's organisation. It must be checked there, because the request parameter is only a wish.
 * - Google runs the mailboxes of gmail.com and of organisations, and is authoritative only for these.
 * - A parameter (`access_type`) requests refresh tokens, not a scope.
 * - One Tap and FedCM post an ID token to us.
 */

import type { Awaitable } from '../awaitable.ts'
import { equal } from '../crypto/equal.ts'
import { checkOptions, type OptionKinds, ProtocolError, UsageError } from '../error.ts'
import { type Exchange, pathOf } from '../http/exchange.ts'
import type { UserObject } from '../passport/outcome.ts'
import type { Identity } from '../protocols/oauth2/identity.ts'
import type { Identified } from './oauth2/code-login.ts'
import { openId, type VerifyIdToken } from './oauth2/openid.ts'
import { callbackAddress, type ProviderLoginOptions, type ProviderStrategy, providerOptions } from './oauth2/options.ts'

export type { Identity } from '../protocols/oauth2/identity.ts'
export type { AccountRequest, OAuthEvent, ProviderCallOptions, ProviderStrategy } from './oauth2/options.ts'

export interface GoogleOptions<User> extends ProviderLoginOptions<User> {
  /** Accepts only accounts of these organisations: `example.com`. */
  hostedDomain?: string | readonly string[]
  /** Requests a refresh token. Google sends it when the user consents; with `prompt: 'consent'` that is each time. */
  offlineAccess?: boolean
  /** Returns the nonce that the page gave to One Tap, from the session. A credential with another nonce is refused. */
  oneTapNonce?: (exchange: Exchange) => Awaitable<string | undefined>
  /** Another address of Google, for tests. */
  issuer?: string
}

const googleOptions: OptionKinds<GoogleOptions<unknown>> = {
  ...providerOptions,
  hostedDomain: 'any',
  offlineAccess: 'boolean',
  oneTapNonce: 'function',
  issuer: 'string',
}

/**
 * Logs in with Google. The login route redirects a GET to Google, and accepts a POST with a One Tap `credential`.
 *
 * @throws {UsageError} `ERR_OAUTH_OPTIONS`
 */
export function google<User extends UserObject>(options: GoogleOptions<User>): ProviderStrategy<User, 'google'> {
  checkOptions('google()', options, googleOptions, 'ERR_OAUTH_OPTIONS')
  const { issuer = 'https://accounts.google.com' } = options
  const domains = hostedDomains(options.hostedDomain)
  const parameters = {
    ...(options.offlineAccess === true && { access_type: 'offline' }),
    ...(domains !== undefined && { hd: domains.length === 1 ? String(domains[0]) : '*' }),
    ...options.parameters,
  }
  const callback = callbackAddress('google', options).path
  return openId(
    {
      name: 'google',
      label: 'Google',
      address: { issuer },
      refine: (identity) => withAuthority(identity, domains),
      directIdToken: async (exchange, verify) =>
        pathOf(exchange) === callback ? undefined : oneTap(exchange, verify, options.oneTapNonce),
    },
    { ...options, parameters },
  )
}

/** The domains in lower case, as Google writes them. A text that is not a domain would match no account, so it is refused. */
function hostedDomains(option: string | readonly string[] | undefined): readonly string[] | undefined {
  if (option === undefined) return undefined
  const domains = [option].flat().map((domain) => String(domain).toLowerCase())
  if (domains.length > 0 && domains.every((domain) => /^[a-z\d-]+(?:\.[a-z\d-]+)+$/.test(domain))) return domains
  throw new UsageError('ERR_OAUTH_OPTIONS', 'google: `hostedDomain` is not a domain, or a list of domains', {
    hint: "hostedDomain: 'example.com', without @ and scheme; an international name in its xn-- form.",
  })
}

function withAuthority(identity: Identity, domains: readonly string[] | undefined): Identity {
  const { hd } = identity.claims
  if (domains !== undefined && !(typeof hd === 'string' && domains.includes(hd.toLowerCase()))) {
    throw new ProtocolError('ERR_OIDC_HOSTED_DOMAIN', 'The Google account does not belong to an accepted organisation')
  }
  const ownMailbox = identity.email?.toLowerCase().endsWith('@gmail.com') === true || typeof hd === 'string'
  return { ...identity, emailAuthoritative: identity.emailVerified && ownMailbox }
}

/** https://developers.google.com/identity/gsi/web/guides/verify-google-id-token */
async function oneTap(
  exchange: Exchange,
  verify: VerifyIdToken,
  expectedNonce: GoogleOptions<never>['oneTapNonce'],
): Promise<Identified | undefined> {
  if (exchange.method !== 'POST') return undefined
  const { credential, g_csrf_token: submitted } = await exchange.fields()
  if (typeof credential !== 'string') return undefined
  if (!isFromOurPage(exchange, submitted)) {
    throw new ProtocolError('ERR_OAUTH_STATE', 'The One Tap credential does not come from a page of this application')
  }
  const nonce = await expectedNonce?.(exchange)
  if (expectedNonce !== undefined && nonce === undefined) {
    throw new ProtocolError('ERR_OIDC_NONCE', 'This session has not requested a One Tap credential')
  }
  return verify(credential, { nonce })
}

/**
 * Google's script sends one value twice, as a cookie and as a field; another site cannot read the cookie. A request of our own
 * script has neither and must say `Sec-Fetch-Site: same-origin`.
 */
function isFromOurPage(exchange: Exchange, submitted: unknown): boolean {
  const cookie = exchange.cookies.raw('g_csrf_token')
  if (cookie === undefined && submitted === undefined) return exchange.header('sec-fetch-site') === 'same-origin'
  return cookie !== undefined && cookie !== '' && typeof submitted === 'string' && equal(cookie, submitted)
}
