import { ProtocolError } from '../../error.ts'
import type { ProviderFetch } from '../../protocols/oauth2/provider-fetch.ts'
import type { Claims } from '../../protocols/oauth2/provider-token.ts'

/**
 * What a provider's own address answers, as JSON.
 *
 * @throws {ProtocolError} `ERR_OAUTH_IDENTITY` if it refuses, or answers something else
 */
export async function ask(fetch: ProviderFetch, url: string, accessToken: string): Promise<Claims | readonly Claims[]> {
  const headers = { accept: 'application/json', authorization: `Bearer ${accessToken}`, 'user-agent': 'gatepass' }
  const response = await fetch(url, { headers })
  const answer: unknown = response.ok ? await response.json().catch(() => undefined) : undefined
  if (typeof answer === 'object' && answer !== null) return answer as Claims | readonly Claims[]
  const { origin, pathname } = new URL(url)
  const what = `answers ${pathname} with ${response.status}${response.ok ? ' and no JSON object' : ''}`
  throw new ProtocolError('ERR_OAUTH_IDENTITY', `${origin} ${what}, and does not say whose access token that is`)
}
