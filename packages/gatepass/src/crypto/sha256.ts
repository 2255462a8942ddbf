import { hash } from 'node:crypto'

/** SHA-256 (FIPS 180-4) of the UTF-8 text as base64url: 43 characters. */
export function sha256Base64url(text: string): string {
  return hash('sha256', text, 'base64url')
}

/** SHA-256 of the UTF-8 text as 32 Latin-1 characters, the cheapest form. Use it for look-ups; do not show or store it. */
export function sha256Latin1(text: string): string {
  return hash('sha256', text, 'binary')
}
