import { timingSafeEqual } from 'node:crypto'

/** Whether two texts are the same, in a time that depends on their lengths alone. */
export function equal(a: string, b: string): boolean {
  if (a.length !== b.length) return false
  // UTF-16, because UTF-8 would write every lone surrogate as the same three bytes.
  return timingSafeEqual(Buffer.from(a, 'utf16le'), Buffer.from(b, 'utf16le'))
}
