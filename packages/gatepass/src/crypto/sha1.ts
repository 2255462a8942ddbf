import { hash } from 'node:crypto'

/** SHA-1 of the UTF-8 text, as 40 hex digits. Redis names scripts with it; do not use it for security. */
export function sha1Hex(text: string): string {
  return hash('sha1', text, 'hex')
}
