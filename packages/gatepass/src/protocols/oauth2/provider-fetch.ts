import { GatepassError, ProtocolError } from '../../error.ts'
import { checkAddress, type Reach } from './address.ts'

/** How long a provider may take for one answer with its body, in milliseconds. */
const TIME_LIMIT = 5000

/** Maximum size of an answer after decompression, in bytes. */
const SIZE_LIMIT = 1024 * 1024

export interface ProviderRequest {
  method?: string
  headers?: Record<string, string>
  body?: URLSearchParams | string | undefined
}

/**
 * Sends a request to a provider. It follows no redirects, waits at most five seconds, reads at most 1 MiB, and calls no
 * internal address.
 *
 * @throws {ProtocolError} `ERR_OAUTH_ADDRESS`, `ERR_OAUTH_RESPONSE`, `ERR_OAUTH_UNAVAILABLE` (502)
 */
export type ProviderFetch = (url: string, request?: ProviderRequest) => Promise<Response>

export function providerFetch(reach: Reach): ProviderFetch {
  return async (url, { method = 'GET', headers = {}, body } = {}) => {
    const target = new URL(url)
    const signal = AbortSignal.timeout(TIME_LIMIT)
    try {
      await unlessAborted(signal, checkAddress(target, reach))
      const response = await fetch(target, { method, headers, body: body ?? null, redirect: 'manual', signal })
      const { status } = response
      if (status >= 500) throw unavailable(target, `answered with ${status}`)
      if (status >= 300 && status <= 399) throw unusable(target, 'redirects, which is not followed')
      const chunks: Uint8Array[] = []
      let size = 0
      for await (const chunk of response.body ?? []) {
        size += chunk.byteLength
        if (size > SIZE_LIMIT) throw unusable(target, 'sends more than 1 MiB')
        chunks.push(chunk)
      }
      return new Response(size === 0 ? null : Buffer.concat(chunks), { status, headers: response.headers })
    } catch (error) {
      if (error instanceof GatepassError) throw error
      throw unavailable(target, signal.aborted ? 'took too long' : 'could not be reached', error)
    }
  }
}

/** Adds an abort signal to a step that takes none, such as a DNS look-up. */
function unlessAborted(signal: AbortSignal, step: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    step.then(resolve, reject)
  })
}

/** The JSON object of a successful answer; `undefined` for everything else. */
export async function objectIn(response: Response): Promise<Readonly<Record<string, unknown>> | undefined> {
  const answer: unknown = response.ok ? await response.json().catch(() => undefined) : undefined
  return typeof answer === 'object' && answer !== null ? (answer as Readonly<Record<string, unknown>>) : undefined
}

function unusable(target: URL, what: string): ProtocolError {
  return new ProtocolError('ERR_OAUTH_RESPONSE', `${target.origin} ${what}`, { status: 502 })
}

function unavailable(target: URL, what: string, cause?: unknown): ProtocolError {
  return new ProtocolError('ERR_OAUTH_UNAVAILABLE', `${target.origin} ${what}`, { status: 502, cause })
}
