import { processUserInfoResponse, userInfoRequest } from 'oauth4webapi'
import { type Client, registration, transport } from './client.ts'
import type { Claims } from './provider-token.ts'
import { usable } from './token-request.ts'

/**
 * What the provider tells about the person whose access token this is (OpenID Connect Core §5.3).
 *
 * @param subject whom the ID token names: an answer about somebody else is refused
 * @throws {ProtocolError} `ERR_OIDC_USERINFO`, and what {@link ProviderFetch} throws
 */
export async function userinfo(client: Client, accessToken: string, subject: string): Promise<Claims> {
  const server = await client.metadata()
  const known = registration(client)
  const answer = userInfoRequest(server, known, accessToken, transport(client)).then((response) =>
    processUserInfoResponse(server, known, subject, response),
  )
  return usable(server.issuer, 'ERR_OIDC_USERINFO', answer)
}
