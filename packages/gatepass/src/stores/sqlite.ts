import { checkOptions, type OptionKinds, UsageError } from '../error.ts'
import { seconds } from '../number-options.ts'
import type { SessionId, SessionRecord, SessionStore, SubjectIndex, Timestamp, WriteResult } from '../session/store.ts'
import { duplicate } from './failure.ts'
import { sessionLimit, sqlName, storeClock } from './options.ts'
import { columns, overwritten } from './sql/record.ts'
import { Checkpoints } from './sqlite/checkpoints.ts'
import {
  type Connection,
  LockWait,
  nameOf,
  openDatabase,
  quietly,
  ReadTurn,
  type SqliteDatabase,
  type SqliteStatement,
  type SqliteValue,
  setBusyTimeout,
  withStoreErrors,
} from './sqlite/database.ts'
import { migrate } from './sqlite/schema.ts'
import { Sweeper } from './sweeper.ts'

export { LockWait, type SqliteDatabase, type SqliteStatement, type SqliteValue } from './sqlite/database.ts'

/** For a slice of a sweep, in which this process can do nothing else. */
const SLICES = { slice: 2, least: 20 } as const

export interface SqliteStoreOptions {
  /** Table name. Default `gatepass_sessions`. A second table with the suffix `_schema` keeps the version. */
  table?: string
  /** Default `Date.now`. */
  clock?: () => Timestamp
  /**
   * Whether a write reaches the disk before it is acknowledged. Default false: a killed process loses nothing, but a power cut
   * may lose the last writes. For a database that you pass in, its own setting applies.
   */
  durable?: boolean
  /**
   * How many seconds a write waits for another program's lock, at most 60. The process is blocked meanwhile. After one failed
   * wait, writes fail at once until one succeeds. Default 0.1. For a database that you pass in, its own busy timeout applies.
   */
  busyTimeout?: number
  /** Whether `close` also closes a database that you passed in. Default false. */
  closeDatabase?: boolean
}

/**
 * Keeps sessions in an SQLite file. Any number of processes on one machine can share it.
 *
 * A file is created with mode 600 and opened with `node:sqlite` in WAL mode. A database that you pass in (a `DatabaseSync` of
 * `node:sqlite` or a `Database` of `better-sqlite3`) keeps its settings.
 *
 * @throws {UsageError} `ERR_STORE_OPTIONS`
 * @throws {StoreError} `ERR_STORE_UNAVAILABLE` if it cannot be opened, `ERR_STORE_SCHEMA` if a later version wrote it
 */
export function sqliteStore(database: string | SqliteDatabase, options: SqliteStoreOptions = {}): SqliteStore {
  return new SqliteStore(database, options)
}

const sqliteOptions: OptionKinds<SqliteStoreOptions> = {
  table: 'any',
  clock: 'function',
  durable: 'boolean',
  busyTimeout: 'number',
  closeDatabase: 'boolean',
}

