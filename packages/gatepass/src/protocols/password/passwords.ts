import { installedKdfs, type Kdfs } from '../../crypto/kdf.ts'
import { checkOptions, type OptionKinds, ProtocolError } from '../../error.ts'
import { Hasher, type HasherOptions } from './hash.ts'
import { affordable, parseHash } from './phc.ts'
import { PasswordPolicy, type PasswordProblem, type PolicyOptions } from './policy.ts'
import { type QueueOptions, sharedQueue, WorkQueue } from './queue.ts'
import { passwordBytes } from './text.ts'

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
  return passwordsOn(installedKdfs(), options)
}

/** `passwords` with given hashing functions, so that a test can count computations. */
export function passwordsOn(kdfs: Kdfs, options: PasswordOptions = {}): HashedPasswords {
  const report = options.onEvent ?? (() => {})
  const queue = options.queue === undefined ? sharedQueue() : new WorkQueue(options.queue)
  const hasher = new Hasher(kdfs, queue, options)
  const policy = new PasswordPolicy(options, (error) => report({ type: 'blocklist_unavailable', error }))
  return new HashedPasswords(hasher, policy, report)
}

/** The result of `passwords`. */
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
  return new ProtocolError(
    'ERR_PASSWORD_UNUSABLE',
    'The password to hash is empty, above 1,024 bytes, or not Unicode',
    {
      hint: 'Call `check` first: it returns the reason as a text for the user.',
    },
  )
}
