import { closeSync, fchmodSync, openSync } from 'node:fs'
import { GatepassError, StoreError, UsageError } from '../../error.ts'

/** What the store binds to a parameter. */
export type SqliteValue = string | number | null

/** What the store asks of a prepared statement; those of `node:sqlite` and `better-sqlite3` have it. */
export interface SqliteStatement {
  get(...parameters: SqliteValue[]): unknown
  all(...parameters: SqliteValue[]): unknown[]
  run(...parameters: SqliteValue[]): { changes: number | bigint }
}

/** What the store asks of a database; a `DatabaseSync` of `node:sqlite` and a `Database` of `better-sqlite3` have it. */
export interface SqliteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SqliteStatement
  close(): unknown
}

/** One row, its columns in the order of the SELECT. */
export type SqliteRow = readonly unknown[]

/** A database as the store uses it. */
export interface Connection {
  readonly database: SqliteDatabase
  /** What errors call it. */
  readonly name: string
  readonly lock: LockWait
}

/** Milliseconds to wait for other programs while a file is opened and its tables are made: nothing is served yet. */
const STARTING_TIMEOUT = 2000

/**
 * Opens or creates the file with `node:sqlite`. Only now is that module loaded: Node announces it as experimental.
 *
 * @throws {UsageError} `ERR_STORE_OPTIONS`
 * @throws {StoreError} `ERR_STORE_UNAVAILABLE`
 */
export function openDatabase(path: string, durable: boolean): SqliteDatabase {
  if (path === '' || path.startsWith('file:')) {
    throw new UsageError('ERR_STORE_OPTIONS', 'the database must be named by a path', { hint: "Such as 'app.db'." })
  }
  if (path !== ':memory:') createPrivately(path)
  return guarded(nameOf(path), () => configure(new (sqliteModule().DatabaseSync)(path), durable))
}

/** What errors call a database: its file, where that is known. */
export function nameOf(database: string | SqliteDatabase): string {
  const file = typeof database === 'string' ? database : fileOf(database)
  return file === undefined || file === '' || file === ':memory:' ? 'SQLite' : `SQLite in ${file}`
}

/** `better-sqlite3` has a property, `node:sqlite` a method from Node 22.16 on. */
function fileOf(database: SqliteDatabase): string | undefined {
  if ('name' in database && typeof database.name === 'string') return database.name
  try {
    return 'location' in database && typeof database.location === 'function' ? (database.location() ?? '') : undefined
  } catch {
    // A closed database has none.
    return undefined
  }
}

function configure(database: SqliteDatabase, durable: boolean): SqliteDatabase {
  try {
    setBusyTimeout(database, STARTING_TIMEOUT)
    database.exec('PRAGMA journal_mode = WAL')
    // NORMAL: a killed process loses nothing, a power cut may lose the last transactions.
    database.exec(`PRAGMA synchronous = ${durable ? 'FULL' : 'NORMAL'}`)
    // 64 MiB rather than 2: a page that has to be fetched again doubles the time of a load.
    database.exec('PRAGMA cache_size = -65536')
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** The file holds the hashes of session tokens: nobody else on the machine reads it, whatever the umask is. */
function createPrivately(path: string): void {
  try {
    const file = openSync(path, 'wx', 0o600)
    fchmodSync(file, 0o600)
    closeSync(file)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === 'EEXIST') return
    const hint = code === 'ENOENT' ? 'Create the folder first.' : 'Make the folder writable to this process.'
    throw new StoreError('ERR_STORE_UNAVAILABLE', `cannot create the database file ${path}`, { cause, hint })
  }
}

function sqliteModule(): typeof import('node:sqlite') {
  const module = process.getBuiltinModule('node:sqlite')
  if (module !== undefined) return module
  throw new UsageError('ERR_STORE_OPTIONS', 'this runtime has no node:sqlite', {
    hint: 'Use Node 22.13 or later, or hand in a better-sqlite3 database.',
  })
}

/** Between two looks whether a lock is free, in ms. */
const LOOK_AGAIN = 1
const sleeping: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(4))

/**
 * Waits for the lock that another program holds on a database: once, and not again until a write has succeeded. The thread
 * stands still meanwhile, so if every statement waited, the process would answer nothing for as long as the lock is held.
 */
export class LockWait {
  readonly #database: SqliteDatabase
  readonly #longest: number
  #over = false

  /** @param longest seconds that the first statement waits, beside the busy timeout that the connection itself has */
  constructor(database: SqliteDatabase, longest: number) {
    this.#database = database
    this.#longest = longest * 1000
  }

  /** Whether a statement has waited in vain, and no write has succeeded since. */
  get over(): boolean {
    return this.#over
  }

  /** Runs a statement that writes. */
  write<T>(statement: () => T): T {
    const result = this.read(statement)
    this.#over = false
    return result
  }

