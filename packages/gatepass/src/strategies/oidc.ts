import { checkOptions, type OptionKinds } from '../error.ts'
import type { UserObject } from '../passport/outcome.ts'
import { openId } from './oauth2/openid.ts'
import { type ProviderLoginOptions, type ProviderStrategy, providerOptions } from './oauth2/options.ts'

export type { ClientAuthentication, ClientOptions } from '../protocols/oauth2/client.ts'
export type { Identity } from '../protocols/oauth2/identity.ts'
export type { ProviderTokens } from '../protocols/oauth2/token-request.ts'
export type {
  AccountRequest,
  OAuthEvent,
  ProviderCallOptions,
  ProviderLoginOptions,
  ProviderStrategy,
} from './oauth2/options.ts'
export { type Refreshing, type TokenVault, type TokenVaultOptions, tokenVault } from './oauth2/token-vault.ts'

/** Any OpenID provider. */
export interface OidcOptions<User, Name extends string = string> extends ProviderLoginOptions<User> {
  /** Name of the strategy: `auth.login('acme')`. */
  name: Name
  /** The provider's name in messages. Default: the strategy's name. */
  label?: string
  /** The issuer exactly as the provider writes it, including a slash at the end. Its metadata must be below this address. */
  issuer: string
}

const oidcOptions: OptionKinds<OidcOptions<unknown>> = {
  ...providerOptions,
  name: 'string',
  label: 'string',
  issuer: 'string',
}

/**
 * Logs in with any OpenID provider that publishes its metadata (OpenID Connect Core, Discovery).
 *
 * The strategy serves two routes: the login route, where the login begins, and its `callback`.
 *
 * @throws {UsageError} `ERR_OAUTH_OPTIONS`
 */
export function oidc<User extends UserObject, const Name extends string>(
  options: OidcOptions<User, Name>,
): ProviderStrategy<User, Name> {
  checkOptions('oidc()', options, oidcOptions, 'ERR_OAUTH_OPTIONS')
  const { name, label = name, issuer } = options
  return openId({ name, label, address: { issuer } }, options)
}
