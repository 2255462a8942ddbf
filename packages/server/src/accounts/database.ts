import { chmodSync, closeSync, existsSync, openSync, rmSync, statSync } from 'node:fs'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { StoreError } from 'gatepass'
import { LockWait } from 'gatepass/stores/sqlite'
import { Kysely, type SqliteDatabase, SqliteDialect, type SqliteStatement, sql } from 'kysely'

/** The tables that the accounts live in. */
export interface AccountTables {
  accounts: AccountRow
  identities: IdentityRow
}

/** One account as it is stored; times are epoch milliseconds. */
export interface AccountRow {
  id: string
  /** As its owner or a provider gave it; `null`: none is known. */
  email: string | null
  email_key: string | null
  /** When it was proved that the mailbox is the owner's. */
  email_verified_at: number | null
  name: string
  /** `null`: the account is entered through providers alone. */
  password_hash: string | null
  password_version: number
  created_at: number
  /** Wrong passwords in a row since the last right one. */
  failures: number
  /** Set when too many wrong passwords came in a row: the password opens nothing until an operator says so. */
  password_disabled_at: number | null
  disabled_at: number | null
  /** Goes up when the account goes to the owner of its mailbox: identities of an earlier one open nothing. */
  generation: number
}

/** Somebody at a provider, and the account that this opens; times are epoch milliseconds. */
export interface IdentityRow {
  /** Names it on pages. */
  handle: string
  issuer: string
  subject: string
  account_id: string
  /** Of the account, when it was linked. */
  generation: number
  /** As the configuration calls it. */
  provider: string
  /** As the provider gave it the last time; finds nobody. */
  email: string | null
  created_at: number
  last_used_at: number
}

/** Seconds that a statement waits for another program's lock: nothing else is answered meanwhile. */
export const LONGEST_WAIT = 0.1
/** The same in milliseconds before {@link beginServing}: nothing is answered yet, and another process may be starting, too. */
const STARTING_TIMEOUT = 2000

/**
 * Opens the accounts in an SQLite file.
 *
 * The sessions live in the same file, on a connection of their own in the same thread, and their store waits for its lock
 * without letting go of the thread. A transaction held across an `await` would therefore block itself: everything that
 * runs while the server answers is a single statement.
 */
export function openDatabase(file: string): Kysely<AccountTables> {
  const created = createPrivately(file)
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(file, { timeout: STARTING_TIMEOUT })
    // WAL: readers never wait for the writer. NORMAL: a commit survives the end of the process, in WAL without an fsync each.
    database.exec('pragma journal_mode = wal; pragma synchronous = normal; pragma foreign_keys = on')
    return new Kysely<AccountTables>({ dialect: new SqliteDialect({ database: new StatementCache(database) }) })
  } catch (error) {
    database?.close()
    // Left by a disk without room, it would be taken for a database that has lost what was in it.
    if (created && statSync(file).size === 0) rmSync(file)
    throw error
  }
}

/** From here on a statement waits at most {@link LONGEST_WAIT}, and after one that waited in vain none does. */
export async function beginServing(database: Kysely<AccountTables>): Promise<void> {
  await sql`pragma busy_timeout = 0`.execute(database)
}

/** @throws {StoreError} with the cause, if the database does not answer */
export async function queried<Result>(query: Promise<Result>): Promise<Result> {
  try {
    return await query
  } catch (cause) {
    throw new StoreError('ERR_STORE_UNAVAILABLE', 'The accounts cannot be read or written', {
      cause,
      hint: 'Look at the cause: disk full, file not writable, or locked by another program.',
    })
  }
}

/**
 * Makes the file, or refuses one that has lost what was in it: SQLite would begin a new database there, and remove the
 * side file that may still hold the newest accounts. SQLite gives its side files the mode of the main one, so that this
 * one mode keeps all of them from other users.
 *
 * @returns whether there was none
 */
function createPrivately(file: string): boolean {
  if (file === ':memory:') return false
  const found = statSync(file, { throwIfNoEntry: false })
  if (found === undefined && existsSync(`${file}-wal`)) throw lost(file, 'is gone, but its side file is there')
  if (found !== undefined && !found.isFile()) throw lost(file, 'is not a file')
  const created = found === undefined && makeFile(file)
  if (!created) waitForContent(file)
  chmodSync(file, 0o600)
  return created
}

/** @returns false if another process was faster */
function makeFile(file: string): boolean {
  try {
    closeSync(openSync(file, 'wx', 0o600))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Another process may be making it at this moment. */
function waitForContent(file: string): void {
  const pause = new Int32Array(new SharedArrayBuffer(4))
  for (let waited = 0; statSync(file).size === 0; waited += 50) {
    if (waited >= STARTING_TIMEOUT) throw lost(file, 'is empty')
    Atomics.wait(pause, 0, 0, 50)
  }
}

function lost(file: string, what: string): StoreError {
  return new StoreError('ERR_STORE_UNAVAILABLE', `The database ${file} ${what}`, {
    hint: `Restore a backup. To begin with no accounts, remove ${file} and what begins with its name.`,
  })
}

/** `node:sqlite` in the shape that kysely's dialect was written for; each statement is prepared once. */
class StatementCache implements SqliteDatabase {
  readonly #database: DatabaseSync
  readonly #lock: LockWait
  readonly #statements = new Map<string, SqliteStatement>()

  constructor(database: DatabaseSync) {
    this.#database = database
    this.#lock = new LockWait(database, LONGEST_WAIT)
  }

  prepare(sql: string): SqliteStatement {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = preparedStatement(this.#database.prepare(sql), sql, this.#lock)
    this.#statements.set(sql, statement)
    return statement
  }

  close(): void {
    this.#statements.clear()
    this.#database.close()
  }
}

function preparedStatement(statement: StatementSync, sql: string, lock: LockWait): SqliteStatement {
  const writes = /\b(?:insert|update|delete)\b/i.test(sql)
  const waiting = <T>(run: () => T): T => (writes ? lock.write(run) : lock.read(run))
  return {
    // StatementSync.columns() would say so too, but Node 22.13 does not have it.
    reader: /^\s*(?:select|with|pragma)\b|\breturning\b/i.test(sql),
    all: (parameters) => waiting(() => statement.all(...(parameters as SQLInputValue[]))),
    run: (parameters) => waiting(() => statement.run(...(parameters as SQLInputValue[]))),
    iterate: (parameters) => statement.iterate(...(parameters as SQLInputValue[])),
  }
}
