/**
 * GitHub uses OAuth 2.0 and has no ID tokens for users. It has these differences:
 * - A separate address returns the user. Login names can change owners; the number cannot.
 * - Another address returns the e-mail addresses, with the primary one and whether each is verified.
 */

import { checkOptions, type OptionKinds, ProtocolError } from '../error.ts'
import type { UserObject } from '../passport/outcome.ts'
import { textOf } from '../protocols/oauth2/identity.ts'
import type { Claims } from '../protocols/oauth2/provider-token.ts'
import { ask } from '../protocols/oauth2/token-request.ts'
import { type ProviderLoginOptions, type ProviderStrategy, providerOptions } from './oauth2/options.ts'
import { noIdentity, oauth2Strategy } from './oauth2.ts'

export type { Identity } from '../protocols/oauth2/identity.ts'
export type { AccountRequest, OAuthEvent, ProviderCallOptions, ProviderStrategy } from './oauth2/options.ts'

export interface GitHubOptions<User> extends ProviderLoginOptions<User> {
  /** Other addresses of GitHub: Enterprise servers and tests. Default github.com. */
  endpoints?: { readonly web: string; readonly api: string }
}

const githubOptions: OptionKinds<GitHubOptions<unknown>> = { ...providerOptions, endpoints: 'object' }

/**
 * Logs in with GitHub.
 *
 * @throws {UsageError} `ERR_OAUTH_OPTIONS`
 */
export function github<User extends UserObject>(options: GitHubOptions<User>): ProviderStrategy<User, 'github'> {
  checkOptions('github()', options, githubOptions, 'ERR_OAUTH_OPTIONS')
  const { web, api } = options.endpoints ?? { web: 'https://github.com', api: 'https://api.github.com' }
  const issuer = `${web}/login/oauth`
  const scope = options.scope ?? ['read:user', 'user:email']
  return oauth2Strategy<User, 'github'>({
    authentication: 'client_secret_post',
    ...options,
    name: 'github',
    label: 'GitHub',
    scope,
    issuer,
    authorizationEndpoint: `${issuer}/authorize`,
    tokenEndpoint: `${issuer}/access_token`,
    async identity({ accessToken }, fetch) {
      const person = (await ask(fetch, `${api}/user`, accessToken)) as Claims
      if (!Number.isSafeInteger(person.id)) throw noIdentity(issuer, 'id')
      const wanted = scope.includes('user:email') || scope.includes('user')
      const email = wanted ? await primaryOf(ask(fetch, `${api}/user/emails`, accessToken)) : undefined
      return {
        subject: String(person.id),
        email,
        emailVerified: email !== undefined,
        name: textOf(person.name),
        username: textOf(person.login),
        picture: textOf(person.avatar_url, 2048),
        claims: person,
      }
    },
  })
}

/**
 * The primary address if it is verified. The address in the profile is not used, because the user can write any text there. A
 * user or an organisation may deny access to the addresses (403, 404): the login works without them.
 */
async function primaryOf(asked: ReturnType<typeof ask>): Promise<string | undefined> {
  const addresses = await asked.catch((error: unknown) => {
    if (error instanceof ProtocolError && error.code === 'ERR_OAUTH_IDENTITY') return []
    throw error
  })
  const list: readonly (Claims | null)[] = Array.isArray(addresses) ? addresses : []
  return textOf(list.find((address) => address?.primary === true && address.verified === true)?.email, 254)
}
