import { createHmac, hash } from 'node:crypto'

/** A key for HMAC-SHA-256 (RFC 2104), already mixed with the two pads. */
export interface HmacKey {
  readonly inner: Uint8Array
  readonly outer: Uint8Array
  /** The key itself, for texts longer than the scratch space. */
  readonly bytes: Uint8Array
}

const blockSize = 64
const digestSize = 32
const scratchText = 4096

// Two one-shot hashes take half the time of createHmac, which allocates a native handle. All functions here are synchronous,
// so one scratch space serves all calls. Digests are Latin-1 text, the cheapest output of `hash`.
const innerScratch = Buffer.allocUnsafeSlow(blockSize + scratchText)
const outerScratch = Buffer.allocUnsafeSlow(blockSize + digestSize)

export function hmacKey(key: Uint8Array): HmacKey {
  const bytes = key.length > blockSize ? hash('sha256', key, 'buffer') : key
  return { inner: padded(bytes, 0x36), outer: padded(bytes, 0x5c), bytes }
}

/** HMAC-SHA-256 of the UTF-8 text, as base64url: 43 characters. */
export function hmacText(key: HmacKey, text: string): string {
  // A UTF-16 unit takes at most three bytes.
  if (text.length * 3 > scratchText) return createHmac('sha256', key.bytes).update(text).digest('base64url')
  innerScratch.set(key.inner)
  const end = blockSize + innerScratch.write(text, blockSize)
  return hash('sha256', afterInner(key, end), 'base64url')
}

/** HMAC-SHA-256 of at most 4,096 bytes, as 32 bytes of Latin-1 text. */
export function hmacBytes(key: HmacKey, message: Uint8Array): string {
  innerScratch.set(key.inner)
  innerScratch.set(message, blockSize)
  return hash('sha256', afterInner(key, blockSize + message.length), 'binary')
}

function afterInner(key: HmacKey, end: number): Buffer {
  const digest = hash('sha256', innerScratch.subarray(0, end), 'binary')
  outerScratch.set(key.outer)
  outerScratch.write(digest, blockSize, 'latin1')
  return outerScratch
}

function padded(bytes: Uint8Array, pad: number): Uint8Array {
  const block = new Uint8Array(blockSize).fill(pad)
  for (let i = 0; i < bytes.length; i++) block[i] = (bytes[i] ?? 0) ^ pad
  return block
}
