import type { Awaitable } from '../awaitable.ts'
import { checkOptions, kindOf, type OptionKinds, UsageError } from '../error.ts'
import { oneText } from '../http/body.ts'
import type { Exchange } from '../http/exchange.ts'
import { type Failure, type Found, isFailure, type Success, type UserObject, userFrom } from '../passport/outcome.ts'
import type { Attempt, Strategy } from '../passport/strategy.ts'
import { passwords as defaultPasswords, type Passwords } from '../protocols/password/passwords.ts'
import { passwordBytes } from '../protocols/password/text.ts'

/** What the form or the JSON body calls the two. */
export interface LocalFields {
  /** The first one that is filled in counts. Default `['username', 'email']`. */
  name?: string | readonly string[]
  /** Default `password`. */
  password?: string
}

/** Somebody with a password, or with none of their own (`hash` is `undefined`), as `find` gives them. */
export interface LocalAccount<User> {
  readonly user: User
  /** As `passwords.hash` made it, or imported. */
  readonly hash: string | undefined
  /** Refuses the login in spite of the right password: a disabled account. Whoever has the wrong one never learns of it. */
  readonly failure?: Failure
}

/** The usual case: Gatepass verifies, the application keeps the accounts. */
export interface LocalAccounts<User> {
  /**
   * Whose name it is; `undefined` when nobody's. It is asked again after the right password, for what has changed while that was
   * hashed. The name is as typed: 1 to 256 characters, no control characters.
   */
  find(name: string, exchange: Exchange): Awaitable<LocalAccount<User> | undefined | null | false>
  /**
   * Stores the hash `to` if `from` is still what is stored: somebody may be changing their password. Called after a login
   * with an outdated hash.
   */
  rehash?(user: User, hash: { readonly from: string; readonly to: string }): Awaitable<unknown>
  /** Default: `passwords()`. */
  passwords?: Passwords
  fields?: LocalFields
  onEvent?: (event: LocalEvent) => void
}

/** For what is verified elsewhere: LDAP, another service, an old table. */
export interface LocalVerifier<User> {
  /**
   * Who that is. `undefined` refuses with the one message for every reason; a `Failure` (declared as one, for `User` is
   * inferred here) refuses with its own. It must
   * take as long for a name nobody has as for a wrong password.
   */
  verify(name: string, password: string, exchange: Exchange): Awaitable<Found<User>>
  fields?: LocalFields
}

/** `rehash` threw; the login went on, and the next one tries again. */
export interface LocalEvent {
  readonly type: 'rehash_failed'
  readonly error: unknown
}

/** Name and password, from a form or a JSON body. */
export function local<User extends UserObject>(
  options: LocalAccounts<User> | LocalVerifier<User>,
): Strategy<User, 'local'> {
  const { fields = {} } = options ?? {}
  checkOptions('local()', options, localOptions, 'ERR_PASSPORT_OPTIONS')
  checkOptions('fields of local()', fields, fieldOptions, 'ERR_PASSPORT_OPTIONS')
  const prove = proof('local()', options)
  const { name = ['username', 'email'], password: passwordField = 'password' } = fields
  const nameFields = typeof name === 'string' ? [name] : name
  return {
    name: 'local',
    async authenticate(exchange, attempt) {
      const fields = await exchange.fields()
      // Texts only: `{"username": {"$ne": ""}}` must not reach a query.
      const [name] = nameFields.flatMap((field) => oneText(fields, field) || [])
      const password = oneText(fields, passwordField)
      return name === undefined || !password ? MISSING : prove({ name, password }, exchange, attempt)
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

/** How a name and a password are judged, wherever in the request they stood. */
export function proof<User extends UserObject>(
  strategy: string,
  options: LocalAccounts<User> | LocalVerifier<User>,
): (credentials: Credentials, exchange: Exchange, attempt: Attempt) => Promise<Success<User> | Failure> {
  const { find, verify: verifier } = options as Partial<LocalAccounts<User> & LocalVerifier<User>>
  if ((find === undefined) === (verifier === undefined)) {
    throw new UsageError('ERR_PASSPORT_OPTIONS', `${strategy} needs either \`find\` or \`verify\``, {
      hint: 'local({ find: (name) => … }) gives { user, hash }, and the password is verified for you.',
    })
  }
  const verify =
    'verify' in options && options.verify
      ? options.verify.bind(options)
      : accountVerifier(options as LocalAccounts<User>)
  return async ({ name, password }, exchange, attempt) => {
    // Before an account is looked up, so that the answer is the same for every name.
    if (!NAME.test(name) || !name.isWellFormed() || passwordBytes(password) === undefined) return INVALID
    const user = userFrom('`verify`', await verify(name, password, exchange))
    if (user === undefined) return INVALID
    if (isFailure(user)) return user
    return { type: 'success', user, amr: ['pwd'], ...(attempt?.clock && { at: attempt.clock() }) }
  }
}

// A control character is in no name, and a NUL is an error to some databases.
const NAME = /^[^\x00-\x1f\x7f]{1,256}$/

/** Before a password, after it, and once more for another login that renewed the hash at the same moment. */
const MOST_LOOKS = 3

type Verify<User> = LocalVerifier<User>['verify']

const MISSING: Failure = {
  type: 'failure',
  reason: 'missing',
  message: 'Enter your name and your password.',
  status: 400,
}
const INVALID: Failure = { type: 'failure', reason: 'invalid', message: 'Wrong name or password.' }

function accountVerifier<User>(accounts: LocalAccounts<User>): Verify<User> {
  const passwords = accounts.passwords ?? defaultPasswords()
  return async (name, password, exchange) => {
    const right: (string | null | undefined)[] = []
    for (let look = 0; look < MOST_LOOKS; look++) {
      const account = checkedAccount(await accounts.find(name, exchange))
      // A hash takes its time, and the password may change meanwhile: the account as it is now must have a hash that was right.
      if (account !== undefined && right.includes(account.hash)) return account.failure ? account.failure : account.user
      const { ok, rehash } = await passwords.verify(password, account?.hash ?? undefined)
      if (account === undefined || !ok) return undefined
      if (account.failure) return account.failure
      right.push(account.hash)
      if (rehash === undefined) continue
      right.push(rehash)
      try {
        await accounts.rehash?.(account.user, { from: account.hash ?? '', to: rehash })
      } catch (error) {
        // The password was right: a database that cannot be written to is no reason to turn its owner away.
        accounts.onEvent?.({ type: 'rehash_failed', error })
      }
    }
    return undefined
  }
}

/** What `find` gave, when each member is what it must be: of a row of a table, `user` and `hash` are to be made. */
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
    `\`find\` gave an account whose \`${member}\` is ${kindOf(account[member])}`,
    {
      hint: 'Give { user, hash }: the user as an object, the stored hash as a text, or `undefined` if there is no such account.',
    },
  )
}

/** A name and a password, as typed. */
export interface Credentials {
  readonly name: string
  readonly password: string
}
