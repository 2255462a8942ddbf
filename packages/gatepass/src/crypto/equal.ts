import { timingSafeEqual } from 'node:crypto'

/** Whether two texts are equal. The time depends only on their lengths. */
export function equal(a: string, b: string): boolean {
  if (a.length !== b.length) return false
  // In UTF-16, because UTF-8 writes every lone surrogate as the same three bytes.
  return timingSafeEqual(Buffer.from(a, 'utf16le'), Buffer.from(b, 'utf16le'))
}
