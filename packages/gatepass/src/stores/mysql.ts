import { sha256Hex } from '../crypto/random.ts'
import { checkOptions, type OptionKinds } from '../error.ts'
import type { SessionId, SessionRecord, SessionStore, SubjectIndex, Timestamp, WriteResult } from '../session/store.ts'
import { duplicate } from './failure.ts'
import { Lookups } from './lookups.ts'
import {
  countOf,
  duplicateEntry,
  errnoOf,
  inTransaction,
  type MysqlConnection,
  type MysqlPool,
  type MysqlValue,
  mysqlConnections,
  rowsOf,
  type WithPromise,
  whileLocked,
} from './mysql/driver.ts'
import { LOCKS, migrate } from './mysql/schema.ts'
import { sessionLimit, sqlName, storeClock, timeLimit } from './options.ts'
import type { Connections } from './sql/connections.ts'
import { columns, encodeText, toColumns, toRecord } from './sql/record.ts'
import { NETWORK_SLICES, Sweeper } from './sweeper.ts'

export type {
  MysqlConnection,
  MysqlPool,
  MysqlQuery,
  MysqlValue,
  PooledMysqlConnection,
  WithPromise,
} from './mysql/driver.ts'

/** How many rows one statement removes at most. */
const SLICE = 512

export interface MysqlStoreOptions {
  /** A pool of `mysql2` or `mysql2/promise`. */
  pool?: MysqlPool | WithPromise<MysqlPool>
  /** Instead of a pool: a connection that only this store uses. It runs one query at a time and is not replaced if it breaks. */
  connection?: MysqlConnection | WithPromise<MysqlConnection>
  /** Table name. Default `gatepass_sessions`. Two more tables have the suffixes `_schema` and `_locks`. */
  table?: string
  /** Default `Date.now`. */
  clock?: () => Timestamp
  /** Seconds that one operation may take, waiting for a connection included. Default 2. */
  timeout?: number
}

/**
 * Keeps sessions in MySQL 8 or MariaDB (10.6 or later), for any number of processes on any number of machines.
 *
 * It connects and makes its tables at the first operation. It does not announce changes, because MySQL has no notifications.
 *
 * @throws {UsageError} `ERR_STORE_OPTIONS`
 */
export function mysqlStore(options: MysqlStoreOptions): MysqlStore {
  return new MysqlStore(options)
}

const mysqlOptions: OptionKinds<MysqlStoreOptions> = {
  pool: 'any',
  connection: 'any',
  table: 'any',
  clock: 'function',
  timeout: 'any',
}

/** Sessions in a MySQL database. */
export class MysqlStore implements SessionStore, SubjectIndex {
  readonly synchronous = false
  readonly #clock: () => Timestamp
  readonly #connections: Connections<MysqlConnection>
  readonly #table: string
  /** The table in SQL. */
  readonly #sessions: string
  readonly #lookups: Lookups<SessionId, unknown[]> = new Lookups((ids) => this.#rowsOf(ids))
  readonly #sweeper = new Sweeper({ ...NETWORK_SLICES, sweep: (most) => this.#sweepAlone(most) })