  /** The same for a statement that takes no write lock: its success says nothing of that. */
  read<T>(statement: () => T): T {
    if (this.#over) return withoutTimeout(this.#database, statement)
    try {
      return statement()
    } catch (error) {
      return this.retry(error, statement)
    }
  }

  /** Runs a statement again that has just failed, as long as that was for the lock and there is time. */
  retry<T>(failure: unknown, statement: () => T): T {
    const end = performance.now() + this.#longest
    for (let last = failure; ; ) {
      if (!isBusy(last)) throw last
      this.#over = performance.now() >= end
      if (this.#over) throw last
      // SQLite's own wait looks eight times in 100 ms: among several busy processes that is too seldom.
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
  const timeout = Number(columns(database.prepare('PRAGMA busy_timeout').get())[0])
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

/** A prepared statement whose failures are store errors. */
export class Query {
  readonly #statement: SqliteStatement
  readonly #name: string
  readonly #lock: LockWait
  readonly #writes: boolean

  constructor({ database, name, lock }: Connection, sql: string) {
    this.#statement = guarded(name, () => database.prepare(sql))
    this.#name = name
    this.#lock = lock
    this.#writes = /^(?:INSERT|UPDATE|DELETE|WITH)/.test(sql)
    if (sql.startsWith('SELECT')) answerInArrays(this.#statement)
  }

  // This and `run` begin with the bare statement: they are on the path of every request.
  get(...parameters: SqliteValue[]): SqliteRow | undefined {
    let row: unknown
    try {
      row = this.#lock.over ? this.#waiting('get', parameters) : this.#statement.get(...parameters)
    } catch (error) {
      row = this.#retry(error, 'get', parameters)
    }
    return row === undefined ? undefined : columns(row)
  }

  all(...parameters: SqliteValue[]): SqliteRow[] {
    return guarded(this.#name, () => this.#waiting('all', parameters).map(columns))
  }

  /** @returns how many rows were changed */
  run(...parameters: SqliteValue[]): number {
    let result: Result<'run'>
    try {
      result = this.#lock.over ? this.#waiting('run', parameters) : this.#statement.run(...parameters)
    } catch (error) {
      result = this.#retry(error, 'run', parameters)
    }
    return Number(result.changes)
  }

  #waiting<Method extends keyof SqliteStatement>(method: Method, parameters: SqliteValue[]): Result<Method> {
    const statement = () => this.#statement[method](...parameters) as Result<Method>
    return this.#writes ? this.#lock.write(statement) : this.#lock.read(statement)
  }

  #retry<Method extends 'get' | 'run'>(failure: unknown, method: Method, parameters: SqliteValue[]): Result<Method> {
    if (this.#lock.over) throw storeError(failure, this.#name)
    const statement = () => this.#statement[method](...parameters) as Result<Method>
    return guarded(this.#name, () => this.#lock.retry(failure, statement))
  }
}

type Result<Method extends keyof SqliteStatement> = ReturnType<SqliteStatement[Method]>

/** Runs `work`; what it throws comes out as a store error. */
export function guarded<T>(name: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw storeError(error, name)
  }
}

/** Runs `work`, which cleans up after a failure; its own failure would hide the first. */
export function quietly(work: () => unknown): void {
  try {
    work()
  } catch {}
}

/** Saves a third of the time of a `get` on node:sqlite, which otherwise names every column of every row. */
function answerInArrays(statement: SqliteStatement): void {
  if ('setReturnArrays' in statement && typeof statement.setReturnArrays === 'function') statement.setReturnArrays(true)
}

function columns(row: unknown): SqliteRow {
  return Array.isArray(row) ? row : Object.values(row as object)
}

/** SQLite's primary result codes, as far as they are told apart here. */
const resultCodes: Readonly<Record<number, string>> = { 5: 'SQLITE_BUSY', 13: 'SQLITE_FULL' }

function storeError(cause: unknown, name: string): GatepassError {
  if (cause instanceof GatepassError) return cause
  const reason = cause instanceof Error ? cause.message : 'unknown reason'
  switch (resultCode(cause)) {
    case 'SQLITE_FULL':
      return new StoreError('ERR_STORE_FULL', `${name} has no room: ${reason}`, {
        cause,
        hint: 'Free space on the disk.',
      })
    case 'SQLITE_BUSY':
      return new StoreError('ERR_STORE_UNAVAILABLE', `${name} is locked by another program`, {
        cause,
        hint: 'Nothing was stored. Look for a backup, a migration or a shell that keeps a transaction open on this file.',
      })
    default:
      return new StoreError('ERR_STORE_UNAVAILABLE', `${name} did not do its work: ${reason}`, {
        cause,
        hint: 'See the cause: the disk may fail, or another program may have changed the file.',
      })
  }
}

function isBusy(error: unknown): boolean {
  return resultCode(error) === 'SQLITE_BUSY'
}

/** `node:sqlite` has numbers (the low byte is the primary code), `better-sqlite3` names (of extended codes, too). */
function resultCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if ('errcode' in error && typeof error.errcode === 'number') return resultCodes[error.errcode & 0xff]
  const code = 'code' in error ? String(error.code) : ''
  return Object.values(resultCodes).find((name) => code.startsWith(name))
}
