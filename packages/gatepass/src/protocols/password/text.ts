/** Maximum size of a password, in bytes of UTF-8 after NFC. */
export const MAXIMUM_BYTES = 1024

/**
 * The bytes of a password that are hashed: NFC, then UTF-8 (SP 800-63B-4 §3.1.1.2). `undefined` if it is empty, longer than
 * 1,024 bytes, or contains half a surrogate pair: UTF-8 cannot express that, so different passwords would become equal.
 */
export function passwordBytes(password: string): Uint8Array | undefined {
  const normal = normalPassword(password)
  if (normal === undefined || normal === '') return undefined
  const bytes = Buffer.from(normal, 'utf8')
  return bytes.length > MAXIMUM_BYTES ? undefined : bytes
}

/** The password in NFC; `undefined` if it is not well-formed or too long. */
export function normalPassword(password: string): string | undefined {
  if (password.length > LONGEST_TEXT || !password.isWellFormed()) return undefined
  return password.normalize('NFC')
}

// NFC composes at most four code units into one, so a longer text cannot shrink to 1,024 bytes. Normalising a megabyte to find
// that out would cost more than the hash.
const LONGEST_TEXT = 4 * MAXIMUM_BYTES
