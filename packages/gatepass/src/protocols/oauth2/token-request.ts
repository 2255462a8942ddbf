import {
  type AuthorizationServer,
  authorizationCodeGrantRequest,
  ResponseBodyError,
  refreshTokenGrantRequest,
  validateAuthResponse,
} from 'oauth4webapi'
import { type ErrorCode, GatepassError, ProtocolError } from '../../error.ts'
import { saidBy } from './callback.ts'
import { type Client, registration, transport } from './client.ts'
import type { Claims } from './provider-token.ts'

/** What a provider handed out. */
export interface ProviderTokens {
  readonly accessToken: string
  /** Milliseconds since 1970, if the provider says. */
  readonly expiresAt: number | undefined
  readonly refreshToken: string | undefined
  /** Not validated here. */
  readonly idToken: string | undefined
  /** What was granted, if that is not what was asked for. */
  readonly scope: readonly string[] | undefined
}

/**
 * Exchanges a code, once (RFC 6749 §4.1.3).
 *
 * @throws {ProtocolError} `ERR_OAUTH_TOKEN`, and what {@link ProviderFetch} throws
 */
export async function exchangeCode(
  client: Client,
  { code, redirectUri, verifier }: { code: string; redirectUri: string; verifier: string },
): Promise<ProviderTokens> {
  const server = await client.metadata()
  const known = registration(client)
  // The parameters were judged before; oauth4webapi takes only what it has seen itself.
  const parameters = validateAuthResponse(withoutIss(server), known, new URLSearchParams({ code }))
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

/** @throws {ProtocolError} `ERR_OAUTH_TOKEN` when it counts no longer, and what {@link ProviderFetch} throws */
export async function refreshTokens(client: Client, refreshToken: string): Promise<ProviderTokens> {
  const server = await client.metadata()
  const authentication = await client.authentication(server)
  const known = registration(client)
  const response = await refreshTokenGrantRequest(server, known, authentication, refreshToken, transport(client))
  const tokens = await tokensOf(client, server, response)
  // RFC 6749 §6: a provider that sends none lets the old one count on.
  return { ...tokens, refreshToken: tokens.refreshToken ?? refreshToken }
}

/**
 * Reads a token response (RFC 6749 §5.1). Providers take liberties with what a login does not need: `scope` is a list, a
 * member is null. The ID token is judged by one verifier of ours, wherever it comes from.
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
  if (!isSendable(accessToken)) throw unusable(issuer, 'gave an `access_token` that is missing or cannot be sent')
  const isBearer = type === undefined || type === null || (typeof type === 'string' && type.toLowerCase() === 'bearer')
  if (!isBearer) throw unusable(issuer, 'gave a `token_type` other than Bearer')
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

/** RFC 6749 appendix A.12; `fetch` would quote anything else in its error about the header field. */
function isSendable(accessToken: unknown): accessToken is string {
  return typeof accessToken === 'string' && /^[\x20-\x7e]+$/.test(accessToken)
}

function filledText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** A text with spaces (RFC 6749 §3.3), or a list. */
function scopesIn(scope: unknown): string[] | undefined {
  const list: readonly unknown[] | undefined =
    typeof scope === 'string' ? scope.split(' ') : Array.isArray(scope) ? scope : undefined
  return list?.filter((one) => typeof one === 'string' && one !== '') as string[] | undefined
}

/** What is wrong is named, and never its value: the answer may hold a token. */
function unusable(issuer: string, what: string): ProtocolError {
  return new ProtocolError('ERR_OAUTH_TOKEN', `The provider at ${issuer} ${what}`, { status: 502 })
}

function withoutIss(server: AuthorizationServer): AuthorizationServer {
  return { ...server, authorization_response_iss_parameter_supported: false }
}

/** What a provider answered, or why it will not do. The answer itself stays out of the error, since it may hold a token. */
export async function usable<T>(issuer: string, code: ErrorCode, answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof GatepassError) throw error
    const said = error instanceof ResponseBodyError && /^[a-z_]{1,64}$/.test(error.error) ? `: ${error.error}` : ''
    throw new ProtocolError(code, `The provider at ${issuer} did not give what was asked for${said}`, { status: 502 })
  }
}
