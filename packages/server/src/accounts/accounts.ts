import { randomBytes } from 'node:crypto'
import type { AccountDatabase, AccountRow } from './database.ts'
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
  /** Goes up when the password changes, not when the same one is hashed again: logins under an earlier one have ended. */
  readonly passwordVersion: number
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Too many wrong passwords in a row: the password opens nothing until an operator says so. */
  readonly passwordDisabled: boolean
  /** Goes up when the account goes to the owner of its mailbox. */
  readonly generation: number
}

/** Whether a person may have this name here: on one line, without characters that change the direction of text (UAX #9 §2). */
export function isPersonName(name: string): boolean {
  return Array.from(name).length <= 80 && !/[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(name)
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
  readonly #database: AccountDatabase
  readonly #clock: () => number

  constructor(database: AccountDatabase, clock: () => number = Date.now) {
    this.#database = database
    this.#clock = clock
  }

  async byId(id: string): Promise<Account | undefined> {
    const [row] = await this.#database.query<AccountRow>(
      'select * from accounts where id = :id and disabled_at is null',
      {
        id,
      },
    )
    return row && accountOf(row)
  }

  /** @param key as `parseEmailAddress` makes it */
  async byEmail(key: string): Promise<Account | undefined> {
    const sql = 'select * from accounts where email_key = :key and disabled_at is null'
    const [row] = await this.#database.query<AccountRow>(sql, { key })
    return row && accountOf(row)
  }

  /** @returns the new account's id, or `undefined` if the address already has an account; nothing is changed then */
  async create({ email, name, passwordHash }: NewAccount): Promise<string | undefined> {
    const [created] = await this.#database.query<Pick<AccountRow, 'id'>>(
      `insert into accounts (id, email, email_key, name, password_hash, password_version, created_at)
      values (:id, :email, :key, :name, :passwordHash, 1, :now)
      on conflict (email_key) do nothing
      returning id`,
      {
        id: randomBytes(16).toString('base64url'),
        email: email.address,
        key: email.key,
        name,
        passwordHash,
        now: this.#clock(),
      },
    )
    return created?.id
  }

  /**
   * Gives an account whose address was not proved yet to the person who has proved it: what was there before does not
   * open it any more, neither password nor identities nor, since the password's version goes up, sessions.
   *
   * @returns the account as it is now; `undefined` if its address has been proved meanwhile
   */
  async giveToMailboxOwner(id: string, { name }: { name: string }): Promise<Account | undefined> {
    const [row] = await this.#database.query<AccountRow>(
      `update accounts set name = :name, email_verified_at = :now, generation = generation + 1, failures = 0,
        password_hash = null, password_version = password_version + 1, password_disabled_at = null
      where id = :id and email_verified_at is null and disabled_at is null
      returning *`,
      { id, name, now: this.#clock() },
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
    const proved = await this.#database.query(
      `update accounts set email_verified_at = :now
      where id = :id and email_key = :key and email_verified_at is null
      returning id`,
      { id, key, now: this.#clock() },
    )
    return proved.length > 0
  }

  /** Takes a new hash of the same password, unless the password was changed meanwhile. */
  async rehash(id: string, { from, to }: { from: string; to: string }): Promise<void> {
    const sql = 'update accounts set password_hash = :to where id = :id and password_hash = :from'
    await this.#database.query(sql, { id, from, to })
  }

  /**
   * Counts a wrong password, and disables the password with the last one allowed. A key without an account costs the same
   * statement.
   *
   * @returns whether this failure disabled the password
   */
  async failed(key: string): Promise<boolean> {
    const [row] = await this.#database.query<Pick<AccountRow, 'failures'>>(
      `update accounts set failures = failures + 1,
        password_disabled_at = coalesce(password_disabled_at, case when failures + 1 >= :most then :now end)
      where email_key = :key
      returning failures`,
      { key, most: MOST_CONSECUTIVE_FAILURES, now: this.#clock() },
    )
    return row?.failures === MOST_CONSECUTIVE_FAILURES
  }

  /** Forgets the wrong passwords before a right one. Writes nothing when there were none. */
  async succeeded(id: string): Promise<void> {
    await this.#database.query('update accounts set failures = 0 where id = :id and failures > 0', { id })
  }

  /** Lets a disabled password open the account again. @returns false if no account has this address */
  async enablePassword(key: string): Promise<boolean> {
    const enabled = await this.#database.query(
      'update accounts set failures = 0, password_disabled_at = null where email_key = :key returning id',
      { key },
    )
    return enabled.length > 0
  }

  /** Proves that the database answers. */
  async check(): Promise<void> {
    await this.#database.query('select id from accounts limit 1')
  }

  async close(): Promise<void> {
    this.#database.close()
  }
}

/** Changes with the password and with the owner. Not the hash: the same password hashed again logs no device out. */
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
