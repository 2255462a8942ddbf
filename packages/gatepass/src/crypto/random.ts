import { hash, randomBytes } from 'node:crypto'

/** Makes an unguessable token: 32 random bytes as base64url, 43 characters. */
export function randomToken(): string {
  return randomBytes(32).toString('base64url')
}

/** Makes a public identifier that cannot be guessed and does not collide: 16 random bytes as base64url, 22 characters. */
export function randomHandle(): string {
  return randomBytes(16).toString('base64url')
}

/** SHA-256 (FIPS 180-4) of the UTF-8 text, as 64 hex digits. */
export function sha256Hex(text: string): string {
  return hash('sha256', text, 'hex')
}

/** SHA-256 (FIPS 180-4) of the UTF-8 text as base64url: 43 characters. */
export function sha256Base64url(text: string): string {
  return hash('sha256', text, 'base64url')
}
