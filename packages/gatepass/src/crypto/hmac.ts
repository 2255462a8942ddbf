import { createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'

/** A key for HMAC-SHA-256. As a key object: Node takes six times as long to sign with the bytes. */
export type HmacKey = KeyObject

export function hmacKey(key: Uint8Array): HmacKey {
  return createSecretKey(key)
}

/** HMAC-SHA-256 (RFC 2104) as base64url: 43 characters. A text is signed in UTF-8. */
export function hmacText(key: HmacKey, message: string | Uint8Array): string {
  return createHmac('sha256', key).update(message).digest('base64url')
}

/**
 * Derives 32 bytes with HKDF-SHA-256 (RFC 5869).
 *
 * @param info what the derived key is used for, so that different uses have different keys
 */
export function hkdf(secret: HmacKey, salt: Uint8Array, info: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, salt, info, 32))
}
