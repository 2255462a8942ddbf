import type { Awaitable } from '../awaitable.ts'
import { checkOptions, isKeyText, kindOf, type OptionKinds, ProtocolError, UsageError } from '../error.ts'
import type { UserObject } from '../passport/outcome.ts'
import { client as clientOf } from '../protocols/oauth2/client.ts'
import { type Identity, identityOf, textOf } from '../protocols/oauth2/identity.ts'
import type { ProviderFetch } from '../protocols/oauth2/provider-fetch.ts'
import { type ProviderTokens, refreshTokens } from '../protocols/oauth2/token-request.ts'
import { CodeFlow } from './oauth2/code-login.ts'
import { type ProviderLoginOptions, type ProviderStrategy, providerOptions } from './oauth2/options.ts'

export type { ClientAuthentication, ClientOptions } from '../protocols/oauth2/client.ts'
export type { Identity } from '../protocols/oauth2/identity.ts'
export type { ProviderFetch } from '../protocols/oauth2/provider-fetch.ts'
export type { ProviderTokens } from '../protocols/oauth2/token-request.ts'
export type {
  AccountRequest,
  OAuthEvent,
  ProviderCallOptions,
  ProviderLoginOptions,
  ProviderStrategy,
} from './oauth2/options.ts'

/** A user's identity from a provider without ID tokens. Only `subject` is required. */
export type KnownIdentity = Pick<Identity, 'subject'> & Partial<Omit<Identity, 'issuer'>>

/** A provider that is not an OpenID provider. */
export interface OAuth2Options<User, Name extends string = string> extends ProviderLoginOptions<User> {
  /** Name of the strategy: `auth.login('acme')`. */
  name: Name
  /** The provider's name in messages. Default: the strategy's name. */
  label?: string
  authorizationEndpoint: string
  tokenEndpoint: string
  /** The `issuer` of identities, and the required `iss` in a callback. Default: the origin of `authorizationEndpoint`. */
  issuer?: string
  /**
   * Asks the provider which user the access token belongs to. `fetch` has the limits of every request to a provider, and calls
   * no internal address.
   */
  identity(tokens: ProviderTokens, fetch: ProviderFetch): Awaitable<KnownIdentity>
}

/**
 * Logs in with a provider that uses OAuth 2.0 (RFC 6749, RFC 7636, RFC 9700) and has its own address for the user's identity.
 *
 * @throws {UsageError} `ERR_OAUTH_OPTIONS`
 */
export function oauth2<User extends UserObject, const Name extends string>(
  options: OAuth2Options<User, Name>,
): ProviderStrategy<User, Name> {
  checkOptions('oauth2()', options, oauth2Options, 'ERR_OAUTH_OPTIONS')
  return oauth2Strategy(options)
}

const oauth2Options: OptionKinds<OAuth2Options<unknown>> = {
  ...providerOptions,
  name: 'string',
  label: 'string',
  authorizationEndpoint: 'string',
  tokenEndpoint: 'string',
  issuer: 'string',
  identity: 'needed',
}

/** {@link oauth2} for a provider with additional options, which its own function has checked. */
export function oauth2Strategy<User, const Name extends string>(
  options: OAuth2Options<User, Name>,
): ProviderStrategy<User, Name> {
  const { name, label = name, authorizationEndpoint, tokenEndpoint, scope = [] } = options
  const issuer = options.issuer ?? URL.parse(authorizationEndpoint)?.origin ?? authorizationEndpoint
  const metadata = { authorization_endpoint: authorizationEndpoint, token_endpoint: tokenEndpoint }
  const client = clientOf(name, { issuer, metadata }, options)
  const login = {
    name,
    label,
    client,
    scope,
    withNonce: false,
    issuers: (claimed: string) => claimed === issuer,
    identify: async (tokens: ProviderTokens) => ({
      identity: completed(issuer, await options.identity(tokens, client.fetch)),
    }),
  }
  const flow = new CodeFlow<User>(login, options)
  return {
    name,
    callback: flow.callback.address,
    refresh: (refreshToken) => refreshTokens(client, refreshToken),
    authenticate: (exchange, attempt) => flow.authenticate(exchange, attempt),
  }
}

function completed(issuer: string, known: KnownIdentity): Identity {
  if (kindOf(known) !== 'an object') throw notKnown(kindOf(known))
  const { subject }: { subject: unknown } = known
  if (subject !== undefined && subject !== null && typeof subject !== 'string') {
    throw notKnown(`a \`subject\` that is ${kindOf(subject)}`)
  }
  if (!isKeyText(subject) || textOf(subject) === undefined) throw noIdentity(issuer, 'subject')
  return { ...identityOf(issuer, subject, {}), ...known, issuer }
}

/** The error for an answer that does not identify the user. */
export function noIdentity(issuer: string, member: string): ProtocolError {
  const what = `did not identify the user of its access token: \`${member}\` is missing or wrong`
  return new ProtocolError('ERR_OAUTH_IDENTITY', `The provider at ${issuer} ${what}`)
}

function notKnown(kind: string): UsageError {
  return new UsageError('ERR_OAUTH_OPTIONS', `\`identity\` of oauth2() gave ${kind}`, {
    hint: 'Return { subject: person.id.toString(), email, name }. The subject is a string that never belongs to another user.',
  })
}
