import { createHmac } from 'node:crypto'

/** HMAC-SHA-1 of the UTF-8 text, as base64url. cookie-session signs with it; do not use it for anything else. */
export function hmacSha1Text(key: string | Uint8Array, text: string): string {
  return createHmac('sha1', key).update(text).digest('base64url')
}
