import { hash, randomFillSync } from 'node:crypto'

// One system call fills the pool for 128 tokens. Asking for 32 bytes each time costs twenty times as much.
const pool = Buffer.allocUnsafeSlow(4096)
let used = pool.length

/** Makes an unguessable token: 32 random bytes as base64url, 43 characters. */
export function randomToken(): string {
  return takeRandom(32)
}

/** Makes a public identifier that cannot be guessed and does not collide: 16 random bytes as base64url, 22 characters. */
export function randomHandle(): string {
  return takeRandom(16)
}

/** Fills `target` between `start` and `end` with random bytes from the pool, at most 4,096 per call. */
export function fillRandom(target: Uint8Array, start: number, end: number): void {
  const from = reserve(end - start)
  target.set(pool.subarray(from, used), start)
  pool.fill(0, from, used)
}

/** SHA-256 (FIPS 180-4) of the UTF-8 text, as 64 hex digits. */
export function sha256Hex(text: string): string {
  return hash('sha256', text, 'hex')
}

function takeRandom(length: number): string {
  const from = reserve(length)
  const text = pool.toString('base64url', from, used)
  // The pool must not keep a second copy of a secret in memory.
  pool.fill(0, from, used)
  return text
}

function reserve(length: number): number {
  if (used + length > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += length
  return used - length
}
