import {
  type AuthorizationServer,
  authorizationCodeGrantRequest,
  refreshTokenGrantRequest,
  userInfoRequest,
  validateAuthResponse,
} from 'oauth4webapi'
import { ProtocolError } from '../../error.ts'
import { saidBy } from './callback.ts'
import { type Client, registration, transport } from './client.ts'
import { webAddress } from './metadata.ts'
import { objectIn, type ProviderFetch } from './provider-fetch.ts'
import type { Claims } from './provider-token.ts'

/** The tokens that a provider issued. */
export interface ProviderTokens {
  readonly accessToken: string
  /** Milliseconds since 1970, if the provider names it. */
  readonly expiresAt: number | undefined
  readonly refreshToken: string | undefined
  /** Not validated yet. */
  readonly idToken: string | undefined
  /** The granted scopes, if they differ from the requested ones. */
  readonly scope: readonly string[] | undefined
}

/**
 * Exchanges a code for tokens (RFC 6749 §4.1.3). A code can be used once.
 *
 * @throws {ProtocolError} `ERR_OAUTH_TOKEN`, and what {@link ProviderFetch} throws
 */
export async function exchangeCode(
  client: Client,
  { code, redirectUri, verifier }: { code: string; redirectUri: string; verifier: string },
): Promise<ProviderTokens> {
  const server = await client.metadata()
  const known = registration(client)
  // The parameters have been checked. oauth4webapi accepts only parameters that it has validated itself.
  const withoutIss = { ...server, authorization_response_iss_parameter_supported: false }
  const parameters = validateAuthResponse(withoutIss, known, new URLSearchParams({ code }))
  const response = await authorizationCodeGrantRequest(
    server,
    known,
    await client.authentication(server),
    parameters,
    redirectUri,
    verifier,
    transport(client),
  )
  return tokensOf(client, server, response)
}

/** @throws {ProtocolError} `ERR_OAUTH_TOKEN` if the token is no longer valid, and what {@link ProviderFetch} throws */
export async function refreshTokens(client: Client, refreshToken: string): Promise<ProviderTokens> {
  const server = await client.metadata()
  const authentication = await client.authentication(server)
  const known = registration(client)
  const response = await refreshTokenGrantRequest(server, known, authentication, refreshToken, transport(client))
  const tokens = await tokensOf(client, server, response)
  // RFC 6749 §6: if the provider sends no new refresh token, the old one stays valid.
  return { ...tokens, refreshToken: tokens.refreshToken ?? refreshToken }
}

/**
 * Reads a token response (RFC 6749 §5.1). It tolerates deviations in members that a login does not need, such as a `scope`
 * that is a list, or null. The ID token is validated elsewhere.
 */
async function tokensOf(client: Client, { issuer }: AuthorizationServer, response: Response): Promise<ProviderTokens> {
  const answer: unknown = await response.json().catch(() => undefined)
  if (typeof answer !== 'object' || answer === null)
    throw unusable(issuer, `answered with ${response.status} and no JSON object`)
  const body = answer as Claims
  const { access_token: accessToken, token_type: type } = body
  if (!response.ok || (accessToken === undefined && body.error !== undefined)) {
    throw unusable(issuer, `answered with ${typeof body.error === 'string' ? saidBy(body.error) : response.status}`)
  }
  if (!isSendable(accessToken)) throw unusable(issuer, 'answered with a missing or invalid `access_token`')
  const isBearer = type === undefined || type === null || (typeof type === 'string' && type.toLowerCase() === 'bearer')
  if (!isBearer) throw unusable(issuer, 'answered with a `token_type` other than Bearer')
  const lifetime = Number(
    typeof body.expires_in === 'string' ? body.expires_in.trim() || Number.NaN : (body.expires_in ?? Number.NaN),
  )
  return {
    accessToken,
    expiresAt: Number.isFinite(lifetime) && lifetime > 0 ? client.clock() + lifetime * 1000 : undefined,
    refreshToken: filledText(body.refresh_token),
    idToken: filledText(body.id_token),
    scope: scopesIn(body.scope),
  }
}

/** RFC 6749 appendix A.12. `fetch` would quote an invalid token in its error about the header field. */
function isSendable(accessToken: unknown): accessToken is string {
  return typeof accessToken === 'string' && /^[\x20-\x7e]+$/.test(accessToken)
}

function filledText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** Reads scopes from a text with spaces (RFC 6749 §3.3) or a list. */
function scopesIn(scope: unknown): string[] | undefined {
  const list: readonly unknown[] | undefined =
    typeof scope === 'string' ? scope.split(' ') : Array.isArray(scope) ? scope : undefined
  return list?.filter((one) => typeof one === 'string' && one !== '') as string[] | undefined
}

/** Names the fault and never a value, because the answer may contain a token. */
function unusable(issuer: string, what: string): ProtocolError {
  return new ProtocolError('ERR_OAUTH_TOKEN', `The provider at ${issuer} ${what}`, { status: 502 })
}

/**
 * Asks the provider for the claims of the user that the access token belongs to (OpenID Connect Core §5.3).
 *
 * @param subject the subject of the ID token; an answer about another subject is refused
 * @throws {ProtocolError} `ERR_OIDC_USERINFO`, and what {@link ProviderFetch} throws
 */
export async function userinfo(client: Client, accessToken: string, subject: string): Promise<Claims> {
  const server = await client.metadata()
  if (webAddress(server.userinfo_endpoint) === undefined) throw badUserinfo(server.issuer, 'is not at a web address')
  const response = await userInfoRequest(server, registration(client), accessToken, transport(client))
  const claims = await objectIn(response)
  if (claims === undefined) throw badUserinfo(server.issuer, `has status ${response.status} and no JSON object`)
  const { sub } = claims
  if (sub !== subject && !(Number.isSafeInteger(sub) && String(sub) === subject)) {
    throw badUserinfo(
      server.issuer,
      `has a \`sub\` that is ${typeof sub === 'string' ? 'another person’s' : 'missing or not a string'}`,
    )
  }
  return claims
}

function badUserinfo(issuer: string, what: string): ProtocolError {
  return new ProtocolError('ERR_OIDC_USERINFO', `The userinfo answer of the provider at ${issuer} ${what}`, {
    status: 502,
  })
}

/**
 * Fetches JSON from a provider's own address.
 *
 * @throws {ProtocolError} `ERR_OAUTH_IDENTITY` if the provider refuses, or the answer is not JSON
 */
export async function ask(fetch: ProviderFetch, url: string, accessToken: string): Promise<Claims | readonly Claims[]> {
  const headers = { accept: 'application/json', authorization: `Bearer ${accessToken}`, 'user-agent': 'gatepass' }
  const response = await fetch(url, { headers })
  const answer = await objectIn(response)
  if (answer !== undefined) return answer as Claims | readonly Claims[]
  const { origin, pathname } = new URL(url)
  const what = `answered ${pathname} with ${response.status}${response.ok ? ' and no JSON object' : ''}`
  throw new ProtocolError('ERR_OAUTH_IDENTITY', `${origin} ${what}, so the user of the access token is unknown`)
}
