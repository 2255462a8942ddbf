import { equalTags, type Kdfs, keyedTag, randomSalt } from '../../crypto/kdf.ts'
import { UsageError } from '../../error.ts'
import { type Argon2Hash, type BcryptHash, formatHash, type ScryptHash, type StoredHash } from './phc.ts'
import type { WorkQueue } from './queue.ts'

/** The cost of one argon2id hash. A higher cost slows down logins, and an attacker who stole the table. */
export interface HashCost {
  /** Memory in KiB. Default 19,456. */
  memory?: number
  /** Default 2. */
  passes?: number
}

/** A key outside the database. Without it, an attacker cannot guess the passwords of a stolen table. */
export interface Pepper {
  /** Names the key in every hash made with it: letters, digits, `.` and `-`, at most 32. */
  readonly id: string
  /** At least 32 random characters. */
  readonly key: string
}

/** Peppers: the first makes new hashes, all of them verify. */
export type Peppers = readonly [current: Pepper, ...retired: Pepper[]]

/** How new hashes are made. */
export interface HasherOptions {
  cost?: HashCost
  /** Default: none. */
  pepper?: Peppers
}

/** Computes hashes and checks stored ones, under one policy. */
export class Hasher {
  readonly #kdfs: Kdfs
  readonly #queue: WorkQueue
  readonly #peppers: ReadonlyMap<string, string>
  readonly #current: Omit<Argon2Hash, 'salt' | 'tag'> | Omit<ScryptHash, 'salt' | 'tag'>

  constructor(kdfs: Kdfs, queue: WorkQueue, options: HasherOptions) {
    this.#kdfs = kdfs
    this.#queue = queue
    this.#peppers = pepperKeys(options.pepper ?? [])
    const cost = argon2Cost(options.cost ?? {})
    this.#current = { ...(kdfs.argon2 === undefined ? SCRYPT : cost), pepper: options.pepper?.[0].id }
  }

  async hash(password: Uint8Array): Promise<string> {
    const salt = randomSalt(SALT_BYTES)
    const tag = await this.#derive(password, { ...this.#current, salt, tag: NO_TAG })
    return formatHash({ ...this.#current, salt, tag })
  }

  /** Whether `stored` is a hash of `password`. Without `stored` it computes a hash, to take the same time, and returns false. */
  async matches(password: Uint8Array, stored: StoredHash | undefined): Promise<boolean> {
    if (stored === undefined || (stored.scheme === 'bcrypt' && !bcryptCanTell(password))) {
      await this.hash(password)
      return false
    }
    if (stored.scheme === 'bcrypt') {
      const bcrypt = this.#kdfs.bcrypt ?? missing('bcrypt', '@node-rs/bcrypt', '')
      return this.#queue.run(() => bcrypt(password, stored.text))
    }
    return equalTags(await this.#derive(password, stored), stored.tag)
  }

  /** Whether `stored` is weaker than the policy in scheme, cost, salt, tag or pepper. */
  outdated(stored: StoredHash): boolean {
    const current = this.#current
    if (stored.scheme === 'bcrypt' || stored.scheme === 'pbkdf2' || stored.pepper !== current.pepper) return true
    if (stored.salt.length < SALT_BYTES || stored.tag.length < TAG_BYTES) return true
    if (stored.scheme === 'scrypt') {
      if (current.scheme === 'argon2') return true
      return stored.rounds < current.rounds || stored.blockSize < current.blockSize
    }
    if (current.scheme === 'scrypt') return false
    return stored.variant !== current.variant || stored.memory < current.memory || stored.passes < current.passes
  }

  async #derive(password: Uint8Array, hash: Exclude<StoredHash, BcryptHash>): Promise<Uint8Array> {
    const { pepper } = hash
    const key = pepper === undefined ? undefined : this.#peppers.get(pepper)
    if (pepper !== undefined && key === undefined) {
      throw new UsageError(
        'ERR_PASSWORD_PEPPER',
        `A stored hash needs the pepper "${pepper}", which is not configured`,
        {
          hint: 'Add it after the current one: `pepper: [current, retired]`. Without its key the hash cannot be verified.',
        },
      )
    }
    const compute = this.#computation(password, hash)
    const tag = await this.#queue.run(compute)
    return key === undefined ? tag : keyedTag(key, tag)
  }

  #computation(password: Uint8Array, hash: Exclude<StoredHash, BcryptHash>): () => Promise<Uint8Array> {
    // A peppered tag is an HMAC, so its length differs from that of the tag under it.
    const tagLength = hash.pepper === undefined ? hash.tag.length : TAG_BYTES
    const work = { ...hash, password, tagLength }
    switch (work.scheme) {
      case 'argon2': {
        const argon2 = this.#kdfs.argon2 ?? missing('argon2', '@node-rs/argon2', ', or run Node.js 24.7 or newer')
        return () => argon2(work)
      }
      case 'scrypt':
        return () => this.#kdfs.scrypt(work)
      case 'pbkdf2':
        return () => this.#kdfs.pbkdf2(work)
    }
  }
}

const SALT_BYTES = 16
const TAG_BYTES = 32
const NO_TAG = new Uint8Array(TAG_BYTES)
const SCRYPT = { scheme: 'scrypt', rounds: 2 ** 17, blockSize: 8, lanes: 1 } as const

// bcrypt reads 72 bytes and stops at NUL. It would accept any bytes after that.
function bcryptCanTell(password: Uint8Array): boolean {
  return password.length <= 72 && !password.includes(0)
}

function argon2Cost({ memory = 19_456, passes = 2 }: HashCost): Omit<Argon2Hash, 'salt' | 'tag' | 'pepper'> {
  const known = Number.isInteger(memory) && Number.isInteger(passes)
  // The lowest memory with the strength of the default: 7 MiB with five passes.
  if (known && memory >= 7168 && memory <= 262_144 && passes >= 1 && passes <= 64 && memory * passes >= 35_840) {
    return { scheme: 'argon2', variant: 'argon2id', memory, passes, lanes: 1 }
  }
  throw new UsageError('ERR_PASSWORD_OPTIONS', 'cost is too low for argon2id, or too high for a login', {
    hint: 'memory is 7,168 to 262,144 KiB, passes is 1 to 64, and their product is at least 35,840. The default is 19,456 and 2.',
  })
}

function pepperKeys(peppers: readonly Pepper[]): ReadonlyMap<string, string> {
  const ids = new Set(peppers.map((pepper) => pepper.id))
  const sound = peppers.every(({ id, key }) => /^[A-Za-z0-9.-]{1,32}$/.test(id) && Buffer.byteLength(key) >= 32)
  if (sound && ids.size === peppers.length) return new Map(peppers.map(({ id, key }) => [id, key]))
  throw new UsageError(
    'ERR_PASSWORD_OPTIONS',
    'A pepper has an invalid or repeated id, or a key of less than 32 bytes',
    {
      hint: 'Ids are 1 to 32 letters, digits, dots and hyphens, each used once. Make a key with `openssl rand -base64 32`.',
    },
  )
}

function missing(scheme: string, name: string, alternative: string): never {
  throw new UsageError(
    'ERR_PASSWORD_HASHER_MISSING',
    `A stored hash is ${scheme}, which this installation cannot compute`,
    {
      hint: `Run \`npm install ${name}\`${alternative}.`,
    },
  )
}
