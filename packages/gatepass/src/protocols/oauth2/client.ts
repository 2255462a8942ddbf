import { type CryptoKey, importJWK, type JWK } from 'jose'
import {
  type AuthorizationServer,
  allowInsecureRequests,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  clockSkew,
  customFetch,
  None,
  type Client as OAuthClient,
  PrivateKeyJwt,
} from 'oauth4webapi'
import type { Awaitable } from '../../awaitable.ts'
import { UsageError } from '../../error.ts'
import { isLoopback } from './address.ts'
import { MetadataSource } from './metadata.ts'
import { type ProviderFetch, providerFetch } from './provider-fetch.ts'

/** How an application authenticates itself to the provider (RFC 6749 §2.3, OpenID Connect Core §9). */
export type ClientAuthentication = 'client_secret_basic' | 'client_secret_post' | 'private_key_jwt' | 'none'

/** The application's registration at a provider. */
export interface ClientOptions {
  clientId: string
  /** The secret, or a function that makes one, for providers whose secrets expire. */
  clientSecret?: string | (() => Awaitable<string>)
  /** A private key in place of a secret, with its `alg` and, if it is registered with one, its `kid`. */
  clientKey?: JWK
  /** Default: `private_key_jwt` with a key, `none` without secret, otherwise by the provider's metadata, HTTP Basic first. */
  authentication?: ClientAuthentication
  /** Set this if the provider is in your own network: requests to private addresses are then allowed. Default false. */
  privateNetwork?: boolean
  /** Allows a provider on this machine, without TLS, also in production. Default: only outside production. */
  insecureLoopback?: boolean
  /** Epoch milliseconds. Default `Date.now`. */
  clock?: () => number
}

/** The addresses of a provider. */
export interface ProviderAddress {
  /** The provider's issuer, exactly as the provider writes it. */
  readonly issuer: string
  /** The address of its metadata, if not below the issuer. */
  readonly metadataUrl?: string
  /** The metadata itself, for providers that publish none. */
  readonly metadata?: Readonly<Record<string, string>>
}

/** One application at one provider. All requests to the provider share it. */
export interface Client {
  readonly id: string
  readonly fetch: ProviderFetch
  readonly clock: () => number
  metadata(): Promise<AuthorizationServer>
  authentication(server: AuthorizationServer): Promise<ClientAuth>
}

/** @throws {UsageError} `ERR_OAUTH_OPTIONS` */
export function client(strategy: string, address: ProviderAddress, options: ClientOptions): Client {
  const { clientId: id, clientSecret, clientKey, clock = Date.now } = options
  checkText(strategy, 'clientId', id)
  if (clientSecret !== undefined && typeof clientSecret !== 'function')
    checkText(strategy, 'clientSecret', clientSecret)
  if (clientKey !== undefined && (typeof clientKey.alg !== 'string' || typeof clientKey.d !== 'string'))
    throw noPrivateKey(strategy)
  const fetch = providerFetch(reachOf(strategy, address, options))
  const source = new MetadataSource(address, fetch, clock)
  return {
    ...{ id, fetch, clock },
    metadata: () => source.get(),
    authentication: (server) => authenticationOf(strategy, options, server),
  }
}

/** The application, in the form that oauth4webapi needs. */
export function registration(client: Client): OAuthClient {
  return { client_id: client.id, [clockSkew]: Math.round((client.clock() - Date.now()) / 1000) }
}

/** How oauth4webapi sends its requests. Insecure requests are allowed here, because `fetch` checks every address. */
export function transport(client: Client): { [customFetch]: ProviderFetch; [allowInsecureRequests]: true } {
  return { [customFetch]: client.fetch, [allowInsecureRequests]: true }
}

/** Allows requests to this machine only for a provider on this machine. Another provider's metadata cannot point here. */
function reachOf(strategy: string, address: ProviderAddress, options: ClientOptions) {
  const where = [address.issuer, address.metadataUrl, ...Object.values(address.metadata ?? {})]
  const urls = where.flatMap((text) => {
    const url = text === undefined ? undefined : URL.parse(text)
    if (url !== null) return url ?? []
    throw new UsageError('ERR_OAUTH_OPTIONS', `${strategy}: the provider's address is not a URL`, {
      hint: "Write the issuer as the provider does: issuer: 'https://accounts.example'.",
    })
  })
  const local = urls.some(({ hostname }) => isLoopback(hostname))
  if (local && process.env.NODE_ENV === 'production' && options.insecureLoopback !== true) {
    throw new UsageError('ERR_OAUTH_OPTIONS', `${strategy}: the provider ${address.issuer} is on this machine`, {
      hint: 'This is allowed for development only. To allow it in production, set `insecureLoopback: true`.',
    })
  }
  for (const { protocol, hostname, origin } of urls) {
    if (protocol === 'https:' || isLoopback(hostname)) continue
    throw new UsageError('ERR_OAUTH_OPTIONS', `${strategy}: ${origin} is not an https address`)
  }
  return { loopback: local, privateNetwork: options.privateNetwork === true }
}

function checkText(strategy: string, option: string, value: unknown): void {
  if (typeof value === 'string' && /[\u0000-\u001f\u007f]/.test(value)) {
    throw new UsageError('ERR_OAUTH_OPTIONS', `${strategy}: \`${option}\` contains a control character`, {
      hint: 'A value from a file may end with a line break: trim it.',
    })
  }
  if (typeof value === 'string' && value !== '') return
  throw new UsageError('ERR_OAUTH_OPTIONS', `${strategy}: \`${option}\` is ${value === '' ? 'empty' : 'missing'}`, {
    hint: "The provider shows it in the application's registration. Check that the environment variable is set.",
  })
}

/** Has no `cause`, because that could quote the key. */
function noPrivateKey(strategy: string): UsageError {
  return new UsageError('ERR_OAUTH_OPTIONS', `${strategy}: \`clientKey\` is not a private JWK with an \`alg\``)
}

async function authenticationOf(
  strategy: string,
  options: ClientOptions,
  server: AuthorizationServer,
): Promise<ClientAuth> {
  const { clientKey, clientSecret } = options
  const method = options.authentication ?? usualMethod(options, server)
  if (method === 'none') return None()
  if (method === 'private_key_jwt') {
    if (clientKey === undefined)
      throw new UsageError('ERR_OAUTH_OPTIONS', 'private_key_jwt needs the option `clientKey`')
    const key = await importJWK(clientKey, clientKey.alg).catch(() => {
      throw noPrivateKey(strategy)
    })
    return PrivateKeyJwt({ key: key as CryptoKey, ...(clientKey.kid !== undefined && { kid: clientKey.kid }) })
  }
  const secret = typeof clientSecret === 'function' ? await clientSecret() : clientSecret
  if (secret === undefined) throw new UsageError('ERR_OAUTH_OPTIONS', `${method} needs the option \`clientSecret\``)
  return method === 'client_secret_post' ? ClientSecretPost(secret) : ClientSecretBasic(secret)
}

/** The default method. A provider without `token_endpoint_auth_methods_supported` accepts HTTP Basic (Discovery §3). */
function usualMethod(options: ClientOptions, server: AuthorizationServer): ClientAuthentication {
  if (options.clientKey !== undefined) return 'private_key_jwt'
  if (options.clientSecret === undefined) return 'none'
  const offered = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
  return offered.includes('client_secret_basic') ? 'client_secret_basic' : 'client_secret_post'
}
