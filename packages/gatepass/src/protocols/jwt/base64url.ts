/**
 * The bytes of base64url text (RFC 4648 §5) in its one spelling: no padding, no other alphabet, no space, no spare bit set
 * (RFC 7515 §2). `undefined` for everything else.
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  // Node skips what it does not know; only the canonical spelling comes out as it went in.
  return bytes.toString('base64url') === text ? bytes : undefined
}
