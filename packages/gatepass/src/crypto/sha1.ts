import { hash } from 'node:crypto'

/** SHA-1 of the UTF-8 text, as 40 hex digits: how Redis names a script. Nothing that must withstand an attacker uses it. */
export function sha1Hex(text: string): string {
  return hash('sha1', text, 'hex')
}
