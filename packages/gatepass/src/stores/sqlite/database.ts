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

export interface OpenOptions {
  durable: boolean
  busyTimeout: number
}

/**
 * Opens or creates the file with `node:sqlite`. Only now is that module loaded: Node announces it as experimental.
 *
 * @throws {UsageError} `ERR_STORE_OPTIONS`
 * @throws {StoreError} `ERR_STORE_UNAVAILABLE`
 */
export function openDatabase(path: string, options: OpenOptions): SqliteDatabase {
  if (path === '' || path.startsWith('file:')) {
    throw new UsageError('ERR_STORE_OPTIONS', 'the database must be named by a path', { hint: "Such as 'app.db'." })
  }
  if (path !== ':memory:') createPrivately(path)
  return guarded(() => configure(new (sqliteModule().DatabaseSync)(path), options))
}

function configure(database: SqliteDatabase, options: OpenOptions): SqliteDatabase {
  try {
    database.exec(`PRAGMA busy_timeout = ${Math.round(options.busyTimeout * 1000)}`)
    database.exec('PRAGMA journal_mode = WAL')
    // NORMAL: a killed process loses nothing, a power cut may lose the last transactions.
    database.exec(`PRAGMA synchronous = ${options.durable ? 'FULL' : 'NORMAL'}`)
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

/** A prepared statement whose failures are store errors. */
export class Query {
  readonly #statement: SqliteStatement

  constructor(database: SqliteDatabase, sql: string) {
    this.#statement = guarded(() => database.prepare(sql))
    if (sql.startsWith('SELECT')) answerInArrays(this.#statement)
  }

  get(...parameters: SqliteValue[]): SqliteRow | undefined {
    try {
      const row = this.#statement.get(...parameters)
      return row === undefined ? undefined : columns(row)
    } catch (error) {
      throw storeError(error)
    }
  }

  all(...parameters: SqliteValue[]): SqliteRow[] {
    return guarded(() => this.#statement.all(...parameters).map(columns))
  }

  /** @returns how many rows were changed */
  run(...parameters: SqliteValue[]): number {
    try {
      return Number(this.#statement.run(...parameters).changes)
    } catch (error) {
      throw storeError(error)
    }
  }
}

/** Runs `work`; what it throws comes out as a store error. */
export function guarded<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw storeError(error)
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

const SQLITE_FULL = 13

function storeError(cause: unknown): GatepassError {
  if (cause instanceof GatepassError) return cause
  const reason = cause instanceof Error ? cause.message : 'unknown reason'
  if (isFull(cause)) {
    return new StoreError('ERR_STORE_FULL', `SQLite has no room: ${reason}`, { cause, hint: 'Free space on the disk.' })
  }
  return new StoreError('ERR_STORE_UNAVAILABLE', `SQLite did not do its work: ${reason}`, {
    cause,
    hint: 'See the cause: another process may hold the database, or the disk may fail.',
  })
}

/** `node:sqlite` has numbers (the low byte is the primary result code), `better-sqlite3` names. */
function isFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if ('errcode' in error && typeof error.errcode === 'number') return (error.errcode & 0xff) === SQLITE_FULL
  return 'code' in error && error.code === 'SQLITE_FULL'
}
