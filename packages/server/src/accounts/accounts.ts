import { randomBytes } from 'node:crypto'
import { StoreError } from 'gatepass'
import type { Kysely } from 'kysely'
import type { AccountRow, AccountTables } from './database.ts'
import type { EmailAddress } from './email-address.ts'

/** One person's account, as the rest of the server sees it. */
export interface Account {
  readonly id: string
  readonly email: string
  readonly name: string
  readonly passwordHash: string
  /** Goes up when the password changes, not when the same one is hashed anew: logins under an earlier one have ended. */
  readonly passwordVersion: number
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Too many wrong passwords in a row: the password opens nothing until an operator says so. */
  readonly passwordDisabled: boolean
}

export interface NewAccount {
  readonly email: EmailAddress
  readonly name: string
  readonly passwordHash: string
}

/** How many wrong passwords in a row disable a password (NIST SP 800-63B-4 §3.2.2). */
export const MOST_CONSECUTIVE_FAILURES = 100

/**
 * The accounts of this server. Disabled accounts are absent ones, so that whatever asks for them fails closed.
 *
 * Every method throws a {@link StoreError} when the database does not answer.
 */
export class Accounts {
  readonly #database: Kysely<AccountTables>
  readonly #clock: () => number

  constructor(database: Kysely<AccountTables>, clock: () => number = Date.now) {
    this.#database = database
    this.#clock = clock
  }

  async byId(id: string): Promise<Account | undefined> {
    return this.#one('id', id)
  }

  /** @param key as `parseEmailAddress` makes it */
  async byEmail(key: string): Promise<Account | undefined> {
    return this.#one('email_key', key)
  }

  /** @returns the new account's id, or `undefined` if the address already has an account; nothing is changed then */
  async create({ email, name, passwordHash }: NewAccount): Promise<string | undefined> {
    const row = await this.#run((database) =>
      database
        .insertInto('accounts')
        .values({
          id: randomBytes(16).toString('base64url'),
          email: email.address,
          email_key: email.key,
          name,
          password_hash: passwordHash,
          password_version: 1,
          created_at: this.#clock(),
          failures: 0,
        })
        .onConflict((conflict) => conflict.column('email_key').doNothing())
        .returning('id')
        .executeTakeFirst(),
    )
    return row?.id
  }

  /** Takes a new hash of the same password, unless the password was changed meanwhile. */
  async rehash(id: string, { from, to }: { from: string; to: string }): Promise<void> {
    await this.#run((database) =>
      database
        .updateTable('accounts')
        .set({ password_hash: to })
        .where('id', '=', id)
        .where('password_hash', '=', from)
        .execute(),
    )
  }

  /**
   * Counts a wrong password, and disables the password with the last one allowed. A key that no account has costs the
   * same statement.
   *
   * @returns whether this failure disabled the password
   */
  async failed(key: string): Promise<boolean> {
    const row = await this.#run((database) =>
      database
        .updateTable('accounts')
        .set((of) => ({
          failures: of('failures', '+', 1),
          password_disabled_at: of.fn.coalesce(
            'password_disabled_at',
            of
              .case()
              .when(of('failures', '+', 1), '>=', MOST_CONSECUTIVE_FAILURES)
              .then(this.#clock())
              .end(),
          ),
        }))
        .where('email_key', '=', key)
        .returning('failures')
        .executeTakeFirst(),
    )
    return row?.failures === MOST_CONSECUTIVE_FAILURES
  }

  /** Forgets the wrong passwords before a right one. Writes nothing when there were none. */
  async succeeded(id: string): Promise<void> {
    await this.#run((database) =>
      database.updateTable('accounts').set({ failures: 0 }).where('id', '=', id).where('failures', '>', 0).execute(),
    )
  }

  /** Lets a disabled password open the account again. @returns false if no account has this address */
  async enablePassword(key: string): Promise<boolean> {
    const row = await this.#run((database) =>
      database
        .updateTable('accounts')
        .set({ failures: 0, password_disabled_at: null })
        .where('email_key', '=', key)
        .returning('id')
        .executeTakeFirst(),
    )
    return row !== undefined
  }

  /** Proves that the database answers. */
  async check(): Promise<void> {
    await this.#run((database) => database.selectFrom('accounts').select('id').limit(1).execute())
  }

  async close(): Promise<void> {
    await this.#database.destroy()
  }

  async #one(column: 'id' | 'email_key', value: string): Promise<Account | undefined> {
    const row = await this.#run((database) =>
      database
        .selectFrom('accounts')
        .selectAll()
        .where(column, '=', value)
        .where('disabled_at', 'is', null)
        .executeTakeFirst(),
    )
    return row && accountOf(row)
  }

  async #run<Result>(query: (database: Kysely<AccountTables>) => Promise<Result>): Promise<Result> {
    try {
      return await query(this.#database)
    } catch (cause) {
      throw new StoreError('ERR_STORE_UNAVAILABLE', 'The accounts cannot be read or written', {
        cause,
        hint: 'Look at the cause: disk full, file not writable, or locked by another program.',
      })
    }
  }
}

function accountOf(row: AccountRow): Account {
  return {
    id: row.id,
    email: row.email,
    name: row.name,
    passwordHash: row.password_hash,
    passwordVersion: row.password_version,
    createdAt: row.created_at,
    passwordDisabled: row.password_disabled_at !== null,
  }
}
