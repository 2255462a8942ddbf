/**
 * Facebook uses OAuth 2.0, and its Graph API identifies the user. It has these differences:
 * - We must ask whether a token was issued to this application, because the token of another application would also work.
 * - Each Graph request carries a proof that the sender knows the secret (`appsecret_proof`).
 * - E-mail addresses are as the user typed them and never verified.
 * - Limited Login, in apps on iOS, sends an ID token with other keys in place of an access token.
 */

import type { Awaitable } from '../awaitable.ts'
import { hmacKey, hmacText } from '../crypto/hmac.ts'
import { checkOptions, isKeyText, type OptionKinds, ProtocolError } from '../error.ts'
import type { Exchange } from '../http/exchange.ts'
import type { UserObject } from '../passport/outcome.ts'
import { textOf } from '../protocols/oauth2/identity.ts'
import type { ProviderFetch } from '../protocols/oauth2/provider-fetch.ts'
import type { Claims } from '../protocols/oauth2/provider-token.ts'
import { ask } from '../protocols/oauth2/token-request.ts'
import { openId } from './oauth2/openid.ts'
import { type ProviderLoginOptions, type ProviderStrategy, providerOptions } from './oauth2/options.ts'
import { type KnownIdentity, noIdentity, oauth2Strategy } from './oauth2.ts'

export type { Identity } from '../protocols/oauth2/identity.ts'
export type { AccountRequest, OAuthEvent, ProviderCallOptions, ProviderStrategy } from './oauth2/options.ts'

export interface FacebookOptions<User> extends ProviderLoginOptions<User> {
  /** The app's secret. It also signs requests to the Graph API. */
  clientSecret: string
  /** Version of the Graph API. Default `v23.0`. */
  version?: string
  /**
   * Accepts the ID token of Limited Login, posted to the login route as `id_token`. Return the nonce that the app was told to
   * use, from the session. Default: such tokens are not accepted.
   */
  limitedLoginNonce?: (exchange: Exchange) => Awaitable<string | undefined>
  /** Other addresses of Facebook, for tests. */
  endpoints?: { readonly web: string; readonly graph: string; readonly limited?: string }
}

const ISSUER = 'https://www.facebook.com'

const facebookOptions: OptionKinds<FacebookOptions<unknown>> = {
  ...providerOptions,
  version: 'string',
  limitedLoginNonce: 'function',
  endpoints: 'object',
}

/**
 * Logs in with Facebook.
 *
 * @throws {UsageError} `ERR_OAUTH_OPTIONS`
 */
export function facebook<User extends UserObject>(options: FacebookOptions<User>): ProviderStrategy<User, 'facebook'> {
  checkOptions('facebook()', options, facebookOptions, 'ERR_OAUTH_OPTIONS')
  const { version = 'v23.0', endpoints = { web: ISSUER, graph: 'https://graph.facebook.com' } } = options
  const graph = `${endpoints.graph}/${version}`
  const usual = oauth2Strategy<User, 'facebook'>({
    authentication: 'client_secret_post',
    scope: ['email', 'public_profile'],
    ...options,
    name: 'facebook',
    label: 'Facebook',
    issuer: ISSUER,
    authorizationEndpoint: `${endpoints.web}/${version}/dialog/oauth`,
    tokenEndpoint: `${graph}/oauth/access_token`,
    identity: ({ accessToken }, fetch) => identityOf(fetch, graph, accessToken, options),
  })
  const { limitedLoginNonce } = options
  if (limitedLoginNonce === undefined) return usual
  const limited = limitedLogin(options, limitedLoginNonce, endpoints.limited ?? 'https://limited.facebook.com')
  return {
    ...usual,
    authenticate: async (exchange, attempt) => {
      const posted = exchange.method === 'POST' && typeof (await exchange.fields()).id_token === 'string'
      return (posted ? limited : usual).authenticate(exchange, attempt)
    },
  }
}

/** https://developers.facebook.com/docs/facebook-login/limited-login/token/validating */
function limitedLogin<User>(
  options: FacebookOptions<User>,
  expectedNonce: NonNullable<FacebookOptions<User>['limitedLoginNonce']>,
  home: string,
): ProviderStrategy<User, 'facebook'> {
  return openId(
    {
      name: 'facebook',
      label: 'Facebook',
      address: { issuer: home, metadata: { jwks_uri: `${home}/.well-known/oauth/openid/jwks/` } },
      issuerOf: ({ iss }) => (iss === ISSUER || iss === home ? iss : undefined),
      // The subject means the same user under both issuer names.
      refine: (identity) => ({ ...identity, issuer: ISSUER, emailVerified: false }),
      directIdToken: async (exchange, verify) => {
        const { id_token: token } = await exchange.fields()
        const nonce = await expectedNonce(exchange)
        if (nonce === undefined) throw new ProtocolError('ERR_OIDC_NONCE', 'This session has not begun a Limited Login')
        return verify(String(token), { nonce })
      },
    },
    options,
  )
}

type App = Pick<FacebookOptions<never>, 'clientId' | 'clientSecret'>

async function identityOf(fetch: ProviderFetch, graph: string, token: string, app: App): Promise<KnownIdentity> {
  const userId = await ownerOf(fetch, graph, token, app)
  const query = new URLSearchParams({
    fields: 'id,name,first_name,last_name,email,picture',
    appsecret_proof: proofOf(token, app.clientSecret),
  })
  const person = (await ask(fetch, `${graph}/me?${query}`, token)) as Claims
  if (person.id !== userId) throw noIdentity(ISSUER, 'id')
  return {
    subject: userId,
    email: textOf(person.email, 254),
    name: textOf(person.name),
    givenName: textOf(person.first_name),
    familyName: textOf(person.last_name),
    picture: pictureOf(person),
    claims: person,
  }
}

/**
 * The user id of a token that was issued to this app
 * (https://developers.facebook.com/docs/facebook-login/guides/access-tokens/debugging).
 */
async function ownerOf(fetch: ProviderFetch, graph: string, token: string, app: App): Promise<string> {
  const query = new URLSearchParams({ input_token: token })
  const { data } = (await ask(fetch, `${graph}/debug_token?${query}`, `${app.clientId}|${app.clientSecret}`)) as Claims
  const { app_id: appId, is_valid: valid, user_id: userId } = (data ?? {}) as Claims
  if (String(appId) !== app.clientId) throw noIdentity(ISSUER, 'app_id')
  if (valid !== true) throw noIdentity(ISSUER, 'is_valid')
  if (!isKeyText(userId)) throw noIdentity(ISSUER, 'user_id')
  return userId
}

/** HMAC-SHA-256 of the token with the secret as key, in hexadecimal. */
function proofOf(token: string, secret: string): string {
  return Buffer.from(hmacText(hmacKey(Buffer.from(secret)), token), 'base64url').toString('hex')
}

function pictureOf({ picture }: Claims): string | undefined {
  const { data } = (picture ?? {}) as { data?: Claims }
  return textOf(data?.url, 2048)
}
