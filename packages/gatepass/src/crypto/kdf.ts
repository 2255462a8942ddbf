import * as nodeCrypto from 'node:crypto'
import { createRequire } from 'node:module'
import { promisify } from 'node:util'

/** One computation of Argon2 version 1.3 (RFC 9106). */
export interface Argon2Work {
  readonly variant: 'argon2id' | 'argon2i' | 'argon2d'
  readonly password: Uint8Array
  readonly salt: Uint8Array
  /** KiB. */
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

/** The slow functions of this installation. Each computes on a thread of its own, not on the main thread. */
export interface Kdfs {
  /** `undefined` without `@node-rs/argon2` on a Node.js older than 24.7. */
  readonly argon2: ((work: Argon2Work) => Promise<Uint8Array>) | undefined
  /** `undefined` without `@node-rs/bcrypt`. */
  readonly bcrypt: ((password: Uint8Array, hash: string) => Promise<boolean>) | undefined
  readonly scrypt: (work: ScryptWork) => Promise<Uint8Array>
  readonly pbkdf2: (work: Pbkdf2Work) => Promise<Uint8Array>
}

/** The slow functions found in this installation; looked for once, at the first call. */
export function installedKdfs(): Kdfs {
  installed ??= { argon2: packagedArgon2() ?? builtInArgon2(), bcrypt: packagedBcrypt(), scrypt, pbkdf2 }
  return installed
}
let installed: Kdfs | undefined

/** `length` bytes nobody can predict. */
export function randomSalt(length: number): Uint8Array {
  return nodeCrypto.randomBytes(length)
}

/** HMAC-SHA-256 of `tag` (RFC 2104). */
export function keyedTag(key: string, tag: Uint8Array): Uint8Array {
  return nodeCrypto.createHmac('sha256', key).update(tag).digest()
}

/** Compares in a time that depends on the lengths alone. */
export function equalTags(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && nodeCrypto.timingSafeEqual(a, b)
}

// Preferred over Node's own: the same result for half the CPU.
export function packagedArgon2(): Kdfs['argon2'] {
  const argon2 = optionalPackage<PackagedArgon2>('@node-rs/argon2')
  if (argon2 === undefined) return undefined
  return (work) =>
    argon2.hashRaw(work.password, {
      algorithm: PACKAGED_VARIANTS[work.variant],
      salt: work.salt,
      memoryCost: work.memory,
      timeCost: work.passes,
      parallelism: work.lanes,
      outputLen: work.tagLength,
    })
}

interface PackagedArgon2 {
  hashRaw(password: Uint8Array, options: Record<string, number | Uint8Array>): Promise<Uint8Array>
}
const PACKAGED_VARIANTS = { argon2d: 0, argon2i: 1, argon2id: 2 } as const

export function builtInArgon2(): Kdfs['argon2'] {
  // Present is not enough: a Node.js linked to OpenSSL before 3.2 has the function and throws.
  if (!worksHere()) return undefined
  return (work) =>
    deriveArgon2(work.variant, {
      message: work.password,
      nonce: work.salt,
      memory: work.memory,
      passes: work.passes,
      parallelism: work.lanes,
      tagLength: work.tagLength,
    })
}

function worksHere(): boolean {
  const least = { message: '', nonce: new Uint8Array(8), memory: 8, passes: 1, parallelism: 1, tagLength: 4 }
  try {
    nodeCrypto.argon2Sync('argon2id', least)
    return true
  } catch {
    return false
  }
}

type BuiltInParameters = Parameters<typeof nodeCrypto.argon2>[1]
function deriveArgon2(variant: Argon2Work['variant'], parameters: BuiltInParameters): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    nodeCrypto.argon2(variant, parameters, (error, tag) => (error === null ? resolve(tag) : reject(error)))
  })
}

function packagedBcrypt(): Kdfs['bcrypt'] {
  const bcrypt = optionalPackage<PackagedBcrypt>('@node-rs/bcrypt')
  return bcrypt === undefined ? undefined : (password, hash) => bcrypt.verify(password, hash)
}

interface PackagedBcrypt {
  verify(password: Uint8Array, hash: string): Promise<boolean>
}

/** `undefined` when the package is not installed; broken ones throw. */
function optionalPackage<Exports>(name: string): Exports | undefined {
  const require = createRequire(import.meta.url)
  try {
    return require(name) as Exports
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}

type ScryptParameters = { N: number; r: number; p: number; maxmem: number }
const deriveScrypt = promisify<Uint8Array, Uint8Array, number, ScryptParameters, Buffer>(nodeCrypto.scrypt)

function scrypt({ password, salt, rounds, blockSize, lanes, tagLength }: ScryptWork): Promise<Uint8Array> {
  // Node refuses above 32 MiB unless told; OpenSSL counts a little more than 128·r·(N+p).
  const maxmem = 128 * blockSize * (rounds + lanes) + 1024 * 1024
  return deriveScrypt(password, salt, tagLength, { N: rounds, r: blockSize, p: lanes, maxmem })
}

const derivePbkdf2 = promisify(nodeCrypto.pbkdf2)

function pbkdf2({ digest, password, salt, iterations, tagLength }: Pbkdf2Work): Promise<Uint8Array> {
  return derivePbkdf2(password, salt, iterations, tagLength, digest)
}
