import { userInfoRequest } from 'oauth4webapi'
import { ProtocolError } from '../../error.ts'
import { type Client, registration, transport } from './client.ts'
import { webAddress } from './metadata.ts'
import type { Claims } from './provider-token.ts'

/**
 * Asks the provider for the claims of the user that the access token belongs to (OpenID Connect Core §5.3).
 *
 * @param subject the subject of the ID token; an answer about another subject is refused
 * @throws {ProtocolError} `ERR_OIDC_USERINFO`, and what {@link ProviderFetch} throws
 */
export async function userinfo(client: Client, accessToken: string, subject: string): Promise<Claims> {
  const server = await client.metadata()
  if (webAddress(server.userinfo_endpoint) === undefined) throw refused(server.issuer, 'is not at a web address')
  const response = await userInfoRequest(server, registration(client), accessToken, transport(client))
  const answer: unknown = response.ok ? await response.json().catch(() => undefined) : undefined
  if (typeof answer !== 'object' || answer === null) {
    throw refused(server.issuer, `has status ${response.status} and no JSON object`)
  }
  const claims = answer as Claims
  const { sub } = claims
  if (sub !== subject && !(Number.isSafeInteger(sub) && String(sub) === subject)) {
    throw refused(
      server.issuer,
      `has a \`sub\` that is ${typeof sub === 'string' ? 'another person’s' : 'missing or not a string'}`,
    )
  }
  return claims
}

function refused(issuer: string, what: string): ProtocolError {
  return new ProtocolError('ERR_OIDC_USERINFO', `The userinfo answer of the provider at ${issuer} ${what}`, {
    status: 502,
  })
}
