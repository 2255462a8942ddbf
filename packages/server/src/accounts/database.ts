import { chmodSync, closeSync, existsSync, openSync, rmSync, statSync } from 'node:fs'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { StoreError } from 'gatepass'
import { LockWait } from 'gatepass/stores/sqlite'

/** One account as it is stored. `Account` says what the columns mean; times are epoch milliseconds. */
export interface AccountRow {
  id: string
  email: string | null
  email_key: string | null
  email_verified_at: number | null
  name: string
  password_hash: string | null
  password_version: number
  created_at: number
  /** Wrong passwords in a row since the last right one. */
  failures: number
  password_disabled_at: number | null
  disabled_at: number | null
  generation: number
}

/** A person at a provider, and the account that this person opens; times are epoch milliseconds. */
export interface IdentityRow {
  /** Names it on pages. */
  handle: string
  issuer: string
  subject: string
  account_id: string
  /** Of the account, when it was linked. Identities of an earlier generation open nothing. */
  generation: number
  /** As the configuration calls it. */
  provider: string
  /** As the provider gave it last. Accounts are never looked up by it. */
  email: string | null
  created_at: number
  last_used_at: number
}

/** Seconds that a statement waits for another program's lock. The server answers nothing else meanwhile. */
export const LONGEST_WAIT = 0.1
/** Milliseconds that it waits before {@link AccountDatabase.beginServing}: another process may be starting, too. */
const STARTING_TIMEOUT = 2000

/** Opens the accounts in an SQLite file. */
export function openDatabase(file: string): AccountDatabase {
  const created = createPrivately(file)
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(file, { timeout: STARTING_TIMEOUT })
    // WAL: readers never wait for the writer. NORMAL: in WAL a commit survives the end of the process without an fsync.
    database.exec('pragma journal_mode = wal; pragma synchronous = normal; pragma foreign_keys = on')
    return new AccountDatabase(database)
  } catch (error) {
    database?.close()
    // The disk may be full. At the next start, the empty file would look like a database that has lost its content.
    if (created && statSync(file).size === 0) rmSync(file)
    throw error
  }
}

/**
 * Runs statements, each prepared once.
 *
 * The sessions are in the same file, on their own connection in the same thread, and their store blocks the thread while
 * it waits for a lock. A transaction held across an `await` would therefore block itself. So while the server answers,
 * everything runs as single statements.
 */
export class AccountDatabase {
  readonly #database: DatabaseSync
  readonly #lock: LockWait
  readonly #statements = new Map<string, StatementSync>()
  #open = true

  constructor(database: DatabaseSync) {
    this.#database = database
    this.#lock = new LockWait(database, LONGEST_WAIT)
  }

  /**
   * Runs one statement, and returns its rows. Between two statements other requests run, and other processes write.
   *
   * @param values of `:name` in the statement, under their names
   * @throws {StoreError} with the cause, if the database does not answer
   */
  async query<Row>(sql: string, values: Readonly<Record<string, SQLInputValue>> = {}): Promise<Row[]> {
    try {
      const statement = this.#statements.get(sql) ?? this.#database.prepare(sql)
      this.#statements.set(sql, statement)
      const run = () => statement.all(values) as Row[]
      return /^\s*select\b/i.test(sql) ? this.#lock.read(run) : this.#lock.write(run)
    } catch (cause) {
      throw new StoreError('ERR_STORE_UNAVAILABLE', 'The accounts cannot be read or written', {
        cause,
        hint: 'The cause says why: the disk is full, the file cannot be written, or another program has locked it.',
      })
    }
  }

  /** Changes the schema or the connection, at the start. Throws SQLite's own errors. */
  execute(sql: string): void {
    this.#lock.read(() => this.#database.exec(sql))
  }

  /** From now on a statement waits at most {@link LONGEST_WAIT}. After one has waited in vain, the next ones do not wait. */
  beginServing(): void {
    this.execute('pragma busy_timeout = 0')
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#statements.clear()
    this.#database.close()
  }
}

/**
 * Creates the file, or refuses one that has lost its content: SQLite would begin a new database there, and remove the side
 * file that may still hold the newest accounts. SQLite gives its side files the mode of the main file, so this one mode
 * keeps other users away from all of them.
 *
 * @returns whether it was created
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

/** Another process may be creating it at this moment. */
function waitForContent(file: string): void {
  const pause = new Int32Array(new SharedArrayBuffer(4))
  for (let waited = 0; statSync(file).size === 0; waited += 50) {
    if (waited >= STARTING_TIMEOUT) throw lost(file, 'is empty')
    Atomics.wait(pause, 0, 0, 50)
  }
}

function lost(file: string, what: string): StoreError {
  return new StoreError('ERR_STORE_UNAVAILABLE', `The database ${file} ${what}`, {
    hint: `Restore a backup. To start without accounts, remove ${file} and all files whose names begin with it.`,
  })
}
