import { crc32 } from 'node:zlib'
import { randomToken } from '../../crypto/random.ts'

/** Makes a key. Its prefix and checksum let a scanner find it in a repository or a log, and know its application. */
export function mintKey(prefix: string): string {
  const body = `${prefix}_${randomToken()}`
  return body + checksum(body)
}

/** Whether a text has the form of a key with this prefix. Needs no store call. */
export function isKey(prefix: string, text: string): boolean {
  const body = text.slice(0, -checksumLength)
  return text.startsWith(`${prefix}_`) && shape.test(text.slice(prefix.length + 1)) && body + checksum(body) === text
}

const checksumLength = 8
const shape = /^[\w-]{43}[0-9a-f]{8}$/

/** Detects typing errors and similar texts. It protects nothing, because an attacker can compute it. */
function checksum(text: string): string {
  return crc32(text).toString(16).padStart(checksumLength, '0')
}
