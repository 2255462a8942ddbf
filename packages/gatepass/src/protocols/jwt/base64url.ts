/**
 * Decodes canonical base64url (RFC 4648 §5, RFC 7515 §2). `undefined` for other spellings: padding, another alphabet, spaces,
 * or unused bits that are set.
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  // Node skips unknown characters, so only the canonical spelling gives the same text again.
  return bytes.toString('base64url') === text ? bytes : undefined
}
