import type { Awaitable } from '../../awaitable.ts'
import { checkOptions, type ErrorCode, type OptionKinds, UsageError } from '../../error.ts'
import type { Exchange } from '../../http/exchange.ts'
import type { Found } from '../../passport/outcome.ts'
import type { Attempt, Linking, Strategy } from '../../passport/strategy.ts'
import { checkParameters } from '../../protocols/oauth2/authorization.ts'
import type { ClientOptions } from '../../protocols/oauth2/client.ts'
import type { Identity } from '../../protocols/oauth2/identity.ts'
import type { ProviderTokens } from '../../protocols/oauth2/token-request.ts'
import { trustedOrigin } from './refusals.ts'

/** What `account` receives besides the identity. */
export interface AccountRequest {
  /** `link`: add the identity to the account of `linking.subject`, unless it belongs to another account. */
  readonly purpose: 'login' | 'link'
  /** The subject that began to link; `undefined` at a login. */
  readonly subject: string | undefined
  /**
   * The session and credentials that linking began with, checked again after the provider answered. They may still change
   * while you write: link in one statement, with `stamp` in its condition. `undefined` at a login.
   */
  readonly linking: Linking | undefined
  /** Only with the option `tokens`. They give access to the user's account at the provider: seal them before you store them. */
  readonly tokens: ProviderTokens | undefined
  readonly exchange: Exchange
}

/** An event of a strategy, for logs and alarms. */
export interface OAuthEvent {
  readonly type: 'login_refused'
  readonly strategy: string
  readonly code: ErrorCode
  /** The error, without tokens, codes and secrets. */
  readonly error: Error
}

/** The options of every login with a provider. */
export interface ProviderLoginOptions<User> extends ClientOptions {
  /**
   * Where the provider sends the browser back to, as registered there: a path of this application, or a whole address. Each
   * strategy needs its own. Without the option `origin` of `gatepass()`, a path works only on localhost.
   */
  callback: string
  /**
   * Finds the account of an identity by `issuer` and `subject`, or creates it. Return `undefined` to refuse with the usual
   * message, or a `Failure` with your own (declare it as `Failure`, because `User` is inferred here). Do not find accounts by
   * e-mail address; see the guide on linking.
   */
  account(identity: Identity, request: AccountRequest): Awaitable<Found<User>>
  /** The scopes to request. Default: the smallest set that gives name and e-mail address. */
  scope?: readonly string[]
  /** Additional parameters that are specific to the provider. */
  parameters?: Readonly<Record<string, string>>
  /** Pushes authorization requests (RFC 9126). Default: only if the provider requires it. */
  pushed?: boolean
  /** Passes the provider's tokens to `account`. Default false: they are dropped. */
  tokens?: boolean
  onEvent?: (event: OAuthEvent, exchange: Exchange) => void
}

export const providerOptions: OptionKinds<ProviderLoginOptions<unknown>> = {
  clientId: 'any',
  clientSecret: 'any',
  clientKey: 'object',
  authentication: 'string',
  privateNetwork: 'boolean',
  insecureLoopback: 'boolean',
  clock: 'function',
  callback: 'any',
  account: 'needed',
  scope: 'list',
  parameters: 'object',
  pushed: 'boolean',
  tokens: 'boolean',
  onEvent: 'function',
}

/** A strategy for a provider, which can also refresh tokens. */
export interface ProviderStrategy<User, Name extends string = string> extends Strategy<User, Name> {
  /**
   * Gets new tokens for a stored refresh token.
   *
   * @throws {ProtocolError} `ERR_OAUTH_TOKEN` if it is no longer valid, `ERR_OAUTH_UNAVAILABLE`
   */
  refresh(refreshToken: string): Promise<ProviderTokens>
}

/** Options of one login: `auth.login('acme', { strategy: { prompt: 'login' } })`. Checked when the browser comes back. */
export interface ProviderCallOptions {
  /** `login` asks the user to authenticate again. Also `select_account`, `consent`, `none`. */
  prompt?: string
  /** How many seconds ago the user may have authenticated. An older authentication is refused. */
  maxAge?: number
  /** The user who probably logs in, for example an e-mail address. */
  loginHint?: string
  /** The accepted strengths of authentication. The provider's `acr` must be one of these. */
  acrValues?: readonly string[]
  /** Additional parameters that are specific to the provider. */
  parameters?: Readonly<Record<string, string>>
}

const callKinds: OptionKinds<ProviderCallOptions> = {
  prompt: 'string',
  maxAge: 'any',
  loginHint: 'string',
  acrValues: 'any',
  parameters: 'object',
}

/**
 * @param given the options of the route. If it names several strategies, options of the others are ignored
 * @throws {UsageError} `ERR_OAUTH_OPTIONS`
 */
export function callOptions({ options: given, alone }: Pick<Attempt, 'options' | 'alone'>): ProviderCallOptions {
  const ours = Object.entries(given).filter(([name]) => alone !== false || Object.hasOwn(callKinds, name))
  const options: Readonly<Record<string, unknown>> = Object.fromEntries(ours)
  checkOptions('strategy options of a login route', options, callKinds, 'ERR_OAUTH_OPTIONS')
  const { maxAge, acrValues } = options
  const isText = (value: unknown) => typeof value === 'string'
  const wrong = Object.entries({
    maxAge: maxAge === undefined || (Number.isInteger(maxAge) && (maxAge as number) >= 0),
    acrValues: acrValues === undefined || (Array.isArray(acrValues) && acrValues.every(isText)),
  }).find(([, fits]) => !fits)
  if (wrong !== undefined)
    throw new UsageError('ERR_OAUTH_OPTIONS', `The strategy option \`${wrong[0]}\` has a wrong type`)
  return options as ProviderCallOptions
}

/** The address that the provider sends the browser back to. */
export interface CallbackAddress {
  readonly path: string
  /** As configured: a path of this application, or a whole address. */
  readonly address: string
  /** @throws {UsageError} `ERR_OAUTH_OPTIONS` if no origin is configured and the request does not come to this machine */
  redirectUri(exchange: Exchange): string
}

/** @throws {UsageError} `ERR_OAUTH_OPTIONS` */
export function callbackAddress(
  strategy: string,
  options: Pick<ProviderLoginOptions<never>, 'callback' | 'parameters'>,
): CallbackAddress {
  checkParameters(options.parameters)
  const { callback } = options
  const whole = /^https?:/.test(String(callback))
  const url = whole || String(callback).startsWith('/') ? URL.parse(callback, 'https://app.example') : null
  if (url === null || url.search !== '' || url.hash !== '') {
    throw new UsageError('ERR_OAUTH_OPTIONS', `${strategy}: \`callback\` is neither a path nor an address`, {
      hint: `callback: '/auth/${strategy}/callback'`,
    })
  }
  const { pathname: path, href } = url
  return {
    ...{ path, address: whole ? href : path },
    redirectUri: (exchange) => (whole ? href : trustedOrigin(strategy, exchange) + path),
  }
}
