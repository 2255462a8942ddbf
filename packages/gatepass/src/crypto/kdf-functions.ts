// The password hashing functions, in two versions: on Node's thread pool, and blocking the calling thread.
import * as nodeCrypto from 'node:crypto'
import { promisify } from 'node:util'
import { peerPackage } from '../peer-package.ts'
import type { Argon2Work, Job, Kdfs, Pbkdf2Work, ScryptWork } from './kdf.ts'

/** The functions that this installation has, computed on Node's thread pool. */
export function poolKdfs(): Kdfs {
  return { argon2: packagedArgon2() ?? builtInArgon2(), bcrypt: packagedBcrypt(), scrypt, pbkdf2 }
}

/** Computes a job with the same functions, blocking, on a thread. What `poolKdfs` does not have throws. */
export function computeNow(job: Job): Uint8Array | boolean {
  switch (job.name) {
    case 'argon2': {
      const argon2 = optionalPackage<PackagedArgon2>('@node-rs/argon2')
      if (argon2 === undefined) return nodeCrypto.argon2Sync(job.work.variant, builtInParameters(job.work))
      return argon2.hashRawSync(job.work.password, packagedParameters(job.work))
    }
    case 'bcrypt':
      return peerPackage<PackagedBcrypt>('@node-rs/bcrypt').verifySync(job.work.password, job.work.hash)
    case 'scrypt':
      return nodeCrypto.scryptSync(job.work.password, job.work.salt, job.work.tagLength, scryptParameters(job.work))
    case 'pbkdf2': {
      const { digest, password, salt, iterations, tagLength } = job.work
      return nodeCrypto.pbkdf2Sync(password, salt, iterations, tagLength, digest)
    }
  }
}

// Preferred over Node's own function: 5 ms of CPU in place of 15 (bench `passwords`, "CPU of one hash").
export function packagedArgon2(): Kdfs['argon2'] {
  const argon2 = optionalPackage<PackagedArgon2>('@node-rs/argon2')
  return argon2 && ((work) => argon2.hashRaw(work.password, packagedParameters(work)))
}

type PackagedParameters = Record<string, number | Uint8Array>
interface PackagedArgon2 {
  hashRaw(password: Uint8Array, parameters: PackagedParameters): Promise<Uint8Array>
  hashRawSync(password: Uint8Array, parameters: PackagedParameters): Uint8Array
}

function packagedParameters({ variant, salt, memory, passes, lanes, tagLength }: Argon2Work): PackagedParameters {
  const algorithm = { argon2d: 0, argon2i: 1, argon2id: 2 }[variant]
  return { algorithm, salt, memoryCost: memory, timeCost: passes, parallelism: lanes, outputLen: tagLength }
}

export function builtInArgon2(): Kdfs['argon2'] {
  const least = { message: '', nonce: new Uint8Array(8), memory: 8, passes: 1, parallelism: 1, tagLength: 4 }
  try {
    // A Node.js linked to OpenSSL before 3.2 has the function, but it throws.
    nodeCrypto.argon2Sync('argon2id', least)
  } catch {
    return undefined
  }
  return (work) =>
    new Promise((resolve, reject) => {
      nodeCrypto.argon2(work.variant, builtInParameters(work), (error, tag) =>
        error === null ? resolve(tag) : reject(error),
      )
    })
}

type BuiltInParameters = Parameters<typeof nodeCrypto.argon2>[1]
function builtInParameters({ password, salt, memory, passes, lanes, tagLength }: Argon2Work): BuiltInParameters {
  return { message: password, nonce: salt, memory, passes, parallelism: lanes, tagLength }
}

function packagedBcrypt(): Kdfs['bcrypt'] {
  const bcrypt = optionalPackage<PackagedBcrypt>('@node-rs/bcrypt')
  return bcrypt && ((password, hash) => bcrypt.verify(password, hash))
}

interface PackagedBcrypt {
  verify(password: Uint8Array, hash: string): Promise<boolean>
  verifySync(password: Uint8Array, hash: string): boolean
}

/** `undefined` if the package is not installed. A broken package throws. */
function optionalPackage<Exports>(name: string): Exports | undefined {
  try {
    return peerPackage(name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}

type ScryptParameters = { N: number; r: number; p: number; maxmem: number }
const deriveScrypt = promisify<Uint8Array, Uint8Array, number, ScryptParameters, Buffer>(nodeCrypto.scrypt)

function scrypt(work: ScryptWork): Promise<Uint8Array> {
  return deriveScrypt(work.password, work.salt, work.tagLength, scryptParameters(work))
}

function scryptParameters({ rounds, blockSize, lanes }: ScryptWork): ScryptParameters {
  // Without maxmem Node refuses more than 32 MiB. OpenSSL needs a little more than 128·r·(N+p).
  const maxmem = 128 * blockSize * (rounds + lanes) + 1024 * 1024
  return { N: rounds, r: blockSize, p: lanes, maxmem }
}

const derivePbkdf2 = promisify(nodeCrypto.pbkdf2)

function pbkdf2({ digest, password, salt, iterations, tagLength }: Pbkdf2Work): Promise<Uint8Array> {
  return derivePbkdf2(password, salt, iterations, tagLength, digest)
}
