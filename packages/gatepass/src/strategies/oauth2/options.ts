import type { Awaitable } from '../../awaitable.ts'
import { checkOptions, type ErrorCode, type OptionKinds, UsageError } from '../../error.ts'
import type { Exchange } from '../../http/exchange.ts'
import type { Linking } from '../../passport/intent.ts'
import type { Found } from '../../passport/outcome.ts'
import type { Strategy } from '../../passport/strategy.ts'
import { checkParameters } from '../../protocols/oauth2/authorization.ts'
import type { ClientOptions } from '../../protocols/oauth2/client.ts'
import type { Identity } from '../../protocols/oauth2/identity.ts'
import type { ProviderTokens } from '../../protocols/oauth2/token-request.ts'
import { trustedOrigin } from './trusted-origin.ts'

/** What an application is told besides who somebody is. */
export interface AccountRequest {
  /** `link`: add the identity to the account of `linking.subject`, unless it is another account's. */
  readonly purpose: 'login' | 'link'
  /** Who began to link; `undefined` at a login. */
  readonly subject: string | undefined
  /**
   * Session and credentials that linking began with, found unchanged after the provider answered. Both may still change while
   * you write: link in one statement, with `stamp` in its condition. `undefined` at a login.
   */
  readonly linking: Linking | undefined
  /** With the option `tokens` only. They open the person's account at the provider: seal them before they are stored. */
  readonly tokens: ProviderTokens | undefined
  readonly exchange: Exchange
}

/** What a strategy tells, for logs and alarms. */
export interface OAuthEvent {
  readonly type: 'login_refused'
  readonly strategy: string
  readonly code: ErrorCode
  /** Without tokens, codes and secrets. */
  readonly error: Error
}

/** What every login at a provider takes. */
export interface ProviderLoginOptions<User> extends ClientOptions {
  /**
   * Where the provider sends the browser back to, as registered there, for this strategy alone: a path here, or a whole
   * address. Without `origin` of `gatepass()` a path does on localhost only.
   */
  callback: string
  /**
   * Whose identity that is, by `issuer` and `subject`; makes the account if it is to be made. `undefined` refuses with a
   * message that says so, a `Failure` (declared as one, for `User` is inferred here) with its own. An e-mail address finds nobody's account; see the guide on linking.
   */
  account(identity: Identity, request: AccountRequest): Awaitable<Found<User>>
  /** What to ask for; default the least that gives name and e-mail address. */
  scope?: readonly string[]
  /** Further parameters of the provider's own. */
  parameters?: Readonly<Record<string, string>>
  /** Sends requests by pushing them (RFC 9126). Default: where the provider requires it. */
  pushed?: boolean
  /** Hands the provider's tokens to `account`. Default false: they are dropped. */
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

/** A strategy, and what else can be asked of its provider. */
export interface ProviderStrategy<User, Name extends string = string> extends Strategy<User, Name> {
  /**
   * Fresh tokens for a refresh token that was kept.
   *
   * @throws {ProtocolError} `ERR_OAUTH_TOKEN` when it counts no longer, `ERR_OAUTH_UNAVAILABLE`
   */
  refresh(refreshToken: string): Promise<ProviderTokens>
}

/** What one call may ask for: `auth.login('acme', { strategy: { prompt: 'login' } })`. Checked when the browser comes back. */
export interface ProviderCallOptions {
  /** `login`: ask the person to prove who they are, even if the provider knows. `select_account`, `consent`, `none`. */
  prompt?: string
  /** Seconds since the person last proved who they are; an older proof is refused. */
  maxAge?: number
  /** Who is likely to log in. */
  loginHint?: string
  /** How strong the proof must be: one of these is required in return. */
  acrValues?: readonly string[]
  /** Further parameters of the provider's own. */
  parameters?: Readonly<Record<string, string>>
}

const callKinds: OptionKinds<ProviderCallOptions> = {
  prompt: 'string',
  maxAge: 'any',
  loginHint: 'string',
  acrValues: 'any',
  parameters: 'object',
}

/** @throws {UsageError} `ERR_OAUTH_OPTIONS` */
export function callOptions(options: Readonly<Record<string, unknown>>): ProviderCallOptions {
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

/** Where the provider sends the browser back to. */
export interface CallbackAddress {
  readonly path: string
  /** As configured: a path here, or a whole address. */
  readonly address: string
  /** @throws {UsageError} `ERR_OAUTH_OPTIONS` if nobody but the request says where we are, and that is not this machine */
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