  constructor(options: MysqlStoreOptions) {
    checkOptions('mysqlStore()', options, mysqlOptions, 'ERR_STORE_OPTIONS')
    this.#table = sqlName(options.table ?? 'gatepass_sessions', 'table')
    this.#sessions = `\`${this.#table}\``
    this.#clock = storeClock(options.clock)
    this.#connections = mysqlConnections(options, {
      timeout: timeLimit(options.timeout),
      migrate: async (connection) => {
        await migrate(connection, this.#table)
        this.#sweeper.start()
      },
    })
  }

  async load(id: SessionId): Promise<SessionRecord | undefined> {
    const row = await this.#lookups.find(id)
    return row && toRecord(row)
  }

  async insert(record: SessionRecord): Promise<void> {
    if (record.subject === null) await this.#connections.use((connection) => this.#insert(connection, record))
    else await this.#locked(record.subject, (connection) => this.#insert(connection, record))
  }

  replace(record: SessionRecord, expectedVersion: number): Promise<WriteResult> {
    const { id, subject, data, about, seenAt, expiresAt } = record
    const now = this.#clock()
    return this.#connections.use(async (connection) => {
      const sql = `UPDATE ${this.#sessions} SET version = version + 1,
        data = ?, about = ?, subject = ?, seen_at = ?, expires_at = ? WHERE id = ? AND version = ? AND expires_at > ?`
      const values = [bytes(data), bytes(about), subject === null ? null : bytes(subject), seenAt, expiresAt]
      const changed = await countOf(connection, sql, [...values, id, expectedVersion, now])
      return changed > 0 ? 'done' : this.#whyNot(connection, id, expectedVersion)
    })
  }

  touch(id: SessionId, seenAt: Timestamp, expiresAt: Timestamp): Promise<WriteResult> {
    const now = this.#clock()
    return this.#connections.use(async (connection) => {
      const sql = `UPDATE ${this.#sessions} SET seen_at = GREATEST(seen_at, ?), expires_at = GREATEST(expires_at, ?)
        WHERE id = ? AND expires_at > ?`
      const changed = await countOf(connection, sql, [seenAt, expiresAt, id, now])
      // Without the flag FOUND_ROWS, MySQL does not count a row that already had these values.
      return changed > 0 || (await this.#versionOf(connection, id)) !== undefined ? 'done' : 'gone'
    })
  }

  remove(id: SessionId, expectedVersion?: number): Promise<WriteResult> {
    const now = this.#clock()
    return this.#connections.use(async (connection) => {
      if (expectedVersion === undefined) {
        await countOf(connection, `DELETE FROM ${this.#sessions} WHERE id = ?`, [id])
        return 'done'
      }
      const sql = `DELETE FROM ${this.#sessions} WHERE id = ? AND version = ? AND expires_at > ?`
      const removed = await countOf(connection, sql, [id, expectedVersion, now])
      return removed > 0 ? 'done' : this.#whyNot(connection, id, expectedVersion)
    })
  }

  listBySubject(subject: string): Promise<SessionRecord[]> {
    const now = this.#clock()
    const sql = `SELECT ${columns} FROM ${this.#sessions} WHERE subject = ? AND expires_at > ? ORDER BY created_at DESC`
    return this.#connections.use(async (connection) =>
      (await rowsOf(connection, sql, [bytes(subject), now])).map(toRecord),
    )
  }

  /**
   * Ends all sessions of the subject, also one that is just moving to another id. An insertion for this subject happens either
   * completely before, and is removed, or completely after.
   */
  removeBySubject(subject: string, except?: SessionId): Promise<number> {
    return this.#locked(subject, async (connection) => {
      const sql = `SELECT id FROM ${this.#sessions} WHERE subject = ? AND expires_at > ? AND id <> ?`
      const rows = await rowsOf(connection, sql, [bytes(subject), this.#clock(), except ?? ''])
      return this.#removeAll(connection, rows.map(toId))
    })
  }

  async insertWithin(record: SessionRecord, limit: number): Promise<number> {
    const { handle, subject } = record
    if (subject === null) {
      await this.insert(record)
      return 0
    }
    return this.#locked(subject, async (connection) => {
      await this.#insert(connection, record)
      const others: MysqlValue[] = [bytes(subject), this.#clock(), handle]
      const rows = await rowsOf(
        connection,
        `SELECT id FROM ${this.#sessions} JOIN (SELECT handle FROM ${this.#sessions}
            WHERE subject = ? AND expires_at > ? AND handle <> ? GROUP BY handle
            ORDER BY MAX(created_at) DESC LIMIT 1000000 OFFSET ${sessionLimit(limit) - 1}) surplus USING (handle)
          WHERE subject = ? AND expires_at > ? AND handle <> ?`,
        [...others, ...others],
      )
      return this.#removeAll(connection, rows.map(toId))
    })
  }

  /**
   * Creates or updates the tables. Without this call the first operation does it.
   *
   * @throws {StoreError} `ERR_STORE_SCHEMA` if a later version wrote them, `ERR_STORE_UNAVAILABLE`
   */
  migrate(): Promise<void> {
    return this.#connections.migrate()
  }

  /**
   * Deletes the expired records, a few at a time, and resolves when none is left. It runs automatically from the first operation until
   * `close`. Expired records count as absent before, too. While another process sweeps, it leaves the rest to that one.
   */
  sweep(): Promise<void> {
    return this.#sweeper.sweep()
  }

  /** Stops sweeping. The pool or connection stays open; the application closes it. */
  close(): void {
    this.#sweeper.stop()
  }

  #rowsOf(ids: readonly SessionId[]): Promise<Map<SessionId, unknown[]>> {
    const now = this.#clock()
    return this.#connections.use(async (connection) => {
      const { places, values } = listed(ids)
      const sql = `SELECT ${columns} FROM ${this.#sessions} WHERE id IN (${places}) AND expires_at > ?`
      const rows = await rowsOf(connection, sql, [...values, now])
      return new Map(rows.map((row) => [toId(row), row]))
    })
  }

  /** Inserts a record, and replaces an expired record that is not swept yet. */
  async #insert(connection: MysqlConnection, record: SessionRecord): Promise<void> {
    if (await this.#tryInsert(connection, record)) return
    const expired = `DELETE FROM ${this.#sessions} WHERE id = ? AND expires_at <= ?`
    const removed = await countOf(connection, expired, [record.id, this.#clock()])
    if (removed === 0 || !(await this.#tryInsert(connection, record))) throw duplicate()
  }

  /** @returns false if the id is taken */
  async #tryInsert(connection: MysqlConnection, record: SessionRecord): Promise<boolean> {
    const sql = `INSERT INTO ${this.#sessions} (${columns}, due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
    try {
      const values = toColumns(record).map((value) => (typeof value === 'string' ? Buffer.from(value) : value))
      await countOf(connection, sql, [...values, record.expiresAt])
      return true
    } catch (error) {
      if (errnoOf(error) === duplicateEntry) return false
      throw error
    }
  }

  async #removeAll(connection: MysqlConnection, ids: readonly SessionId[]): Promise<number> {
    let removed = 0
    for (let from = 0; from < ids.length; from += SLICE) {
      const { places, values } = listed(ids.slice(from, from + SLICE))
      removed += await countOf(connection, `DELETE FROM ${this.#sessions} WHERE id IN (${places})`, values)
    }
    return removed
  }

  /**
   * Called after a write found no record with the expected version. The answer is right for this moment or, if that version
   * exists now, for the moment of the write, when it did not exist.
   */
  async #whyNot(connection: MysqlConnection, id: SessionId, expectedVersion: number): Promise<WriteResult> {
    const version = await this.#versionOf(connection, id)
    return version === undefined || version === expectedVersion ? 'gone' : 'conflict'
  }

  async #versionOf(connection: MysqlConnection, id: SessionId): Promise<number | undefined> {
    const sql = `SELECT version FROM ${this.#sessions} WHERE id = ? AND expires_at > ?`
    const [row] = await rowsOf(connection, sql, [id, this.#clock()])
    return row === undefined ? undefined : Number(row[0])
  }

  /** @returns how many records it checked: none if another process sweeps */
  #sweepAlone(most: number): Promise<number> {
    const lock = `gatepass sweep ${this.#table}`
    return this.#connections.use(async (connection) => {
      const checked = await whileLocked(connection, { lock, seconds: 0 }, () => this.#sweep(connection, most))
      return checked ?? 0
    })
  }

  /** Checks touched records again at their new expiry. */
  async #sweep(connection: MysqlConnection, most: number): Promise<number> {
    const now = this.#clock()
    const due = `SELECT id FROM ${this.#sessions} WHERE due_at <= ? ORDER BY due_at LIMIT ${powerOfTwo(most)}`
    const rows = await rowsOf(connection, due, [now])
    if (rows.length === 0) return 0
    const { places, values } = listed(rows.map(toId))
    const these = `id IN (${places})`
    const remove = `DELETE FROM ${this.#sessions} WHERE ${these} AND expires_at <= ?`
    const removed = await countOf(connection, remove, [...values, now])
    if (removed < rows.length) {
      const postpone = `UPDATE ${this.#sessions} SET due_at = expires_at WHERE ${these} AND expires_at > ?`
      await countOf(connection, postpone, [...values, now])
    }
    return rows.length
  }

  /**
   * Runs `work` in a transaction, while no other transaction inserts or removes sessions of this subject. It locks a row of a
   * separate table and not an index range: two logins that each lock a range and insert into it would deadlock.
   *
   * A plain SELECT in `work` sees everything that was committed before the lock, because the first SELECT takes the snapshot.
   */
  #locked<T>(subject: string, work: (connection: MysqlConnection) => Promise<T>): Promise<T> {
    const slot = Number.parseInt(sha256Hex(subject).slice(0, 8), 16) % LOCKS
    return this.#connections.use((connection) =>
      inTransaction(connection, async () => {
        await rowsOf(connection, `SELECT slot FROM \`${this.#table}_locks\` WHERE slot = ? FOR UPDATE`, [slot])
        return work(connection)
      }),
    )
  }
}

function toId(row: readonly unknown[]): SessionId {
  return String(row[0]) as SessionId
}

function bytes(text: string): Buffer {
  return Buffer.from(encodeText(text))
}

/** Pads a list to one of a few lengths by repeating the last id, so that few statements are prepared. */
function listed(ids: readonly SessionId[]): { places: string; values: MysqlValue[] } {
  const length = powerOfTwo(ids.length)
  const values = Array.from({ length }, (_, n) => ids[Math.min(n, ids.length - 1)] ?? '')
  return { places: Array(length).fill('?').join(), values }
}

/** The next power of two from `count` on. */
function powerOfTwo(count: number): number {
  return 2 ** Math.ceil(Math.log2(count))
}
