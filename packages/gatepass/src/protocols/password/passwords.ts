import { installedKdfs, type Kdfs } from '../../crypto/kdf.ts'
import { checkOptions, type OptionKinds, ProtocolError } from '../../error.ts'
import { Hasher, type HasherOptions } from './hash.ts'
import { affordable, parseHash } from './phc.ts'
import { PasswordPolicy, type PasswordProblem, type PolicyOptions } from './policy.ts'
import { type QueueOptions, sharedQueue, WorkQueue } from './queue.ts'
import { passwordBytes } from './text.ts'

/** How an application's passwords are chosen and kept; every member has a default. */
export interface PasswordOptions extends PolicyOptions, HasherOptions {
  /** A queue of its own. Default: one queue for the whole process. */
  queue?: QueueOptions
  /** What nobody sees otherwise; no event holds a password or a hash. */
  onEvent?: (event: PasswordEvent) => void
}

/** What happened behind an answer that looks normal. */
export type PasswordEvent =
  /** A stored hash is no hash, or asks for more than a login may cost: its owner cannot log in. */
  | { readonly type: 'hash_unusable'; readonly reason: 'malformed' | 'excessive' }
  /** The password was right, but hashing it anew failed, most likely for a full queue; the next login tries again. */
  | { readonly type: 'rehash_skipped'; readonly error: unknown }
  /** `blocklist` threw, and the password was allowed. */
  | { readonly type: 'blocklist_unavailable'; readonly error: unknown }

/** What `verify` found out. */
export interface Verification {
  readonly ok: boolean
  /** The same password under the current policy, when the stored hash is below it: store it instead. */
  readonly rehash?: string
}

/** An application's passwords: which may be chosen, how they are kept, and whether one is right. */
export interface Passwords {
  /**
   * A PHC string to store, with a salt of its own. `check` first whether the password may be chosen.
   *
   * @throws {ProtocolError} `ERR_PASSWORD_UNUSABLE` if it is empty, above 1,024 bytes or not well-formed Unicode
   * @throws {StoreError} `ERR_PASSWORD_BUSY` (503)
   */
  hash(password: string): Promise<string>
  /**
   * Whether `password` is the one `stored` was made from. Call it for unknown users too, with `undefined`: it takes as
   * long. A hash that cannot be read is treated like an absent one.
   *
   * @throws {StoreError} `ERR_PASSWORD_BUSY` (503)
   * @throws {UsageError} `ERR_PASSWORD_HASHER_MISSING`, `ERR_PASSWORD_PEPPER` if this installation cannot compute `stored`
   */
  verify(password: string, stored: string | undefined): Promise<Verification>
  /** Whether the stored hash is below the current scheme, cost or pepper, or cannot be read. */
  needsRehash(stored: string): boolean
  /**
   * Why the password may not be chosen; `undefined` if it may.
   *
   * @param about names and addresses of the person choosing, which attackers try first
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

/** Passwords of an application under one policy. */
export function passwords(options: PasswordOptions = {}): Passwords {
  checkOptions('passwords()', options, passwordOptions, 'ERR_PASSWORD_OPTIONS')
  return passwordsOn(installedKdfs(), options)
}

/** `passwords` on given slow functions, so that a test can count what is computed. */
export function passwordsOn(kdfs: Kdfs, options: PasswordOptions = {}): HashedPasswords {
  const report = options.onEvent ?? (() => {})
  const queue = options.queue === undefined ? sharedQueue() : new WorkQueue(options.queue)
  const hasher = new Hasher(kdfs, queue, options)
  const policy = new PasswordPolicy(options, (error) => report({ type: 'blocklist_unavailable', error }))
  return new HashedPasswords(hasher, policy, report)
}

/** What `passwords` makes. */
export class HashedPasswords implements Passwords {
  readonly #hasher: Hasher
  readonly #policy: PasswordPolicy
  readonly #report: (event: PasswordEvent) => void

  constructor(hasher: Hasher, policy: PasswordPolicy, report: (event: PasswordEvent) => void) {
    this.#hasher = hasher
    this.#policy = policy
    this.#report = report
  }

  async hash(password: string): Promise<string> {
    const bytes = passwordBytes(password)
    if (bytes === undefined) throw unusable()
    return this.#hasher.hash(bytes)
  }

  async verify(password: string, stored: string | undefined): Promise<Verification> {
    const ok = await this.matches(password, stored)
    if (!ok || stored === undefined || !this.needsRehash(stored)) return { ok }
    try {
      return { ok, rehash: await this.hash(password) }
    } catch (error) {
      // The password was right: a full queue is no reason to turn its owner away.
      this.#report({ type: 'rehash_skipped', error })
      return { ok }
    }
  }

  /** `verify` without the new hash. */
  async matches(password: string, stored: string | undefined): Promise<boolean> {
    const bytes = passwordBytes(password)
    // Before anything that depends on the user, so that it says the same of everybody.
    if (bytes === undefined) return false
    const hash = stored === undefined ? undefined : parseHash(stored)
    const usable = hash !== undefined && affordable(hash)
    if (stored !== undefined && !usable) {
      this.#report({ type: 'hash_unusable', reason: hash === undefined ? 'malformed' : 'excessive' })
    }
    return this.#hasher.matches(bytes, usable ? hash : undefined)
  }

  needsRehash(stored: string): boolean {
    const hash = parseHash(stored)
    return hash === undefined || this.#hasher.outdated(hash)
  }

  check(password: string, about: readonly (string | undefined)[] = []): Promise<PasswordProblem | undefined> {
    return this.#policy.check(password, about)
  }
}

function unusable(): ProtocolError {
  return new ProtocolError('ERR_PASSWORD_UNUSABLE', 'A password to hash is empty, above 1,024 bytes, or not Unicode', {
    hint: 'Call `check` first: it says why in words for the person choosing.',
  })
}
