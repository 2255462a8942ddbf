import type { Awaitable } from '../awaitable.ts'
import { checkOptions, kindOf, type OptionKinds, UsageError } from '../error.ts'
import { oneText } from '../http/body.ts'
import type { Exchange } from '../http/exchange.ts'
import { type Failure, type Found, isFailure, type Success, type UserObject, userFrom } from '../passport/outcome.ts'
import type { Attempt, Strategy } from '../passport/strategy.ts'
import { passwords as defaultPasswords, type Passwords, passwordBytes } from '../protocols/password/passwords.ts'
import { report } from '../report.ts'

/** The names of the two fields in the form or JSON body. */
export interface LocalFields {
  /** The first of these fields that is filled in is used. Default `['username', 'email']`. */
  name?: string | readonly string[]
  /** Default `password`. */
  password?: string
}

/** A user with the stored hash, as `find` returns it. `hash` is `undefined` for a user without password. */
export interface LocalAccount<User> {
  readonly user: User
  /** A hash from `passwords.hash`, or an imported one. */
  readonly hash: string | undefined
  /** Refuses the login although the password is right, for a disabled account. A wrong password does not reveal it. */
  readonly failure?: Failure
}

/** The usual case: Gatepass verifies, the application keeps the accounts. */
export interface LocalAccounts<User> {
  /**
   * Finds the account with this name; `undefined` if there is none. It is called again after a right password, because the
   * account may have changed while the password was hashed. The name is as typed: 1 to 256 characters, no control characters.
   */
  find(name: string, exchange: Exchange): Awaitable<LocalAccount<User> | undefined | null | false>
  /**
   * Replaces the hash `from` with `to`, only if `from` is still stored: the user may be changing the password. Called after a
   * login with an outdated hash.
   */
  rehash?(user: User, hash: { readonly from: string; readonly to: string }): Awaitable<unknown>
  /** Default: `passwords()`. */
  passwords?: Passwords
  fields?: LocalFields
  onEvent?: (event: LocalEvent) => void
}

/** For passwords that are verified elsewhere: LDAP, another service, an old table. */
export interface LocalVerifier<User> {
  /**
   * Verifies name and password and returns the user. Return `undefined` to refuse with the usual message, or a `Failure` with
   * your own (declare it as `Failure`, because `User` is inferred here). It must take the same time for an unknown name as for
   * a wrong password.
   */
  verify(name: string, password: string, exchange: Exchange): Awaitable<Found<User>>
  fields?: LocalFields
}

/** `rehash` threw an error. The login went on, and the next login tries again. */
export interface LocalEvent {
  readonly type: 'rehash_failed'
  readonly error: unknown
}

/** Logs in with name and password from a form or a JSON body. */
export function local<User extends UserObject>(
  options: LocalAccounts<User> | LocalVerifier<User>,
): Strategy<User, 'local'> {
  const { fields = {} } = options ?? {}
  checkOptions('local()', options, localOptions, 'ERR_PASSPORT_OPTIONS')
  checkOptions('fields of local()', fields, fieldOptions, 'ERR_PASSPORT_OPTIONS')
  const prove = passwordVerifier('local()', options)
  const { name = ['username', 'email'], password: passwordField = 'password' } = fields
  const nameFields = typeof name === 'string' ? [name] : name
  return {
    name: 'local',
    async authenticate(exchange, attempt) {
      const body = await exchange.fields()
      // Only strings: `{"username": {"$ne": ""}}` must not reach a query.
      let typedName: string | undefined
      for (const field of nameFields) {
        const text = oneText(body, field)
        typedName ||= text
      }
      const password = oneText(body, passwordField)
      return typedName && password ? prove({ name: typedName, password }, exchange, attempt) : MISSING
    },
  }
}

const fieldOptions: OptionKinds<LocalFields> = { name: 'any', password: 'string' }

/** The options of `local()`, which `basic()` shares. */
export const localOptions: OptionKinds<LocalAccounts<unknown> | LocalVerifier<unknown>> = {
  find: 'function',
  rehash: 'function',
  passwords: 'object',
  verify: 'function',
  fields: 'object',
  onEvent: 'function',
}

