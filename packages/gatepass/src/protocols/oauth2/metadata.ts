import { createRemoteJWKSet, customFetch, type RemoteJWKSet } from 'jose'
import type { AuthorizationServer } from 'oauth4webapi'
import { shared } from '../../awaitable.ts'
import { ProtocolError } from '../../error.ts'
import { isLoopback } from './address.ts'
import type { Client, ProviderAddress } from './client.ts'
import { objectIn, type ProviderFetch } from './provider-fetch.ts'
import type { Claims } from './provider-token.ts'

/** How long metadata and keys are used. Milliseconds. */
const FRESH = 60 * 60 * 1000
/** How long to wait after a failed fetch, and before an unknown key causes another one. Milliseconds. */
const RETRY = 60 * 1000

/**
 * A provider's metadata (OpenID Connect Discovery, RFC 8414). It is fetched at first use and kept for an hour, or longer if
 * the provider does not answer then.
 */
export class MetadataSource {
  readonly #address: ProviderAddress
  readonly #fetch: ProviderFetch
  readonly #clock: () => number
  readonly #renewed = shared(() => this.#renew())
  #known: AuthorizationServer | undefined
  #staleAt = 0

  constructor(address: ProviderAddress, fetch: ProviderFetch, clock: () => number) {
    this.#address = address
    this.#fetch = fetch
    this.#clock = clock
    if (address.metadata === undefined) return
    this.#known = { issuer: address.issuer, ...address.metadata }
    this.#staleAt = Number.POSITIVE_INFINITY
  }

  /** @throws {ProtocolError} `ERR_OIDC_METADATA`, `ERR_OAUTH_UNAVAILABLE`, `ERR_OAUTH_RESPONSE`, `ERR_OAUTH_ADDRESS` */
  async get(): Promise<AuthorizationServer> {
    if (this.#known !== undefined && this.#clock() < this.#staleAt) return this.#known
    return this.#renewed()
  }

  async #renew(): Promise<AuthorizationServer> {
    try {
      this.#known = await this.#discover()
      this.#staleAt = this.#clock() + FRESH
    } catch (error) {
      if (this.#known === undefined) throw error
      this.#staleAt = this.#clock() + RETRY
    }
    return this.#known
  }

  async #discover(): Promise<AuthorizationServer> {
    const { issuer, metadataUrl = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration` } = this.#address
    const response = await this.#fetch(metadataUrl, { headers: { accept: 'application/json' } })
    const answer = await objectIn(response)
    if (answer === undefined) throw unusable(issuer, `answered with ${response.status} and no JSON object as metadata`)
    const metadata = tidied(answer)
    // An issuer is compared as text (Discovery §4.3).
    if (metadata.issuer !== issuer) throw unusable(issuer, 'has another `issuer` in its metadata')
    for (const needed of ['authorization_endpoint', 'token_endpoint', 'jwks_uri'] as const) {
      if (webAddress(metadata[needed]) === undefined) throw unusable(issuer, `has no web address in \`${needed}\``)
    }
    return metadata
  }
}

/** Removes null members, and lists that are not lists of strings. */
function tidied(answer: Claims): AuthorizationServer {
  const metadata = Object.fromEntries(Object.entries(answer).filter(([, value]) => value !== null))
  for (const name of ['id_token_signing_alg_values_supported', 'token_endpoint_auth_methods_supported']) {
    const list: unknown = typeof metadata[name] === 'string' ? [metadata[name]] : metadata[name]
    const texts = Array.isArray(list) ? list.filter((one) => typeof one === 'string') : []
    if (texts.length > 0) metadata[name] = texts
    else delete metadata[name]
  }
  if (typeof metadata.userinfo_endpoint !== 'string') delete metadata.userinfo_endpoint
  return metadata as unknown as AuthorizationServer
}

/** An address that browsers and our server may be sent to: with TLS, or on this machine. */
export function webAddress(text: unknown): URL | undefined {
  const url = typeof text === 'string' ? URL.parse(text) : null
  if (url === null) return undefined
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname)) ? url : undefined
}

function unusable(issuer: string, what: string): ProtocolError {
  return new ProtocolError('ERR_OIDC_METADATA', `The provider at ${issuer} ${what}`, {
    status: 502,
    hint: 'Write the option `issuer` exactly as the provider does, including a slash at the end.',
  })
}

/** A provider's public keys. They are kept for an hour, and fetched again when a token names an unknown key. */
export class ProviderKeys {
  readonly #client: Client
  #at: string | undefined
  #keys: RemoteJWKSet | undefined

  constructor(client: Client) {
    this.#client = client
  }

  async get(): Promise<RemoteJWKSet> {
    const { jwks_uri: uri = '' } = await this.#client.metadata()
    if (this.#keys === undefined || this.#at !== uri) {
      this.#at = uri
      this.#keys = createRemoteJWKSet(new URL(uri), {
        cacheMaxAge: FRESH,
        cooldownDuration: RETRY,
        [customFetch]: async (url) =>
          tidyKeys(await this.#client.fetch(url, { headers: { accept: 'application/json' } })),
      })
    }
    return this.#keys
  }
}

/**
 * Keeps only the members that verify a signature. Otherwise one entry that is null, not a key or of a wrong type would make
 * the whole set unusable.
 */
async function tidyKeys(response: Response): Promise<Response> {
  const { keys } = (await objectIn(response)) ?? {}
  const tidy = Array.isArray(keys) ? { keys: keys.filter((key) => typeof key?.kty === 'string').map(tidyKey) } : {}
  return new Response(JSON.stringify(tidy), { status: response.status })
}

function tidyKey(key: Claims): Claims {
  const { kid, key_ops: operations } = key
  const texts = ['kty', 'crv', 'x', 'y', 'n', 'e', 'use', 'alg'].filter((name) => typeof key[name] === 'string')
  return {
    ...Object.fromEntries(texts.map((name) => [name, key[name]])),
    ...((typeof kid === 'string' || typeof kid === 'number') && { kid: String(kid) }),
    ...(Array.isArray(operations) && { key_ops: operations }),
  }
}
