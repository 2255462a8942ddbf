import { availableParallelism } from 'node:os'
import { equalTags, installedKdfs, type Kdfs, keyedTag, randomSalt } from '../../crypto/kdf.ts'
import { checkOptions, type OptionKinds, ProtocolError, StoreError, UsageError } from '../../error.ts'
import { report } from '../../report.ts'
import {
  type Argon2Hash,
  affordable,
  type BcryptHash,
  formatHash,
  parseHash,
  type ScryptHash,
  type StoredHash,
} from './phc.ts'
import { LONGEST_TEXT, MAXIMUM_BYTES, PasswordPolicy, type PasswordProblem, type PolicyOptions } from './policy.ts'

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

/** How many hashes may be computed and may wait at the same time. */
export interface QueueOptions {
  /**
   * How many hashes are computed at once, each on its own thread. Default: the number of cores, but at most one less than the
   * threads of Node's pool (4, or `UV_THREADPOOL_SIZE`). If no other threads can be started, hashes run in that pool, and one
   * thread must stay free for files and DNS.
   */
  concurrency?: number
  /** How many hashes may wait. One more is refused with 503. Default 100. */
  length?: number
}

/** Which passwords an application allows, and how it hashes them. Every option has a default. */
export interface PasswordOptions extends PolicyOptions, HasherOptions {
  /** Gives these passwords their own queue. Default: one queue for the whole process. */
  queue?: QueueOptions
  /** Receives events that no answer shows. Events contain neither passwords nor hashes. */
  onEvent?: (event: PasswordEvent) => void
}

/** A problem that the answer to a login does not show. */
export type PasswordEvent =
  /** A stored hash is malformed or too expensive to compute: its user cannot log in. */
  | { readonly type: 'hash_unusable'; readonly reason: 'malformed' | 'excessive' }
  /** The password was right, but the new hash failed, usually because the queue is full. The next login tries again. */
  | { readonly type: 'rehash_skipped'; readonly error: unknown }
  /** `blocklist` threw an error, so the password was allowed. */
  | { readonly type: 'blocklist_unavailable'; readonly error: unknown }

/** The result of `verify`. */
export interface Verification {
  readonly ok: boolean
  /** A new hash of the password, if the stored one is weaker than the current policy. Replace the stored hash with it. */
  readonly rehash?: string
}

/** Checks, hashes and verifies an application's passwords. */
export interface Passwords {
  /**
   * Hashes a password into a PHC string to store, with a new salt. Call `check` first: `hash` does not apply the policy.
   *
   * @throws {ProtocolError} `ERR_PASSWORD_UNUSABLE` if it is empty, above 1,024 bytes or not well-formed Unicode
   * @throws {StoreError} `ERR_PASSWORD_BUSY` (503)
   */
  hash(password: string): Promise<string>
  /**
   * Whether `stored` is a hash of `password`. For an unknown user call it with `undefined`, so that the answer takes the same
   * time. An unreadable hash counts as absent.
   *
   * @throws {StoreError} `ERR_PASSWORD_BUSY` (503)
   * @throws {UsageError} `ERR_PASSWORD_HASHER_MISSING`, `ERR_PASSWORD_PEPPER` if this installation cannot compute `stored`
   */
  verify(password: string, stored: string | undefined): Promise<Verification>
  /** Whether the stored hash is unreadable, or weaker than the current scheme, cost or pepper. */
  needsRehash(stored: string): boolean
  /**
   * Why the password is not allowed; `undefined` if it is allowed.
   *
   * @param about names and addresses of the user, which attackers try first
   */
  check(password: string, about?: readonly (string | undefined)[]): Promise<PasswordProblem | undefined>
}

const passwordOptions: OptionKinds<PasswordOptions> = {
  minimum: 'number',
  blocklist: 'any',
  contextWords: 'list',
  cost: 'object',
  pepper: 'any',
  queue: 'object',
  onEvent: 'function',
}

/** Makes the passwords of an application, under one policy. */
export function passwords(options: PasswordOptions = {}): Passwords {
  checkOptions('passwords()', options, passwordOptions, 'ERR_PASSWORD_OPTIONS')
  return new HashedPasswords(installedKdfs(), options)
}

/** The result of `passwords`. A test gives it hashing functions that count. */
export class HashedPasswords implements Passwords {
  readonly #kdfs: Kdfs
  readonly #queue: WorkQueue
  readonly #peppers: ReadonlyMap<string, string>
  /** How new hashes are made. */
  readonly #current: Omit<Argon2Hash, 'salt' | 'tag'> | Omit<ScryptHash, 'salt' | 'tag'>
  readonly #policy: PasswordPolicy
  readonly #report: (event: PasswordEvent) => void

  constructor(kdfs: Kdfs, options: PasswordOptions = {}) {
    this.#kdfs = kdfs
    this.#report = (event) => report('passwords()', () => options.onEvent?.(event))
    this.#queue = options.queue === undefined ? sharedQueue() : new WorkQueue(options.queue)
    this.#peppers = pepperKeys(options.pepper ?? [])
    const cost = argon2Cost(options.cost ?? {})
    this.#current = { ...(kdfs.argon2 === undefined ? SCRYPT : cost), pepper: options.pepper?.[0].id }
    this.#policy = new PasswordPolicy(options, (error) => this.#report({ type: 'blocklist_unavailable', error }))
  }

  async hash(password: string): Promise<string> {
    const bytes = passwordBytes(password)
    if (bytes !== undefined) return this.#hash(bytes)
    throw new ProtocolError(
      'ERR_PASSWORD_UNUSABLE',
      'The password to hash is empty, above 1,024 bytes, or not Unicode',
      { hint: 'Call `check` first: it returns the reason as a text for the user.' },
    )
  }