/** Makes the function that verifies a name and a password, for `local` and `basic`. */
export function passwordVerifier<User extends UserObject>(
  strategy: string,
  options: LocalAccounts<User> | LocalVerifier<User>,
): (credentials: Credentials, exchange: Exchange, attempt: Attempt) => Promise<Success<User> | Failure> {
  const accounts = options as LocalAccounts<User> & Partial<LocalVerifier<User>>
  if ((accounts.find === undefined) === (accounts.verify === undefined)) {
    throw new UsageError('ERR_PASSPORT_OPTIONS', `${strategy} needs either \`find\` or \`verify\``, {
      hint: 'With local({ find: (name) => … }) you return { user, hash }, and Gatepass verifies the password.',
    })
  }
  const passwords = accounts.passwords ?? defaultPasswords()

  async function verifiedByHash(name: string, password: string, exchange: Exchange): Promise<User | Failure> {
    const verifiedHashes: (string | null | undefined)[] = []
    for (let look = 0; look < MOST_LOOKS; look++) {
      const account = checkedAccount(await accounts.find(name, exchange))
      // The password may change while it is hashed: the account must now have a hash that was verified.
      if (account !== undefined && verifiedHashes.includes(account.hash)) return account.failure || account.user
      const { ok, rehash } = await passwords.verify(password, account?.hash ?? undefined)
      if (account === undefined || !ok) return INVALID
      if (account.failure) return account.failure
      verifiedHashes.push(account.hash)
      if (rehash === undefined) continue
      verifiedHashes.push(rehash)
      try {
        await accounts.rehash?.(account.user, { from: account.hash ?? '', to: rehash })
      } catch (error) {
        // The password was right: a database that cannot be written must not fail the login.
        report(strategy, () => accounts.onEvent?.({ type: 'rehash_failed', error }))
      }
    }
    return INVALID
  }

  return async ({ name, password }, exchange, attempt) => {
    // Before the account is looked up, so that the answer is the same for every name.
    if (!NAME.test(name) || !name.isWellFormed() || passwordBytes(password) === undefined) return INVALID
    const user =
      accounts.verify === undefined
        ? userFrom('`find`', await verifiedByHash(name, password, exchange))
        : userFrom('`verify`', await accounts.verify(name, password, exchange))
    if (user === undefined) return INVALID
    if (isFailure(user)) return user
    return { type: 'success', user, amr: ['pwd'], at: attempt.clock() }
  }
}

// Names have no control characters, and a NUL is an error in some databases.
const NAME = /^[^\x00-\x1f\x7f]{1,256}$/

/** Calls of `find` for one login: before the hash, after it, and once more if another login renewed the hash meanwhile. */
const MOST_LOOKS = 3

const MISSING: Failure = {
  type: 'failure',
  reason: 'missing',
  message: 'Enter your name and your password.',
  status: 400,
}
const INVALID: Failure = { type: 'failure', reason: 'invalid', message: 'Wrong name or password.' }

/** Checks the members of what `find` returned. A row of a table is not enough: it must be made into `user` and `hash`. */
function checkedAccount<User>(account: LocalAccount<User> | undefined | null | false): LocalAccount<User> | undefined {
  if (account === undefined || account === null || account === false) return undefined
  const { user, hash, failure } = account
  const wrong = Object.entries({
    user: kindOf(user) === 'an object',
    hash: hash === undefined || hash === null || typeof hash === 'string',
    failure: !failure || isFailure(failure),
  }).find(([, fits]) => !fits)
  if (wrong === undefined) return account
  const member = wrong[0] as 'user' | 'hash' | 'failure'
  throw new UsageError(
    'ERR_PASSPORT_USER',
    `\`find\` returned an account whose \`${member}\` is ${kindOf(account[member])}`,
    {
      hint: 'Return { user, hash } with the user as an object and the stored hash as a string, or `undefined` if there is no account.',
    },
  )
}

/** A name and a password, as typed. */
export interface Credentials {
  readonly name: string
  readonly password: string
}