/** Sessions in an SQLite database. Every method is synchronous. */
export class SqliteStore implements SessionStore, SubjectIndex {
  readonly synchronous = true
  readonly #clock: () => Timestamp
  readonly #database: SqliteDatabase
  readonly #owned: boolean
  readonly #turn: ReadTurn | undefined
  readonly #queries: Queries
  readonly #checkpoints: Checkpoints | undefined
  readonly #sweeper = new Sweeper({
    ...SLICES,
    sweep: (most) => this.#sweep(most),
    ready: () => this.#checkpoints?.caughtUp(),
  })
  #closed = false

  constructor(database: string | SqliteDatabase, options: SqliteStoreOptions = {}) {
    checkOptions('sqliteStore()', options, sqliteOptions, 'ERR_STORE_OPTIONS')
    const table = sqlName(options.table ?? 'gatepass_sessions', 'table', { most: 60, reserved: 'sqlite_' })
    this.#clock = storeClock(options.clock)
    this.#owned = typeof database === 'string' || options.closeDatabase === true
    const busyTimeout = seconds(options.busyTimeout ?? 0.1, {
      code: 'ERR_STORE_OPTIONS',
      name: 'busyTimeout',
      least: 0,
      most: 60,
    })
    this.#database =
      typeof database === 'string' ? openDatabase(database, options.durable === true) : checkDatabase(database)
    const lock = new LockWait(this.#database, typeof database === 'string' ? busyTimeout : 0)
    // A database that was passed in may have a transaction of its own.
    this.#turn = typeof database === 'string' ? new ReadTurn(this.#database) : undefined
    if (typeof database === 'string' && database !== ':memory:') {
      this.#checkpoints = new Checkpoints(this.#database, database)
    }
    const wrote = (rows: number) => this.#checkpoints?.wrote(rows)
    this.#queries = this.#prepare(table, { database: this.#database, name: nameOf(database), lock, wrote })
    // From here on LockWait waits for locks.
    if (typeof database === 'string') setBusyTimeout(this.#database, 0)
    this.#sweeper.start()
  }

  load(id: SessionId): SessionRecord | undefined {
    const now = this.#clock()
    this.#turn?.begin(now)
    const row = this.#queries.load(id, now)
    return row === undefined ? undefined : toRecord(row)
  }

  insert(record: SessionRecord): void {
    const { id, handle, version, subject, data, about, createdAt, seenAt, expiresAt } = record
    const values = [id, handle, version, subject, data, about, createdAt, seenAt, expiresAt, expiresAt]
    if (Number(this.#queries.insert(...values, this.#clock()).changes) === 0) throw duplicate()
  }

  replace(record: SessionRecord, expectedVersion: number): WriteResult {
    const { id, subject, data, about, seenAt, expiresAt } = record
    const now = this.#clock()
    const { changes } = this.#queries.replace(data, about, subject, seenAt, expiresAt, id, expectedVersion, now)
    return changes > 0 ? 'done' : this.#whyNot(id, now)
  }

  touch(id: SessionId, seenAt: Timestamp, expiresAt: Timestamp): WriteResult {
    return this.#queries.touch(seenAt, expiresAt, id, this.#clock()).changes > 0 ? 'done' : 'gone'
  }

  remove(id: SessionId, expectedVersion?: number): WriteResult {
    if (expectedVersion === undefined) {
      this.#queries.remove(id)
      return 'done'
    }
    const now = this.#clock()
    return this.#queries.removeVersion(id, expectedVersion, now).changes > 0 ? 'done' : this.#whyNot(id, now)
  }

  listBySubject(subject: string): SessionRecord[] {
    return this.#queries.list(subject, this.#clock()).map(toRecord)
  }

  removeBySubject(subject: string, except?: SessionId): number {
    return Number(this.#queries.removeSubject(subject, this.#clock(), except ?? null).changes)
  }

  insertWithin(record: SessionRecord, limit: number): number {
    const { subject, handle } = record
    if (subject === null) {
      this.insert(record)
      return 0
    }
    const { begin, end, undo, removeSurplus } = this.#queries
    // A savepoint and not BEGIN, because the application may be in a transaction.
    begin()
    try {
      this.insert(record)
      const { changes } = removeSurplus(subject, this.#clock(), handle, sessionLimit(limit) - 1)
      end()
      return Number(changes)
    } catch (error) {
      // After some failures SQLite has already rolled back, and the savepoint is gone.
      quietly(undo)
      quietly(end)
      throw error
    }
  }

  /**
   * Deletes the expired records, a few at a time, and resolves when none is left. It runs automatically until the store is closed.
   * Expired records count as absent before, too.
   */
  sweep(): Promise<void> {
    return this.#sweeper.sweep()
  }

  /** Stops sweeping, and closes the database if the store opened it. A second call does nothing. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#sweeper.stop()
    this.#turn?.end()
    this.#checkpoints?.close()
    if (this.#owned) this.#database.close()
  }

  #sweep(most: number): number {
    const now = this.#clock()
    const deleted = Number(this.#queries.sweep(now, now, most).changes)
    if (deleted === most) return most
    // Touched records are checked again at their new expiry.
    return deleted + Number(this.#queries.postpone(now, now, most - deleted).changes)
  }

  #prepare(table: string, connection: Connection): Queries {
    try {
      migrate(connection, table)
      return prepareQueries(connection, table)
    } catch (error) {
      if (this.#owned) this.#database.close()
      throw error
    }
  }

  /**
   * Called after a write found no record with the expected version. The answer is right for this moment: versions only grow, so
   * the write would still find none.
   */
  #whyNot(id: SessionId, now: Timestamp): WriteResult {
    return this.#queries.exists(id, now) === undefined ? 'gone' : 'conflict'
  }
}

function checkDatabase(database: SqliteDatabase): SqliteDatabase {
  if (typeof database?.prepare === 'function' && typeof database.exec === 'function') return database
  throw new UsageError('ERR_STORE_OPTIONS', '`sqliteStore()` got neither a path nor an SQLite database', {
    hint: "Pass a file name such as 'app.db', a DatabaseSync of node:sqlite, or a Database of better-sqlite3.",
  })
}

type Queries = ReturnType<typeof prepareQueries>

function prepareQueries(connection: Connection, table: string) {
  const sessions = `"${table}"`
  const version = 'id = ? AND version = ? AND expires_at > ?'
  const due = `(SELECT rowid FROM ${sessions} WHERE due_at <= ? ORDER BY due_at LIMIT ?)`
  const read = (sql: string) => query(connection, 'get', sql)
  const run = (sql: string) => query(connection, 'run', sql)
  const write = (sql: string) => {
    const statement = run(sql)
    return (...parameters: SqliteValue[]) => {
      const result = statement(...parameters)
      connection.wrote(Number(result.changes))
      return result
    }
  }
  return {
    load: query(connection, 'get', `SELECT ${columns} FROM ${sessions} WHERE id = ? AND expires_at > ?`, 'in turn'),
    exists: read(`SELECT 1 FROM ${sessions} WHERE id = ? AND expires_at > ?`),
    list: query(
      connection,
      'all',
      `SELECT ${columns} FROM ${sessions} WHERE subject = ? AND expires_at > ? ORDER BY created_at DESC`,
    ),
    // Replaces an expired record that is not swept yet. If the record is live, no row is changed.
    insert: write(`INSERT INTO ${sessions} (${columns}, due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (id) DO UPDATE SET (${columns}, due_at) = (${overwritten}, excluded.due_at) WHERE expires_at <= ?`),
    replace: write(`UPDATE ${sessions} SET version = version + 1,
      data = ?, about = ?, subject = ?, seen_at = ?, expires_at = ? WHERE ${version}`),
    touch: write(`UPDATE ${sessions} SET seen_at = max(seen_at, ?), expires_at = max(expires_at, ?)
      WHERE id = ? AND expires_at > ?`),
    remove: write(`DELETE FROM ${sessions} WHERE id = ?`),
    removeVersion: write(`DELETE FROM ${sessions} WHERE ${version}`),
    removeSubject: write(`DELETE FROM ${sessions} WHERE subject = ? AND expires_at > ? AND id IS NOT ?`),
    removeSurplus: write(`WITH others AS (SELECT id, handle, created_at FROM ${sessions}
        WHERE subject = ? AND expires_at > ? AND handle <> ?),
      surplus AS (SELECT handle FROM others GROUP BY handle ORDER BY max(created_at) DESC
        LIMIT -1 OFFSET ?)
      DELETE FROM ${sessions} WHERE id IN (SELECT id FROM others WHERE handle IN surplus)`),
    sweep: write(`DELETE FROM ${sessions} WHERE expires_at <= ? AND rowid IN ${due}`),
    postpone: write(`UPDATE ${sessions} SET due_at = expires_at WHERE expires_at > ? AND rowid IN ${due}`),
    begin: run('SAVEPOINT gatepass'),
    end: run('RELEASE gatepass'),
    undo: run('ROLLBACK TO gatepass'),
  }
}

/** Prepares a statement. Its failures are store errors, and it waits for the lock of another program as LockWait decides. */
function query<Method extends keyof SqliteStatement>(
  { database, name, lock }: Connection,
  method: Method,
  sql: string,
  when: 'in turn' | 'now' = 'now',
): (...parameters: SqliteValue[]) => ReturnType<SqliteStatement[Method]> {
  const statement = withStoreErrors(name, () => database.prepare(sql))
  // A row as an object costs 1.2 µs more: an eighth of a bare request (bench row "gatepass, SQLite, node:http").
  if ('setReturnArrays' in statement && typeof statement.setReturnArrays === 'function') {
    statement.setReturnArrays(true)
  }
  // A savepoint needs no lock, so its success does not show that the lock is free.
  const takesLock = /^(?:INSERT|UPDATE|DELETE|WITH)/.test(sql)
  type Answer = ReturnType<SqliteStatement[Method]>
  return (...parameters) => {
    const run = (): Answer => statement[method](...parameters) as Answer
    if (when === 'now') ReadTurn.endAll()
    try {
      if (!lock.over) return statement[method](...parameters) as Answer
      return takesLock ? lock.write(run) : lock.read(run)
    } catch (error) {
      return withStoreErrors(name, () => lock.retry(error, run))
    }
  }
}

type Row = readonly [SessionId, string, number | bigint, string | null, string, string, ...times: (number | bigint)[]]

/** Drivers answer with arrays, or with objects that have the columns in the order of the statement. Texts are as stored. */
function toRecord(answer: unknown): SessionRecord {
  const row = (Array.isArray(answer) ? answer : Object.values(answer as object)) as unknown as Row
  const [id, handle, version, subject, data, about, createdAt, seenAt, expiresAt] = row
  const times = { createdAt: Number(createdAt), seenAt: Number(seenAt), expiresAt: Number(expiresAt) }
  return { id, handle, version: Number(version), subject, data, about, ...times }
}
