import { ProtocolError } from '../../error.ts'
import type { ProviderFetch } from '../../protocols/oauth2/provider-fetch.ts'
import type { Claims } from '../../protocols/oauth2/provider-token.ts'

/**
 * Fetches JSON from a provider's own address.
 *
 * @throws {ProtocolError} `ERR_OAUTH_IDENTITY` if the provider refuses, or the answer is not JSON
 */
export async function ask(fetch: ProviderFetch, url: string, accessToken: string): Promise<Claims | readonly Claims[]> {
  const headers = { accept: 'application/json', authorization: `Bearer ${accessToken}`, 'user-agent': 'gatepass' }
  const response = await fetch(url, { headers })
  const answer: unknown = response.ok ? await response.json().catch(() => undefined) : undefined
  if (typeof answer === 'object' && answer !== null) return answer as Claims | readonly Claims[]
  const { origin, pathname } = new URL(url)
  const what = `answered ${pathname} with ${response.status}${response.ok ? ' and no JSON object' : ''}`
  throw new ProtocolError('ERR_OAUTH_IDENTITY', `${origin} ${what}, so the user of the access token is unknown`)
}
