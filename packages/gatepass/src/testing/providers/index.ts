/** `gatepass/testing/providers`: login providers on this machine, for development and tests. Needs `oidc-provider`. */
import type { ClientMetadata } from 'oidc-provider'
import { FacebookServer } from './facebook.ts'
import type { Fault, PlainFault } from './fault.ts'
import { rsaKey } from './id-tokens.ts'
import { listenOnLoopback } from './listener.ts'
import { OpenIdServer } from './oidc-provider.ts'
import type { OpenIdSettings } from './openid-configuration.ts'
import { type Person, people as usualPeople } from './person.ts'

export type { Fault, PlainFault } from './fault.ts'
export { type Person, people } from './person.ts'

/** The registration of an application at a provider. */
export interface PretendClient {
  clientId: string
  clientSecret: string
  /** The exact addresses that the browser may be sent back to. */
  redirectUris: readonly string[]
  /** The addresses that the browser may be sent to after a logout. */
  postLogoutRedirectUris?: readonly string[]
  /** Receives a logout token when a user logs out at the provider. */
  backChannelLogoutUri?: string
}

export interface PretendOptions {
  clients: readonly PretendClient[]
  /** The users to choose from. Default: one of each kind. */
  people?: readonly Person[]
  /** Default 0: any free port. An identity belongs to its issuer, so use a fixed port if accounts outlive the process. */
  port?: number
}

/** A provider at 127.0.0.1 that asks for no passwords. */
export interface PretendProvider<Kind extends Fault = Fault> extends AsyncDisposable {
  readonly origin: string
  readonly people: readonly Person[]
  /** Sets the fault of the next login, unless its page is told another one. Without an argument there is no fault. */
  misbehave(fault?: Kind): void
  close(): Promise<void>
}

/** A pretend provider that is an OpenID provider. */
export interface PretendOpenIdProvider extends PretendProvider {
  /** For the strategy's option of that name. */
  readonly issuer: string
  /** From now on signs with a new key. */
  rotateKeys(): Promise<void>
}

/** A pretend Facebook. It has no ID tokens, so fewer faults are possible. */
export interface PretendFacebook extends PretendProvider<PlainFault> {
  /** For the strategy's option of that name. */
  readonly endpoints: { readonly web: string; readonly graph: string }
}

/**
 * An OpenID provider: code flow with PKCE, userinfo, refresh tokens, pushed requests, logout and its back channel.
 *
 * @throws {UsageError} `ERR_OAUTH_OPTIONS` where `NODE_ENV` is `production`
 */
export function pretendOpenId(options: PretendOptions & { label?: string }): Promise<PretendOpenIdProvider> {
  return openIdAt(options, { label: options.label ?? 'OpenID provider' })
}

/**
 * Google: an OpenID provider that names the user's organisation.
 *
 * ```ts
 * import { google } from 'gatepass/strategies/google'
 * import { pretendGoogle } from 'gatepass/testing/providers'
 *
 * const client = { clientId: 'shop', clientSecret: 'a secret that is none' }
 * const pretend = await pretendGoogle({
 *   port: 3001,
 *   clients: [{ ...client, redirectUris: ['http://localhost:3000/auth/google/callback'] }],
 * })
 * export const strategy = google({
 *   ...client,
 *   issuer: pretend.issuer,
 *   callback: '/auth/google/callback',
 *   account: ({ subject }) => ({ id: subject }),
 * })
 * ```
 *
 * @throws {UsageError} `ERR_OAUTH_OPTIONS` where `NODE_ENV` is `production`
 */
export function pretendGoogle(options: PretendOptions): Promise<PretendOpenIdProvider> {
  return openIdAt(options, { label: 'Google', extraClaims: { hd: ({ hostedDomain }) => hostedDomain } })
}

/**
 * Facebook: its dialog and its Graph.
 *
 * @throws {UsageError} `ERR_OAUTH_OPTIONS` where `NODE_ENV` is `production`
 */
export async function pretendFacebook(options: PretendOptions): Promise<PretendFacebook> {
  const { clients, people = usualPeople, port = 0 } = options
  const apps = clients.map(({ clientId: id, clientSecret: secret, redirectUris }) => ({ id, secret, redirectUris }))
  const server = new FacebookServer(apps, people)
  const listener = await listenOnLoopback(port)
  const { origin, close } = listener
  listener.answer(server.listener())
  return {
    origin,
    people,
    close,
    endpoints: { web: origin, graph: origin },
    misbehave: (fault) => server.fault.set(fault),
    [Symbol.asyncDispose]: close,
  }
}

async function openIdAt(
  { clients, people = usualPeople, port = 0 }: PretendOptions,
  kind: Pick<OpenIdSettings, 'label' | 'extraClaims'>,
): Promise<PretendOpenIdProvider> {
  const listener = await listenOnLoopback(port)
  const { origin, close } = listener
  const server = new OpenIdServer({ issuer: origin, people, clients: clients.map(metadataOf), ...kind }, await rsaKey())
  listener.answer(server.listener())
  return {
    origin,
    issuer: origin,
    people,
    close,
    misbehave: (fault) => server.fault.set(fault),
    rotateKeys: () => server.rotateKeys(),
    [Symbol.asyncDispose]: close,
  }
}

function metadataOf(client: PretendClient): ClientMetadata {
  const { postLogoutRedirectUris, backChannelLogoutUri } = client
  return {
    client_id: client.clientId,
    client_secret: client.clientSecret,
    redirect_uris: [...client.redirectUris],
    grant_types: ['authorization_code', 'refresh_token'],
    ...(postLogoutRedirectUris !== undefined && { post_logout_redirect_uris: [...postLogoutRedirectUris] }),
    ...(backChannelLogoutUri !== undefined && {
      backchannel_logout_uri: backChannelLogoutUri,
      backchannel_logout_session_required: true,
    }),
  }
}
