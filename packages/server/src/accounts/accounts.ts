import { randomBytes } from 'node:crypto'
import type { Kysely } from 'kysely'
import { type AccountRow, type AccountTables, queried } from './database.ts'
import type { EmailAddress } from './email-address.ts'

/** One person's account, as the rest of the server sees it. */
export interface Account {
  readonly id: string
  /** `undefined`: none is known. */
  readonly email: string | undefined
  /** Whether the mailbox was proved to be the owner's. */
  readonly emailVerified: boolean
  readonly name: string
  /** `undefined`: it is entered through providers alone. */
  readonly passwordHash: string | undefined
  /** Goes up when the password changes, not when the same one is hashed anew: logins under an earlier one have ended. */
  readonly passwordVersion: number
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Too many wrong passwords in a row: the password opens nothing until an operator says so. */
  readonly passwordDisabled: boolean
  /** Goes up when the account goes to the owner of its mailbox. */
  readonly generation: number
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
 * Every method throws a `StoreError` when the database does not answer.
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
          generation: 1,
        })
        .onConflict((conflict) => conflict.column('email_key').doNothing())
        .returning('id')
        .executeTakeFirst(),
    )
    return row?.id
  }

  /**
   * Gives an account whose address nobody has proved yet to somebody who has: what was there before opens it no more,
   * neither password nor identities nor, since the password's version goes up, sessions.
   *
   * @returns the account as it is now; `undefined` if its address has been proved meanwhile
   */
  async giveToMailboxOwner(id: string, { name }: { name: string }): Promise<Account | undefined> {
    const row = await this.#run((database) =>
      database
        .updateTable('accounts')
        .set((of) => ({
          name,
          email_verified_at: this.#clock(),
          generation: of('generation', '+', 1),
          password_hash: null,
          password_version: of('password_version', '+', 1),
          password_disabled_at: null,
          failures: 0,
        }))
        .where('id', '=', id)
        .where('email_verified_at', 'is', null)
        .where('disabled_at', 'is', null)
        .returningAll()
        .executeTakeFirst(),
    )
    return row && accountOf(row)
  }

  /**
   * Notes that the owner of the account is that of its mailbox.
   *
   * @param key the address that was proved
   * @returns whether this was the first proof, and of the account's own address
   */
  async emailProved(id: string, key: string): Promise<boolean> {
    const row = await this.#run((database) =>
      database
        .updateTable('accounts')
        .set({ email_verified_at: this.#clock() })
        .where('id', '=', id)
        .where('email_key', '=', key)
        .where('email_verified_at', 'is', null)
        .returning('id')
        .executeTakeFirst(),
    )
    return row !== undefined
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

  #run<Result>(query: (database: Kysely<AccountTables>) => Promise<Result>): Promise<Result> {
    return queried(query(this.#database))
  }
}

/** Changes with the password and with the owner. Not the hash: the same password hashed anew logs nobody out. */
export function stampOf({ passwordVersion }: Account): string {
  return String(passwordVersion)
}

/** The account as its owner sees it, in JSON. */
export function publicUser({ id, email, name }: Account): object {
  return { id, email: email ?? null, name: name === '' ? null : name }
}

export function accountOf(row: AccountRow): Account {
  return {
    id: row.id,
    email: row.email ?? undefined,
    emailVerified: row.email_verified_at !== null,
    name: row.name,
    passwordHash: row.password_hash ?? undefined,
    passwordVersion: row.password_version,
    createdAt: row.created_at,
    passwordDisabled: row.password_disabled_at !== null,
    generation: row.generation,
  }
}
