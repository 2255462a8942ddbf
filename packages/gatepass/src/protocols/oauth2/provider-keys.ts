import { createRemoteJWKSet, customFetch, type RemoteJWKSet } from 'jose'
import type { Client } from './client.ts'
import type { Claims } from './provider-token.ts'

/** How long keys are used, and how long to wait before an unknown key causes another fetch. Milliseconds. */
const FRESH = 60 * 60 * 1000
const COOLDOWN = 60 * 1000

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
        cooldownDuration: COOLDOWN,
        [customFetch]: async (url) =>
          tidied(await this.#client.fetch(url, { headers: { accept: 'application/json' } })),
      })
    }
    return this.#keys
  }
}

/**
 * Keeps only the members that verify a signature. Otherwise one entry that is null, not a key or of a wrong type would make
 * the whole set unusable.
 */
async function tidied(response: Response): Promise<Response> {
  const answer: unknown = response.ok ? await response.json().catch(() => undefined) : undefined
  const { keys } = (answer ?? {}) as { keys?: unknown }
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
