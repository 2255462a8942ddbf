import { checkOptions, type OptionKinds, StoreError, UsageError } from '../error.ts'
import { seconds } from '../number-options.ts'
import type { SessionId, SessionRecord, SessionStore, SubjectIndex, Timestamp, WriteResult } from '../session/store.ts'
import { sessionLimit, storeClock } from './options.ts'
import {
  type Connection,
  LockWait,
  nameOf,
  openDatabase,
  Query,
  quietly,
  type SqliteDatabase,
  type SqliteRow,
  type SqliteValue,
  setBusyTimeout,
} from './sqlite/database.ts'
import { migrate, tableName } from './sqlite/schema.ts'

export { LockWait, type SqliteDatabase, type SqliteStatement, type SqliteValue } from './sqlite/database.ts'

const SWEEP_INTERVAL = 60_000
/** How many records one slice of a sweep checks: a few milliseconds of work. */
const SWEEP_SLICE = 200
/** Time between two slices, in milliseconds, so that requests and other writers get a turn. */
const SWEEP_PAUSE = 10

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
  readonly #queries: Queries
  #sweeper: NodeJS.Timeout | undefined
  #closed = false

  constructor(database: string | SqliteDatabase, options: SqliteStoreOptions = {}) {
    checkOptions('sqliteStore()', options, sqliteOptions, 'ERR_STORE_OPTIONS')
    const table = tableName(options.table ?? 'gatepass_sessions')
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
    this.#queries = this.#prepare(table, { database: this.#database, name: nameOf(database), lock })
    // From here on LockWait waits for locks.
    if (typeof database === 'string') setBusyTimeout(this.#database, 0)
    this.#sweepIn(SWEEP_INTERVAL)
  }

  load(id: SessionId): SessionRecord | undefined {
    const row = this.#queries.load.get(id, this.#clock())
    return row === undefined ? undefined : toRecord(row, id)
  }

  insert(record: SessionRecord): void {
    if (this.#queries.insert.run(...toColumns(record), this.#clock()) === 0) {
      throw new StoreError('ERR_STORE_DUPLICATE', 'a session with this id is stored already')
    }
  }

  replace(record: SessionRecord, expectedVersion: number): WriteResult {
    const { id, subject, data, about, seenAt, expiresAt } = record
    const { replace, replaceSubject } = this.#queries
    const now = this.#clock()
    // Writing the subject costs 10 µs for its index, even if it stays the same, and it rarely changes.
    let changed = replace.run(data, about, seenAt, expiresAt, id, expectedVersion, now, subject)
    changed ||= replaceSubject.run(data, about, seenAt, expiresAt, subject, id, expectedVersion, now)
    return changed > 0 ? 'done' : this.#whyNot(id, now)
  }

  touch(id: SessionId, seenAt: Timestamp, expiresAt: Timestamp): WriteResult {
    return this.#queries.touch.run(seenAt, expiresAt, id, this.#clock()) > 0 ? 'done' : 'gone'
  }

  remove(id: SessionId, expectedVersion?: number): WriteResult {
    if (expectedVersion === undefined) {
      this.#queries.remove.run(id)
      return 'done'
    }
    const now = this.#clock()
    return this.#queries.removeVersion.run(id, expectedVersion, now) > 0 ? 'done' : this.#whyNot(id, now)
  }

  listBySubject(subject: string): SessionRecord[] {
    return this.#queries.list.all(subject, this.#clock()).map((row) => toRecord(row, row[8] as SessionId))
  }

  removeBySubject(subject: string, except?: SessionId): number {
    return this.#queries.removeSubject.run(subject, this.#clock(), except ?? null)
  }

  insertWithin(record: SessionRecord, limit: number): number {
    if (record.subject === null) {
      this.insert(record)
      return 0
    }
    const { subject, handle } = record
    return this.#atomically(() => {
      this.insert(record)
      return this.#queries.removeSurplus.run(subject, this.#clock(), handle, sessionLimit(limit) - 1)
    })
  }

  /**
   * Deletes some expired records. It runs automatically until the store is closed. Expired records count as absent before, too.
   *
   * @returns whether there are more
   */
  sweep(): boolean {
    const now = this.#clock()
    const deleted = this.#queries.sweep.run(now, now, SWEEP_SLICE)
    const postponed = this.#queries.postpone.run(now, now, SWEEP_SLICE)
    return deleted + postponed >= SWEEP_SLICE
  }

  /** Stops sweeping, and closes the database if the store opened it. A second call does nothing. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#sweeper)
    if (this.#owned) this.#database.close()
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
    return this.#queries.exists.get(id, now) === undefined ? 'gone' : 'conflict'
  }

  /** Uses a savepoint and not BEGIN, because the application may be in a transaction. `work` must begin with a write. */
  #atomically<T>(work: () => T): T {
    const { begin, end, undo } = this.#queries
    begin.run()
    try {
      const result = work()
      end.run()
      return result
    } catch (error) {
      // After some failures SQLite has already rolled back, and the savepoint is gone.
      quietly(() => undo.run())
      quietly(() => end.run())
      throw error
    }
  }

  #sweepIn(milliseconds: number): void {
    this.#sweeper = setTimeout(() => this.#sweepOn(), milliseconds).unref()
  }

  #sweepOn(): void {
    this.#sweepIn(this.#sweepQuietly() ? SWEEP_PAUSE : SWEEP_INTERVAL)
  }

  /** Ignores a failure, because no caller waits for a sweep. The next sweep tries again. */
  #sweepQuietly(): boolean {
    try {
      return this.sweep()
    } catch {
      return false
    }
  }
}

