import { closeSync, fchmodSync, openSync } from 'node:fs'
import { StoreError, UsageError } from '../../error.ts'
import { type Failure, storeError } from '../../session/guarded-store.ts'
import type { Timestamp } from '../../session/store.ts'
import { now, setImmediate } from '../../timers.ts'

/** A value that the store binds to a parameter. */
export type SqliteValue = string | number | null

/** What the store needs from a prepared statement. Statements of `node:sqlite` and `better-sqlite3` have it. */
export interface SqliteStatement {
  get(...parameters: SqliteValue[]): unknown
  all(...parameters: SqliteValue[]): unknown[]
  run(...parameters: SqliteValue[]): { changes: number | bigint }
}

/** What the store needs from a database. A `DatabaseSync` of `node:sqlite` and a `Database` of `better-sqlite3` have it. */
export interface SqliteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SqliteStatement
  close(): unknown
}

/** A database as the store uses it. */
export interface Connection {
  readonly database: SqliteDatabase
  /** Its name in error messages. */
  readonly name: string
  readonly lock: LockWait
  /** Is told how many rows each statement wrote. */
  wrote(rows: number): void
}

/** How long to wait for locks while a file is opened and its tables are made, in milliseconds. No request runs yet. */
const STARTING_TIMEOUT = 2000

/**
 * Opens or creates the file with `node:sqlite`. The module is loaded only here, because Node warns that it is experimental.
 *
 * @throws {UsageError} `ERR_STORE_OPTIONS`
 * @throws {StoreError} `ERR_STORE_UNAVAILABLE`
 */
export function openDatabase(path: string, durable: boolean): SqliteDatabase {
  if (path === '' || path.startsWith('file:')) {
    throw new UsageError('ERR_STORE_OPTIONS', '`sqliteStore()` got an empty path or a file: address', {
      hint: "Pass the path of a file, such as 'app.db'.",
    })
  }
  if (path !== ':memory:') createPrivately(path)
  return withStoreErrors(nameOf(path), () => configure(new (sqliteModule().DatabaseSync)(path), durable))
}

/** The name of a database in error messages: its file, if known. */
export function nameOf(database: string | SqliteDatabase): string {
  const file = typeof database === 'string' ? database : fileOf(database)
  return file === undefined || file === '' || file === ':memory:' ? 'SQLite' : `SQLite in ${file}`
}

/** `better-sqlite3` has a property for it, `node:sqlite` has a method since Node 22.16. */
function fileOf(database: SqliteDatabase): string | undefined {
  if ('name' in database && typeof database.name === 'string') return database.name
  try {
    return 'location' in database && typeof database.location === 'function' ? (database.location() ?? '') : undefined
  } catch {
    // A closed database has no file.
    return undefined
  }
}

function configure(database: SqliteDatabase, durable: boolean): SqliteDatabase {
  try {
    setBusyTimeout(database, STARTING_TIMEOUT)
    database.exec('PRAGMA journal_mode = WAL')
    // NORMAL: a killed process loses nothing, a power cut may lose the last transactions.
    database.exec(`PRAGMA synchronous = ${durable ? 'FULL' : 'NORMAL'}`)
    // 64 MiB instead of 2: reading a page again doubles the time of a load.
    database.exec('PRAGMA cache_size = -65536')
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** Creates the file so that only its owner can read it, for every umask, because it contains hashes of session tokens. */
function createPrivately(path: string): void {
  try {
    const file = openSync(path, 'wx', 0o600)
    fchmodSync(file, 0o600)
    closeSync(file)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === 'EEXIST') return
    const hint = code === 'ENOENT' ? 'Create the folder first.' : 'Make the folder writable to this process.'
    throw new StoreError('ERR_STORE_UNAVAILABLE', `This process cannot create the database file ${path}`, {
      cause,
      hint,
    })
  }
}

function sqliteModule(): typeof import('node:sqlite') {
  const module = process.getBuiltinModule('node:sqlite')
  if (module !== undefined) return module
  throw new UsageError('ERR_STORE_OPTIONS', 'This runtime has no node:sqlite', {
    hint: 'Use Node 22.13 or later, or pass a better-sqlite3 database.',
  })
}

/** Time between two attempts to get a lock, in milliseconds. */
const LOOK_AGAIN = 1
const sleeping: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(4))

/**
 * Waits for the lock that another program holds on a database: once, and not again until a write has succeeded. Waiting blocks
 * the thread, so if every statement waited, the process would answer no request while the lock is held.
 */
export class LockWait {
  readonly #database: SqliteDatabase
  readonly #longest: number
  /** Whether a wait has failed and no write has succeeded since. */
  over = false

  /** @param longest seconds that the first statement waits, in addition to the connection's own busy timeout */
  constructor(database: SqliteDatabase, longest: number) {
    this.#database = database
    this.#longest = longest * 1000
  }

