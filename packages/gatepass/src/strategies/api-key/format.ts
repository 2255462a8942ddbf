import { crc32 } from 'node:zlib'
import { randomToken } from '../../crypto/random.ts'

/** A key: its prefix says whose it is, its checksum that it is one, so that a scanner finds it in a repository or a log. */
export function mintKey(prefix: string): string {
  const body = `${prefix}_${randomToken()}`
  return body + checksum(body)
}

/** Whether a text has the form of a key with this prefix: told without asking the store. */
export function isKey(prefix: string, text: string): boolean {
  const body = text.slice(0, -checksumLength)
  return text.startsWith(`${prefix}_`) && shape.test(text.slice(prefix.length + 1)) && body + checksum(body) === text
}

const checksumLength = 8
const shape = /^[\w-]{43}[0-9a-f]{8}$/

/** No protection, since anybody can compute it: it tells typing errors and lookalikes. */
function checksum(text: string): string {
  return crc32(text).toString(16).padStart(checksumLength, '0')
}
