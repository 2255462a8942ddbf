import { installedKdfs } from '../crypto/kdf.ts'
import { HashedPasswords, type HasherOptions } from './password/passwords.ts'
import type { PasswordProblem, PolicyOptions } from './password/policy.ts'

export {
  type HashCost,
  type HasherOptions,
  type PasswordEvent,
  type PasswordOptions,
  type Passwords,
  type Pepper,
  type Peppers,
  passwords,
  type QueueOptions,
  type Verification,
} from './password/passwords.ts'
export type { Blocklist, PasswordProblem, PolicyOptions } from './password/policy.ts'

/**
 * Hashes a password into a PHC string to store: argon2id with 19 MiB and two passes, or scrypt if argon2 is not available.
 *
 * @throws {ProtocolError} `ERR_PASSWORD_UNUSABLE` if it is empty, above 1,024 bytes or not well-formed Unicode
 * @throws {StoreError} `ERR_PASSWORD_BUSY` (503) if the queue that the whole process shares is full
 */
export function hashPassword(password: string, options: HasherOptions = {}): Promise<string> {
  return new HashedPasswords(installedKdfs(), options).hash(password)
}

/**
 * Whether `stored` is a hash of `password`: argon2, scrypt or PBKDF2 in PHC form, or bcrypt. For an unknown user call it with
 * `undefined`, so that the answer takes the same time. `passwords().verify` also returns a new hash to replace an old one.
 *
 * @throws {StoreError} `ERR_PASSWORD_BUSY` (503)
 * @throws {UsageError} `ERR_PASSWORD_HASHER_MISSING`, `ERR_PASSWORD_PEPPER` if this installation cannot compute `stored`
 */
export function verifyPassword(
  password: string,
  stored: string | undefined,
  options: HasherOptions = {},
): Promise<boolean> {
  return new HashedPasswords(installedKdfs(), options).matches(password, stored)
}

/** Whether a stored hash is unreadable, or weaker than the current scheme, cost or pepper. */
export function needsRehash(stored: string, options: HasherOptions = {}): boolean {
  return new HashedPasswords(installedKdfs(), options).needsRehash(stored)
}

/**
 * Why a password is not allowed; `undefined` if it is allowed.
 *
 * @param options `about`: names and addresses of the user, which attackers try first
 */
export function checkPassword(
  password: string,
  options: PolicyOptions & { about?: readonly (string | undefined)[] } = {},
): Promise<PasswordProblem | undefined> {
  return new HashedPasswords(installedKdfs(), options).check(password, options.about)
}
