import { sha256Hex } from '../crypto/random.ts'
import { checkOptions, isKeyText, kindOf, type OptionKinds, UsageError } from '../error.ts'
import type { LoginProof } from '../session/about.ts'

/**
 * How users are found again, and named in a session. TypeScript infers `User` from `find`. Write `find` first, because
 * TypeScript reads from top to bottom and `subject` receives what `find` returns.
 */
export interface Users<User> {
  /** The user with this subject. If the user was removed, return `undefined`, `null` or `false`: then the login ends. */
  find(subject: string): User | undefined | null | false | PromiseLike<User | undefined | null | false>
  /**
   * Whether `find` always answers without a promise, as a Map or SQLite does. With such a store the user is then looked up at
   * its first use. Default false: for a request with a cookie, the user is looked up before the handler runs.
   */
  synchronous?: boolean
  /** A stable identifier, typically the primary key; not empty. */
  subject(user: User): string
  /**
   * A text that changes with the credentials, such as the time of the last password change, or a counter. The stored hash works
   * too, but then a hash that is renewed with stronger parameters ends the other logins. Only a digest is kept. Logins with
   * another stamp end, and so do logins from before stamps were configured.
   */
  stamp?(user: User): string
}

const userOptions: OptionKinds<Users<unknown>> = {
  find: 'needed',
  synchronous: 'boolean',
  subject: 'needed',
  stamp: 'function',
}

/** @throws {UsageError} `ERR_PASSPORT_OPTIONS` if a function is missing, or its name looks misspelt */
export function checkUsers(users: unknown): void {
  checkOptions('users', users, userOptions, 'ERR_PASSPORT_OPTIONS', 'allowed')
}

/** The digest of the stamp that a login keeps: 128 bits of SHA-256, so that a session never holds a password hash. */
export function stampOf<User>(users: Users<User>, user: User): string | undefined {
  if (users.stamp === undefined) return undefined
  const stamp: unknown = users.stamp(user)
  if (stamp === '' || isKeyText(stamp)) return sha256Hex(`gatepass:stamp:${stamp}`).slice(0, 32)
  throw new UsageError('ERR_PASSPORT_SUBJECT', `users.stamp gave ${kindOf(stamp)}`, {
    hint: 'Give a text that changes with the credentials. A text that is the same for every user never ends a login.',
  })
}

/** Whether a login was made with today's credentials; true for all logins without `users.stamp`. */
export function hasCurrentStamp<User>(users: Users<User>, user: User, login: LoginProof | undefined): boolean {
  return users.stamp === undefined || stampOf(users, user) === login?.stamp
}
