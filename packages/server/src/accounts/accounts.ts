import { randomBytes } from 'node:crypto'
import type { AccountDatabase, AccountRow } from './database.ts'
import type { EmailAddress } from './email-address.ts'

/** One person's account. */
export interface Account {
  readonly id: string
  /** `undefined` if none is known. */
  readonly email: string | undefined
  /** Whether it was proved that the mailbox belongs to the owner. */
  readonly emailVerified: boolean
  readonly name: string
  /** `undefined` if the owner logs in only with providers. */
  readonly passwordHash: string | undefined
  /** Goes up when the password changes, not when it is only hashed again. Logins under an earlier version have ended. */
  readonly passwordVersion: number
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Set after too many wrong passwords in a row: the password is refused until an operator enables it. */
  readonly passwordDisabled: boolean
  /** Goes up when the account is given to the owner of its mailbox. */
  readonly generation: number
}

/** Whether a person may have this name here: on one line, without characters that change the direction of text (UAX #9 §2). */
export function isPersonName(name: string): boolean {
  return Array.from(name).length <= 80 && !/[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(name)
}

interface NewAccount {
  readonly email: EmailAddress
  readonly name: string
  readonly passwordHash: string
}

/** How many wrong passwords in a row disable a password (NIST SP 800-63B-4 §3.2.2). */
export const MOST_CONSECUTIVE_FAILURES = 100

/**
 * The accounts of this server. A disabled account is treated as absent, so that a missing check lets no one in.
 *
 * Every method throws a `StoreError` if the database does not answer.
 */
export class Accounts {
  readonly #database: AccountDatabase
  readonly #clock: () => number

  constructor(database: AccountDatabase, clock: () => number = Date.now) {
    this.#database = database
    this.#clock = clock
  }

  async byId(id: string): Promise<Account | undefined> {
    const sql = 'select * from accounts where id = :id and disabled_at is null'
    const [row] = await this.#database.query<AccountRow>(sql, { id })
    return row && accountOf(row)
  }

  /** @param key as `parseEmailAddress` makes it */
  async byEmail(key: string): Promise<Account | undefined> {
    const sql = 'select * from accounts where email_key = :key and disabled_at is null'
    const [row] = await this.#database.query<AccountRow>(sql, { key })
    return row && accountOf(row)
  }

  /** @returns the new account's id; `undefined` if the address has an account already, which is not changed */
  async create({ email: { address, key }, name, passwordHash }: NewAccount): Promise<string | undefined> {
    const id = randomBytes(16).toString('base64url')
    const [created] = await this.#database.query<Pick<AccountRow, 'id'>>(
      `insert into accounts (id, email, email_key, name, password_hash, password_version, created_at)
      values (:id, :address, :key, :name, :passwordHash, 1, :now)
      on conflict (email_key) do nothing
      returning id`,
      { id, address, key, name, passwordHash, now: this.#clock() },
    )
    return created?.id
  }

  /**
   * Gives an account with an unproved address to the person who has proved the address. The earlier password, identities
   * and, since the password's version goes up, sessions do not open it any more.
   *
   * @returns the changed account; `undefined` if its address was proved meanwhile
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
   * Notes that the mailbox belongs to the owner of the account.
   *
   * @param key the address that was proved
   * @returns whether it is the account's address, and this was the first proof
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

  /** Stores a new hash of the same password, unless the password was changed meanwhile. */
  async rehash(id: string, { from, to }: { from: string; to: string }): Promise<void> {
    const sql = 'update accounts set password_hash = :to where id = :id and password_hash = :from'
    await this.#database.query(sql, { id, from, to })
  }

  /**
   * Counts a wrong password. After too many it disables the password. For an address without an account it runs the same
   * statement, which then writes nothing.
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

  /** Forgets earlier wrong passwords. Writes nothing if there were none. */
  async succeeded(id: string): Promise<void> {
    await this.#database.query('update accounts set failures = 0 where id = :id and failures > 0', { id })
  }

  /** Enables a disabled password. @returns false if no account has this address */
  async enablePassword(key: string): Promise<boolean> {
    const enabled = await this.#database.query(
      'update accounts set failures = 0, password_disabled_at = null where email_key = :key returning id',
      { key },
    )
    return enabled.length > 0
  }

  /** Whether a session of any account has this handle. The sessions are in the same file. */
  async hasSession(handle: string): Promise<boolean> {
    const sql = 'select 1 from gatepass_sessions where handle = :handle and expires_at > :now limit 1'
    return (await this.#database.query(sql, { handle, now: this.#clock() })).length > 0
  }

  /** Proves that the database answers. */
  async check(): Promise<void> {
    await this.#database.query('select id from accounts limit 1')
  }

  async close(): Promise<void> {
    this.#database.close()
  }
}

/** Changes with the password and with the owner. Not the hash: hashing the same password again must not log devices out. */
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
