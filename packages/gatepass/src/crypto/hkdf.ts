import { hmacBytes, hmacKey } from './hmac.ts'

const blockNumber = 1

/**
 * Derives 32 bytes with HKDF-SHA-256 (RFC 5869): one output block, so two HMACs.
 *
 * @param secret at most 4,096 bytes
 * @param info what the derived key is used for, so that different uses have different keys
 */
export function hkdf(secret: Uint8Array, salt: Uint8Array, info: Uint8Array): Uint8Array {
  const extracted = Buffer.from(hmacBytes(hmacKey(salt), secret), 'latin1')
  const expanded = Buffer.allocUnsafe(info.length + 1)
  expanded.set(info)
  expanded[info.length] = blockNumber
  return Buffer.from(hmacBytes(hmacKey(extracted), expanded), 'latin1')
}