function checkDatabase(database: SqliteDatabase): SqliteDatabase {
  if (typeof database?.prepare === 'function' && typeof database.exec === 'function') return database
  throw new UsageError('ERR_STORE_OPTIONS', 'neither a path nor an SQLite database', {
    hint: "Pass a file name such as 'app.db', a DatabaseSync of node:sqlite, or a Database of better-sqlite3.",
  })
}

type Queries = ReturnType<typeof prepareQueries>

function prepareQueries(connection: Connection, table: string) {
  const sessions = `"${table}"`
  const columns = 'version, handle, subject, data, about, created_at, seen_at, expires_at'
  const overwritten = columns.replaceAll(/\w+/g, 'excluded.$&')
  const change = 'version = version + 1, data = ?, about = ?, seen_at = ?, expires_at = ?'
  const version = 'id = ? AND version = ? AND expires_at > ?'
  const due = `(SELECT rowid FROM ${sessions} WHERE due_at <= ? ORDER BY due_at LIMIT ?)`
  const query = (sql: string) => new Query(connection, sql)
  return {
    load: query(`SELECT ${columns} FROM ${sessions} WHERE id = ? AND expires_at > ?`),
    exists: query(`SELECT 1 FROM ${sessions} WHERE id = ? AND expires_at > ?`),
    // Replaces an expired record that is not swept yet. If the record is live, no row is changed.
    insert: query(`INSERT INTO ${sessions} (${columns}, id, due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (id) DO UPDATE SET (${columns}, due_at) = (${overwritten}, excluded.due_at) WHERE expires_at <= ?`),
    replace: query(`UPDATE ${sessions} SET ${change} WHERE ${version} AND subject IS ?`),
    replaceSubject: query(`UPDATE ${sessions} SET ${change}, subject = ? WHERE ${version}`),
    touch: query(`UPDATE ${sessions} SET seen_at = max(seen_at, ?), expires_at = max(expires_at, ?)
      WHERE id = ? AND expires_at > ?`),
    remove: query(`DELETE FROM ${sessions} WHERE id = ?`),
    removeVersion: query(`DELETE FROM ${sessions} WHERE ${version}`),
    list: query(`SELECT ${columns}, id FROM ${sessions} WHERE subject = ? AND expires_at > ? ORDER BY created_at DESC`),
    removeSubject: query(`DELETE FROM ${sessions} WHERE subject = ? AND expires_at > ? AND id IS NOT ?`),
    removeSurplus: query(`WITH others AS (SELECT id, handle, created_at FROM ${sessions}
        WHERE subject = ? AND expires_at > ? AND handle <> ?),
      surplus AS (SELECT handle FROM others GROUP BY handle ORDER BY max(created_at) DESC LIMIT -1 OFFSET ?)
      DELETE FROM ${sessions} WHERE id IN (SELECT id FROM others WHERE handle IN surplus)`),
    sweep: query(`DELETE FROM ${sessions} WHERE expires_at <= ? AND rowid IN ${due}`),
    postpone: query(`UPDATE ${sessions} SET due_at = expires_at WHERE expires_at > ? AND rowid IN ${due}`),
    begin: query('SAVEPOINT gatepass'),
    end: query('RELEASE gatepass'),
    undo: query('ROLLBACK TO gatepass'),
  }
}

/** The values in the order of the columns of `insert`. */
function toColumns(record: SessionRecord): SqliteValue[] {
  const { version, handle, subject, data, about, createdAt, seenAt, expiresAt, id } = record
  return [version, handle, subject, data, about, createdAt, seenAt, expiresAt, id, expiresAt]
}

function toRecord(row: SqliteRow, id: SessionId): SessionRecord {
  return {
    id,
    version: Number(row[0]),
    handle: row[1] as string,
    subject: row[2] as string | null,
    data: row[3] as string,
    about: row[4] as string,
    createdAt: Number(row[5]),
    seenAt: Number(row[6]),
    expiresAt: Number(row[7]),
  }
}