  /** Runs a statement that writes. */
  write<T>(statement: () => T): T {
    const result = this.read(statement)
    this.over = false
    return result
  }

  /** Runs a statement that takes no write lock. Its success does not end the state {@link over}. */
  read<T>(statement: () => T): T {
    if (this.over) return withoutTimeout(this.#database, statement)
    try {
      return statement()
    } catch (error) {
      return this.retry(error, statement)
    }
  }

  /** Repeats a statement that failed because of the lock, until the time limit. Throws at once where a wait is over. */
  retry<T>(failure: unknown, statement: () => T): T {
    if (this.over) throw failure
    const end = now() + this.#longest
    for (let last = failure; ; ) {
      if (!isBusy(last)) throw last
      this.over = now() >= end
      if (this.over) throw last
      // SQLite's own wait tries eight times in 100 ms, which is too rarely among several busy processes.
      Atomics.wait(sleeping, 0, 0, LOOK_AGAIN)
      try {
        return statement()
      } catch (error) {
        last = error
      }
    }
  }
}

function withoutTimeout<T>(database: SqliteDatabase, statement: () => T): T {
  const timeout = Number(firstOf(database.prepare('PRAGMA busy_timeout').get()))
  if (timeout === 0) return statement()
  setBusyTimeout(database, 0)
  try {
    return statement()
  } finally {
    setBusyTimeout(database, timeout)
  }
}

/** @param milliseconds that SQLite itself waits for a lock */
export function setBusyTimeout(database: SqliteDatabase, milliseconds: number): void {
  database.exec(`PRAGMA busy_timeout = ${milliseconds}`)
}

/** Runs `work` and turns its errors into store errors. */
export function withStoreErrors<T>(name: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw storeError(error, () => failureOf(error, name))
  }
}

/** Runs `work`, which cleans up after a failure, and ignores its own failure, which would hide the first. */
export function quietly(work: () => unknown): void {
  try {
    work()
  } catch {}
}

/** The first column of a row. */
export function firstOf(row: unknown): unknown {
  return Object.values(row as object)[0]
}

/**
 * Lets the loads of one turn of the event loop share a read transaction, as each costs system calls for locks: five sixths of
 * a load (bench row "gatepass, SQLite, node:http"). A write of this process ends it, and one of another process is seen after a
 * millisecond at most.
 */
export class ReadTurn {
  /** The turns of this process that have a transaction. */
  static readonly #open = new Set<ReadTurn>()
  readonly #database: SqliteDatabase
  /** When the transaction began. */
  #since: Timestamp = 0
  #endIsDue = false

  constructor(database: SqliteDatabase) {
    this.#database = database
  }

  /** Call it before a statement that may see or change more than a load does. */
  static endAll(): void {
    for (const turn of ReadTurn.#open) turn.end()
  }

  /** Call it before a load. */
  begin(time: Timestamp): void {
    if (ReadTurn.#open.has(this)) {
      if (this.#since === time) return
      this.end()
    }
    this.#database.exec('BEGIN')
    ReadTurn.#open.add(this)
    this.#since = time
    if (this.#endIsDue) return
    this.#endIsDue = true
    setImmediate(this.#endTurn)
  }

  end(): void {
    // After some failures SQLite has already ended the transaction.
    if (ReadTurn.#open.delete(this)) quietly(() => this.#database.exec('COMMIT'))
  }

  readonly #endTurn = (): void => {
    this.#endIsDue = false
    this.end()
  }
}

/** The primary result codes of SQLite that are handled here. */
const resultCodes: Readonly<Record<number, string>> = { 5: 'SQLITE_BUSY', 13: 'SQLITE_FULL' }

function failureOf(error: unknown, name: string): Failure {
  const reason = error instanceof Error ? error.message : 'unknown reason'
  switch (resultCode(error)) {
    case 'SQLITE_FULL':
      return { code: 'ERR_STORE_FULL', message: `${name} has no room: ${reason}`, hint: 'Free space on the disk.' }
    case 'SQLITE_BUSY':
      return {
        message: `${name} is locked by another program`,
        hint: 'Nothing was stored. Look for a backup, a migration or a shell that keeps a transaction open on this file.',
      }
    default:
      return {
        message: `${name} failed: ${reason}`,
        hint: 'See the cause: the disk may fail, or another program may have changed the file.',
      }
  }
}

function isBusy(error: unknown): boolean {
  return resultCode(error) === 'SQLITE_BUSY'
}

/** `node:sqlite` uses numbers (the low byte is the primary code), `better-sqlite3` uses names, also for extended codes. */
function resultCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if ('errcode' in error && typeof error.errcode === 'number') return resultCodes[error.errcode & 0xff]
  const code = 'code' in error ? String(error.code) : ''
  return Object.values(resultCodes).find((name) => code.startsWith(name))
}
