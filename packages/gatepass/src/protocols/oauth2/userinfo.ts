import { userInfoRequest } from 'oauth4webapi'
import { ProtocolError } from '../../error.ts'
import { type Client, registration, transport } from './client.ts'
import { webAddress } from './metadata.ts'
import type { Claims } from './provider-token.ts'

/**
 * What the provider tells about the person whose access token this is (OpenID Connect Core §5.3).
 *
 * @param subject whom the ID token names: an answer about another person is refused
 * @throws {ProtocolError} `ERR_OIDC_USERINFO`, and what {@link ProviderFetch} throws
 */
export async function userinfo(client: Client, accessToken: string, subject: string): Promise<Claims> {
  const server = await client.metadata()
  if (webAddress(server.userinfo_endpoint) === undefined) throw refused(server.issuer, 'is not at a web address')
  const response = await userInfoRequest(server, registration(client), accessToken, transport(client))
  const answer: unknown = response.ok ? await response.json().catch(() => undefined) : undefined
  if (typeof answer !== 'object' || answer === null) {
    throw refused(server.issuer, `answers with ${response.status} and no JSON object`)
  }
  const claims = answer as Claims
  const { sub } = claims
  if (sub !== subject && !(Number.isSafeInteger(sub) && String(sub) === subject)) {
    throw refused(
      server.issuer,
      `has a \`sub\` that is ${typeof sub === 'string' ? 'another person’s' : 'missing or not a text'}`,
    )
  }
  return claims
}

function refused(issuer: string, what: string): ProtocolError {
  return new ProtocolError('ERR_OIDC_USERINFO', `What the provider at ${issuer} tells about the person ${what}`, {
    status: 502,
  })
}
