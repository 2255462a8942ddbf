import { equal } from '../crypto/equal.ts'
import { type HmacKey, hmacKey, hmacText } from '../crypto/hmac.ts'

/** A secret, prepared once: preparing costs as much as a signature. */
export type SigningKey = HmacKey

export function signingKey(secret: string | Uint8Array): SigningKey {
  return hmacKey(typeof secret === 'string' ? Buffer.from(secret) : secret)
}

/**
 * `s:value.signature`, as express-session, cookie-parser and `res.cookie(…, { signed: true })` write it: HMAC-SHA-256 of
 * the value in base64 without padding. The caller percent-encodes it.
 */
export function signValue(value: string, key: SigningKey): string {
  return `s:${value}.${signatureOf(value, key)}`
}

/** The value of a text that one of the keys signed; `undefined` for another text. `outdated`: not the first key signed it. */
export function unsignValue(
  signed: string,
  keys: readonly SigningKey[],
): { readonly value: string; readonly outdated: boolean } | undefined {
  const dot = signed.lastIndexOf('.')
  if (dot === -1 || !isSigned(signed)) return undefined
  const value = signed.slice(2, dot)
  const signature = signed.slice(dot + 1)
  const at = keys.findIndex((key) => equal(signatureOf(value, key), signature))
  return at === -1 ? undefined : { value, outdated: at > 0 }
}

/** Whether a text has the form of a signed value. */
export function isSigned(value: string): boolean {
  return value.startsWith('s:')
}

function signatureOf(value: string, key: SigningKey): string {
  return hmacText(key, value).replaceAll('-', '+').replaceAll('_', '/')
}
