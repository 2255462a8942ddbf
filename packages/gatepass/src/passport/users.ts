import { sha256Hex } from '../crypto/random.ts'
import { checkOptions, isKeyText, kindOf, type OptionKinds, subjectText, UsageError } from '../error.ts'
import type { LoginProof } from '../session/about.ts'

/**
 * How users are found again, and named in a session. The one place where `User` is inferred: write `find` first, since
 * TypeScript reads from top to bottom and `subject` is given what `find` finds.
 */
export interface Users<User> {
  /** The user with this subject, or `undefined` (`null` and `false` will do) if there is none any more: then the login ends. */
  find(subject: string): User | undefined | null | false | PromiseLike<User | undefined | null | false>
  /**
   * Whether `find` always answers at once, as a Map or SQLite does: with a store that does, a user is then looked up at the
   * first use. Default false: where the browser sent a cookie, the user is there before the handler runs.
   */
  synchronous?: boolean
  /** A stable identifier, typically the primary key; not empty. */
  subject(user: User): string
  /**
   * Changes with the credentials: when the password was changed, or a counter of that. The stored hash will do too, but
   * then a hash renewed under stronger parameters ends the other logins. Only a digest is kept. A login made under another
   * stamp ends, so does one from before stamps were configured.
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

/** @throws {UsageError} `ERR_PASSPORT_SUBJECT` if `users.subject` gives anything but a text that tells users apart */
export function subjectOf<User>(users: Users<User>, user: User): string {
  return subjectText('users.subject', users.subject(user))
}

/** What a login remembers of the credentials: 128 bits of SHA-256, so that a session never holds a password hash. */
export function stampOf<User>(users: Users<User>, user: User): string | undefined {
  if (users.stamp === undefined) return undefined
  const stamp: unknown = users.stamp(user)
  if (stamp === '' || isKeyText(stamp)) return sha256Hex(`gatepass:stamp:${stamp}`).slice(0, 32)
  throw new UsageError('ERR_PASSPORT_SUBJECT', `users.stamp gave ${kindOf(stamp)}`, {
    hint: 'Give a text that changes with the credentials. One that is the same for every user ends no login.',
  })
}

/** Whether a login was made with the credentials of today; always, where nothing tells when they change. */
export function hasCurrentStamp<User>(users: Users<User>, user: User, login: LoginProof | undefined): boolean {
  return users.stamp === undefined || stampOf(users, user) === login?.stamp
}
