import type { Strategy } from 'gatepass'
import { type Passwords, passwords } from 'gatepass/password'
import { local } from 'gatepass/strategies/local'
import type { Account } from '../accounts/accounts.ts'
import { parseEmailAddress } from '../accounts/email-address.ts'
import type { Log } from '../operation/log.ts'
import type { Services } from '../services.ts'
import type { Config } from '../settings/config.ts'

/** The rules for new passwords, and their hashing. */
export function passwordsOf({ name, password }: Pick<Config, 'name' | 'password'>, log: Log): Passwords {
  return passwords({
    minimum: password.minLength,
    contextWords: [name, 'gatepass', ...password.words],
    onEvent: (event) => log.warn({ event: `password_${event.type}`, ...('error' in event && { err: event.error }) }),
  })
}

/** The login by e-mail address and password. */
export function passwordStrategy({
  stores: { accounts },
  passwords,
  log,
}: Pick<Services, 'stores' | 'passwords' | 'log'>): Strategy<Account, 'local'> {
  return local<Account>({
    fields: { name: ['email', 'username'] },
    passwords,
    find: async (typed) => {
      const email = parseEmailAddress(typed)
      const account = email && (await accounts.byEmail(email.key))
      // A disabled password is treated as none: the refusal takes as long, and says the same.
      return account && { user: account, hash: account.passwordDisabled ? undefined : account.passwordHash }
    },
    rehash: (account, { from, to }) => accounts.rehash(account.id, { from, to }),
    onEvent: ({ type, error }) => log.warn({ event: type, err: error }),
  })
}
