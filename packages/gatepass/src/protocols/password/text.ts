/** The longest password that is ever hashed: bytes of UTF-8, after NFC. */
export const MAXIMUM_BYTES = 1024

/**
 * A password as the bytes that are hashed: NFC, then UTF-8 (SP 800-63B-4 §3.1.1.2). `undefined` if it is empty, longer
 * than 1,024 bytes, or holds half a surrogate pair, which UTF-8 cannot express and would make different passwords equal.
 */
export function passwordBytes(password: string): Uint8Array | undefined {
  const normal = normalPassword(password)
  if (normal === undefined || normal === '') return undefined
  const bytes = Buffer.from(normal, 'utf8')
  return bytes.length > MAXIMUM_BYTES ? undefined : bytes
}

/** The password in NFC; `undefined` for what cannot be normalised, or is too long to be worth it. */
export function normalPassword(password: string): string | undefined {
  if (password.length > LONGEST_TEXT || !password.isWellFormed()) return undefined
  return password.normalize('NFC')
}

// NFC composes at most four code units into one, so nothing longer can come down to 1,024 bytes; normalising a megabyte
// to find out would cost more than the hash.
const LONGEST_TEXT = 4 * MAXIMUM_BYTES