  async verify(password: string, stored: string | undefined): Promise<Verification> {
    const ok = await this.matches(password, stored)
    if (!ok || stored === undefined || !this.needsRehash(stored)) return { ok }
    try {
      return { ok, rehash: await this.hash(password) }
    } catch (error) {
      // The password was right: a full queue must not fail the login.
      this.#report({ type: 'rehash_skipped', error })
      return { ok }
    }
  }

  /** `verify` without the new hash. */
  async matches(password: string, stored: string | undefined): Promise<boolean> {
    const bytes = passwordBytes(password)
    // Before all steps that depend on the user, so that the answer is the same for every user.
    if (bytes === undefined) return false
    const parsed = stored === undefined ? undefined : parseHash(stored)
    const hash = parsed !== undefined && affordable(parsed) ? parsed : undefined
    if (stored !== undefined && hash === undefined) {
      this.#report({ type: 'hash_unusable', reason: parsed === undefined ? 'malformed' : 'excessive' })
    }
    if (hash === undefined || (hash.scheme === 'bcrypt' && !bcryptCanTell(bytes))) {
      // As long as for a wrong password, so that the time does not tell who has an account.
      await this.#hash(bytes)
      return false
    }
    if (hash.scheme !== 'bcrypt') return equalTags(await this.#tag(bytes, hash), hash.tag)
    const bcrypt = this.#kdfs.bcrypt ?? missing('bcrypt', '@node-rs/bcrypt', '')
    return this.#queue.run(() => bcrypt(bytes, hash.text))
  }

  needsRehash(stored: string): boolean {
    const hash = parseHash(stored)
    const current = this.#current
    if (hash === undefined || hash.scheme === 'bcrypt' || hash.scheme === 'pbkdf2') return true
    if (hash.pepper !== current.pepper || hash.salt.length < SALT_BYTES || hash.tag.length < TAG_BYTES) return true
    if (hash.scheme === 'scrypt') {
      if (current.scheme === 'argon2') return true
      return hash.rounds < current.rounds || hash.blockSize < current.blockSize
    }
    if (current.scheme === 'scrypt') return false
    return hash.variant !== current.variant || hash.memory < current.memory || hash.passes < current.passes
  }

  check(password: string, about: readonly (string | undefined)[] = []): Promise<PasswordProblem | undefined> {
    return this.#policy.check(password, about)
  }

  async #hash(password: Uint8Array): Promise<string> {
    const salt = randomSalt(SALT_BYTES)
    const tag = await this.#tag(password, { ...this.#current, salt, tag: NO_TAG })
    return formatHash({ ...this.#current, salt, tag })
  }

  /** The tag of the password under the scheme, cost, salt and pepper of `hash`. */
  async #tag(password: Uint8Array, hash: Exclude<StoredHash, BcryptHash>): Promise<Uint8Array> {
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
    // A peppered tag is an HMAC, so its length differs from that of the tag under it.
    const work = { ...hash, password, tagLength: pepper === undefined ? hash.tag.length : TAG_BYTES }
    const tag = await this.#queue.run(() => {
      switch (work.scheme) {
        case 'argon2':
          return (this.#kdfs.argon2 ?? missing('argon2', '@node-rs/argon2', ', or run Node.js 24.7 or newer'))(work)
        case 'scrypt':
          return this.#kdfs.scrypt(work)
        case 'pbkdf2':
          return this.#kdfs.pbkdf2(work)
      }
    })
    return key === undefined ? tag : keyedTag(key, tag)
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

/**
 * The bytes of a password that are hashed: NFC, then UTF-8 (SP 800-63B-4 §3.1.1.2). `undefined` if it is empty, longer than
 * 1,024 bytes, or contains half a surrogate pair: UTF-8 cannot express that, so different passwords would become equal.
 */
export function passwordBytes(password: string): Uint8Array | undefined {
  if (password.length > LONGEST_TEXT || !password.isWellFormed()) return undefined
  const bytes = Buffer.from(password.normalize('NFC'), 'utf8')
  return bytes.length === 0 || bytes.length > MAXIMUM_BYTES ? undefined : bytes
}

/** Runs a limited number of slow tasks at once, in the order in which they came. */
export class WorkQueue {
  readonly #concurrency: number
  readonly #length: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(options: QueueOptions = {}) {
    const pool = Number(process.env.UV_THREADPOOL_SIZE) || 4
    const spare = Math.max(1, Math.min(availableParallelism(), pool - 1))
    this.#concurrency = atLeast(1, 'concurrency', options.concurrency ?? spare)
    this.#length = atLeast(0, 'length', options.length ?? 100)
  }

  /** @throws {StoreError} `ERR_PASSWORD_BUSY` (503) at once, if the queue is full */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running < this.#concurrency) this.#running++
    else await this.#turn()
    try {
      return await task()
    } finally {
      // The next task takes the slot directly. If the slot became free in between, a new task could take it first.
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }

  #turn(): Promise<void> {
    if (this.#waiting.length >= this.#length) {
      throw new StoreError('ERR_PASSWORD_BUSY', 'This server has more password hashes to compute than it can', {
        hint: 'Limit login attempts per client, add cores (and set UV_THREADPOOL_SIZE to one more than the cores), or raise `queue.length` if callers may wait longer.',
        retryAfter: 1,
      })
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

/** The queue of all passwords without their own, because the whole process shares the cores. */
export function sharedQueue(): WorkQueue {
  shared ??= new WorkQueue()
  return shared
}
let shared: WorkQueue | undefined

function atLeast(least: number, name: string, value: number): number {
  if (Number.isInteger(value) && value >= least) return value
  throw new UsageError('ERR_PASSWORD_OPTIONS', `queue.${name} is not an integer of at least ${least}`)
}
