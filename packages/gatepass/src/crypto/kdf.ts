import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { poolKdfs } from './kdf-functions.ts'
import { onThreads } from './kdf-threads.ts'

/** One computation of Argon2 version 1.3 (RFC 9106). */
export interface Argon2Work {
  readonly variant: 'argon2id' | 'argon2i' | 'argon2d'
  readonly password: Uint8Array
  readonly salt: Uint8Array
  /** Memory in KiB. */
  readonly memory: number
  readonly passes: number
  readonly lanes: number
  readonly tagLength: number
}

/** One computation of scrypt (RFC 7914); `rounds` is N, a power of two. */
export interface ScryptWork {
  readonly password: Uint8Array
  readonly salt: Uint8Array
  readonly rounds: number
  readonly blockSize: number
  readonly lanes: number
  readonly tagLength: number
}

/** One computation of PBKDF2 (RFC 8018 §5.2). */
export interface Pbkdf2Work {
  readonly digest: 'sha1' | 'sha256' | 'sha512'
  readonly password: Uint8Array
  readonly salt: Uint8Array
  readonly iterations: number
  readonly tagLength: number
}

/** The password hashing functions of this installation. None of them computes on the main thread. */
export interface Kdfs {
  /** `undefined` without `@node-rs/argon2` on a Node.js older than 24.7. */
  readonly argon2: ((work: Argon2Work) => Promise<Uint8Array>) | undefined
  /** `undefined` without `@node-rs/bcrypt`. */
  readonly bcrypt: ((password: Uint8Array, hash: string) => Promise<boolean>) | undefined
  readonly scrypt: (work: ScryptWork) => Promise<Uint8Array>
  readonly pbkdf2: (work: Pbkdf2Work) => Promise<Uint8Array>
}

/** Returns the password hashing functions of this installation. It looks for them once, at the first call. */
export function installedKdfs(): Kdfs {
  installed ??= onThreads(poolKdfs())
  return installed
}
let installed: Kdfs | undefined

/** Makes `length` unpredictable bytes. */
export function randomSalt(length: number): Uint8Array {
  return randomBytes(length)
}

/** HMAC-SHA-256 of `tag` (RFC 2104). */
export function keyedTag(key: string, tag: Uint8Array): Uint8Array {
  return createHmac('sha256', key).update(tag).digest()
}

/** Whether two tags are equal. The time depends only on their lengths. */
export function equalTags(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && timingSafeEqual(a, b)
}
