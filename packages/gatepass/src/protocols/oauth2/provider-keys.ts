import { createRemoteJWKSet, customFetch, type RemoteJWKSet } from 'jose'
import type { Client } from './client.ts'

/** How long keys count, and how soon a key that we do not know makes us ask again, in milliseconds. */
const FRESH = 60 * 60 * 1000
const COOLDOWN = 60 * 1000

/** A provider's public keys: kept an hour, asked for anew when a token names one that is not among them. */
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
        cooldownDuration: COOLDOWN,
        [customFetch]: (url) => this.#client.fetch(url, { headers: { accept: 'application/json' } }),
      })
    }
    return this.#keys
  }
}
