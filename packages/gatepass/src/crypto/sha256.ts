import { hash } from 'node:crypto'

/** SHA-256 (FIPS 180-4) of the UTF-8 text as base64url: 43 characters. */
export function sha256Base64url(text: string): string {
  return hash('sha256', text, 'base64url')
}

/** The same as 32 characters of Latin-1, the cheapest form: to look things up, not to show or to store. */
export function sha256Latin1(text: string): string {
  return hash('sha256', text, 'binary')
}
