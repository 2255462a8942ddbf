import {
  type AuthorizationServer,
  authorizationCodeGrantRequest,
  processGenericTokenEndpointResponse,
  ResponseBodyError,
  refreshTokenGrantRequest,
  type TokenEndpointResponse,
  validateAuthResponse,
} from 'oauth4webapi'
import { type ErrorCode, GatepassError, ProtocolError } from '../../error.ts'
import { type Client, registration, transport } from './client.ts'

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

async function tokensOf(client: Client, server: AuthorizationServer, response: Response): Promise<ProviderTokens> {
  const { rest, idToken } = await withoutIdToken(response)
  const body = await usable(
    server.issuer,
    'ERR_OAUTH_TOKEN',
    processGenericTokenEndpointResponse(server, registration(client), rest),
  )
  if (body.token_type !== 'bearer' || !isSendable(body.access_token)) {
    throw new ProtocolError('ERR_OAUTH_TOKEN', `The provider at ${server.issuer} gave no bearer token`, { status: 502 })
  }
  return {
    accessToken: body.access_token,
    expiresAt: expiryOf(body, client.clock()),
    refreshToken: body.refresh_token,
    idToken,
    scope: body.scope?.split(' ').filter((scope) => scope !== ''),
  }
}

/** RFC 6749 appendix A.12; `fetch` would quote anything else in its error about the header field. */
function isSendable(accessToken: string): boolean {
  return /^[\x20-\x7e]+$/.test(accessToken)
}

/** The ID token is taken out: one verifier of ours judges it, wherever it comes from. */
async function withoutIdToken(response: Response): Promise<{ rest: Response; idToken: string | undefined }> {
  const body: unknown = await response
    .clone()
    .json()
    .catch(() => undefined)
  if (typeof body !== 'object' || body === null || !('id_token' in body)) return { rest: response, idToken: undefined }
  const { id_token: idToken, ...others } = body
  const { status, headers } = response
  const rest = new Response(JSON.stringify(others), { status, headers })
  return { rest, idToken: typeof idToken === 'string' ? idToken : undefined }
}

function expiryOf({ expires_in: seconds }: TokenEndpointResponse, now: number): number | undefined {
  return seconds === undefined ? undefined : now + seconds * 1000
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
