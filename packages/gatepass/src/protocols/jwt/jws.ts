import { type Awaitable, andThen } from '../../awaitable.ts'
import { type CryptoKeyObject, checkSignature, makeSignature, type SignatureAlgorithm } from '../../crypto/signature.ts'
import { type JsonObject, parseJsonObject } from './json-object.ts'
import { decodeBase64url, isNameOf, type VerificationKey, type VerificationKeys } from './jwk.ts'

/** Longest accepted token, in characters. Longer tokens are refused without being read. */
const longestToken = 8192

/** Why a JWS is refused. */
export type JwsFault = 'malformed' | 'unsupported' | 'unknown-key' | 'bad-signature'

/** The content of a JWS with a valid signature. */
export interface Verified {
  readonly header: JsonObject
  readonly payload: Uint8Array
  readonly key: VerificationKey
}

/** Header parameters that change what is signed or how (RFC 7515 §4.1.11, RFC 7797, RFC 7516). They are not supported. */
const refusedParameters = ['crit', 'b64', 'zip', 'enc'] as const

/**
 * Verifies a JWS in compact form (RFC 7515 §5.2). The header's `kid` selects the key among `keys`, and its `alg` must be that
 * of the key. Keys in the header itself (`jwk`, `jku`, `x5c`, `x5u`) are ignored.
 */
export function verifyCompact(token: string, keys: VerificationKeys): Awaitable<Verified | JwsFault> {
  const [head = '', body = '', ...rest] = token.length > longestToken ? [] : token.split('.')
  const bytes = decodeBase64url(head)
  const header = bytes && parseJsonObject(bytes)
  if (header === undefined || rest.length === 0) return 'malformed'
  // A JWE (RFC 7516 §7.1) has `enc` and five parts.
  if (refusedParameters.some((name) => Object.hasOwn(header, name))) return 'unsupported'
  const { kid, alg } = header
  if (typeof alg !== 'string' || (kid !== undefined && typeof kid !== 'string')) return 'malformed'
  return andThen(keys.find(kid), (key) => {
    if (key === undefined) return 'unknown-key'
    if (!isNameOf(key.algorithm, alg)) return 'unsupported'
    // A third dot is not base64url.
    const signature = decodeBase64url(rest.join('.'))
    const payload = decodeBase64url(body)
    if (signature === undefined || payload === undefined) return 'malformed'
    const signed = { data: Buffer.from(`${head}.${body}`, 'latin1'), signature }
    return checkSignature(key.algorithm, key.key, signed) ? { header, payload, key } : 'bad-signature'
  })
}

/** Writes a JWS in compact form. The header's `alg` must be a name of the signer's algorithm. */
export function signCompact(
  header: JsonObject,
  payload: JsonObject,
  signer: { readonly algorithm: SignatureAlgorithm; readonly key: CryptoKeyObject },
): string {
  const signed = `${encoded(header)}.${encoded(payload)}`
  return `${signed}.${makeSignature(signer.algorithm, signer.key, Buffer.from(signed)).toString('base64url')}`
}

function encoded(value: JsonObject): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
