import { sha256Hex } from '../crypto/random.ts'
import { checkOptions, type OptionKinds, UsageError } from '../error.ts'
import type {
  ChangeFeed,
  ChangeListener,
  SessionId,
  SessionRecord,
  SessionStore,
  SubjectIndex,
  Timestamp,
  WriteResult,
} from '../session/store.ts'
import { duplicate } from './failure.ts'
import { Lookups } from './lookups.ts'
import { sessionLimit, sqlName, storeClock, timeLimit } from './options.ts'
import { engineOf, type PostgresClient, type PostgresPool, postgresConnections } from './postgres/driver.ts'
import { Listening } from './postgres/listening.ts'
import { type Layout, migrate, qualified } from './postgres/schema.ts'
import type { Connections } from './sql/connections.ts'
import { columns, encodeText, overwritten, toColumns, toRecord } from './sql/record.ts'
import { NETWORK_SLICES, Sweeper } from './sweeper.ts'

export type { PooledPostgresClient, PostgresClient, PostgresPool, PostgresQuery } from './postgres/driver.ts'

export interface PostgresStoreOptions {
  /** A `Pool` of `pg`. The store handles its 'error' events for lost idle connections, so they do not end the process. */
  pool?: PostgresPool
  /** Instead of a pool: a connected `Client` of `pg`. It runs one query at a time and is not replaced if it breaks. */
  client?: PostgresClient
  /** Table name. Default `gatepass_sessions`. A second table with the suffix `_schema` keeps the version. */
  table?: string
  /** PostgreSQL's schema, created if it is missing. Default: where the search path of the connections leads. */
  schema?: string
  /** Default `Date.now`. */
  clock?: () => Timestamp
  /** Seconds that one operation may take, waiting for a connection included. Default 2. */
  timeout?: number
  /**
   * Creates the table as UNLOGGED. Writes cost less, but a crash of the server ends every session, and replicas have no
   * sessions. It does not change an existing table. Default false.
   */
  unlogged?: boolean
  /** Whether every change is announced to `subscribe`; all processes that share the table must say the same. Default false. */
  announce?: boolean
}

/**
 * Keeps sessions in PostgreSQL (12 or later), for any number of processes on any number of machines.
 *
 * It connects and makes its tables at the first operation.
 *
 * @throws {UsageError} `ERR_STORE_OPTIONS`
 */
export function postgresStore(options: PostgresStoreOptions): PostgresStore {
  return new PostgresStore(options)
}

const postgresOptions: OptionKinds<PostgresStoreOptions> = {
  pool: 'any',
  client: 'any',
  table: 'any',
  schema: 'any',
  clock: 'function',
  timeout: 'any',
  unlogged: 'boolean',
  announce: 'boolean',
}

/** Sessions in a PostgreSQL database; every operation is one statement. */
export class PostgresStore implements SessionStore, SubjectIndex, ChangeFeed {
  readonly synchronous = false
  readonly #clock: () => Timestamp
  readonly #connections: Connections<PostgresClient>
  readonly #pool: PostgresPool | undefined
  readonly #source: PostgresPool | PostgresClient | undefined
  /** The store's own listener: closing twice must not take off that of another store on the same pool. */
  readonly #lost = () => {}
  readonly #layout: Layout
  readonly #statements: Statements
  readonly #channel: string | null
  readonly #listening: Set<Listening> = new Set()
  readonly #lookups: Lookups<SessionId, unknown[]> = new Lookups((ids) => this.#rowsOf(ids))
  readonly #sweeper = new Sweeper({ ...NETWORK_SLICES, sweep: (most) => this.#sweep(most) })
  readonly #engine: string

  constructor(options: PostgresStoreOptions) {
    checkOptions('postgresStore()', options, postgresOptions, 'ERR_STORE_OPTIONS')
    const { table = 'gatepass_sessions', schema, announce = false } = options
    this.#layout = {
      table: sqlName(table, 'table'),
      schema: schema === undefined ? undefined : sqlName(schema, 'schema'),
      unlogged: options.unlogged === true,
    }
    this.#clock = storeClock(options.clock)
    this.#engine = engineOf(options)
    this.#connections = postgresConnections(options, {
      engine: this.#engine,
      timeout: timeLimit(options.timeout),
      migrate: async (client) => {
        await migrate(client, this.#layout)
        this.#sweeper.start()
      },
    })
    this.#channel = announce ? `gatepass ${table}` : null
    this.#statements = statementsFor(this.#layout, this.#channel)
    this.#pool = options.pool
    this.#source = options.pool ?? options.client
    this.#source?.on('error', this.#lost)
  }

  async load(id: SessionId): Promise<SessionRecord | undefined> {
    const row = await this.#lookups.find(id)
    return row && toRecord(row)
  }

  async insert(record: SessionRecord): Promise<void> {
    if (record.subject !== null) await this.#insertFor(record, null)
    else {
      const { rowCount } = await this.#run(this.#statements.insert, [...toColumns(record), this.#clock()])
      if (rowCount === 0) throw duplicate()
    }
  }

  replace(record: SessionRecord, expectedVersion: number): Promise<WriteResult> {
    const { id, subject, data, about, seenAt, expiresAt } = record
    const values = [
      encodeText(data),
      encodeText(about),
      seenAt,
      expiresAt,
      subject === null ? null : encodeText(subject),
    ]
    return this.#writeVersion(this.#statements.replace, [id, expectedVersion, this.#clock(), ...values])
  }

  async touch(id: SessionId, seenAt: Timestamp, expiresAt: Timestamp): Promise<WriteResult> {
    const { rowCount } = await this.#run(this.#statements.touch, [id, this.#clock(), seenAt, expiresAt])
    return rowCount === 0 ? 'gone' : 'done'
  }

  async remove(id: SessionId, expectedVersion?: number): Promise<WriteResult> {
    if (expectedVersion !== undefined) {
      return this.#writeVersion(this.#statements.removeVersion, [id, expectedVersion, this.#clock()])
    }
    await this.#run(this.#statements.remove, [id])
    return 'done'
  }

  async listBySubject(subject: string): Promise<SessionRecord[]> {
    const { rows } = await this.#run(this.#statements.list, [encodeText(subject), this.#clock()])
    return rows.map(toRecord)
  }

  /**
   * Ends all sessions of the subject, also one that is just moving to another id. An insertion for this subject happens either
   * completely before, and is removed, or completely after.
   */
  async removeBySubject(subject: string, except?: SessionId): Promise<number> {
    const values = [encodeText(subject), this.#clock(), except ?? null, this.#channel]
    const { rows } = await this.#run(this.#statements.removeSubject, values)
    return Number(rows[0]?.[0])
  }

  async insertWithin(record: SessionRecord, limit: number): Promise<number> {
    if (record.subject !== null) return this.#insertFor(record, sessionLimit(limit))
    await this.insert(record)
    return 0
  }

  /**
   * Reports the changes of all processes, with LISTEN on a connection that it takes from the pool and keeps.
   *
   * It notices a lost connection at once, and a silent one within half a second.
   *
   * @throws {UsageError} `ERR_STORE_OPTIONS` without `announce`, and without a pool
   */
  subscribe(listener: ChangeListener): () => Promise<void> {
    if (this.#pool === undefined || this.#channel === null) throw unannounced()
    const listening = new Listening({ pool: this.#pool, channel: this.#channel, engine: this.#engine, listener })
    this.#listening.add(listening)
    return () => {
      this.#listening.delete(listening)
      return listening.end()
    }
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

  /** Stops sweeping and listening. The pool or client stays open; the application closes it. */
  async close(): Promise<void> {
    this.#sweeper.stop()
    await Promise.all([...this.#listening].map((listening) => listening.end()))
    this.#source?.removeListener('error', this.#lost)
  }

  async #rowsOf(ids: readonly SessionId[]): Promise<Map<SessionId, unknown[]>> {
    const { rows } = await this.#run(this.#statements.load, [ids, this.#clock()])
    return new Map(rows.map((row) => [row[0] as SessionId, row]))
  }

  async #sweep(most: number): Promise<number> {
    const { rows } = await this.#run(this.#statements.sweep, [this.#clock(), most])
    return Number(rows[0]?.[0])
  }

  async #insertFor(record: SessionRecord, limit: number | null): Promise<number> {
    const values = [...toColumns(record), this.#clock(), limit, this.#channel]
    const { rows } = await this.#run(this.#statements.insertFor, values)
    const removed = Number(rows[0]?.[0])
    if (removed < 0) throw duplicate()
    return removed
  }

  /**
   * The answer is `again` if another transaction changed or removed the expected version while the statement ran. Only the next
   * statement sees the result of that.
   */
  async #writeVersion(statement: Statement, values: unknown[]): Promise<WriteResult> {
    for (;;) {
      const { rows } = await this.#run(statement, values)
      const result = rows[0]?.[0] as WriteResult | 'again'
      if (result !== 'again') return result
    }
  }

  #run({ name, text }: Statement, values: unknown[]): ReturnType<PostgresClient['query']> {
    const query = { name, text, values, rowMode: 'array' } as const
    return this.#connections.use((client) => client.query(query))
  }
}

function unannounced(): UsageError {
  return new UsageError('ERR_STORE_OPTIONS', 'This PostgreSQL store does not announce changes', {
    hint: 'Give it `announce: true` and a `pool`, in every process that shares the table.',
  })
}

interface Statement {
  readonly name: string
  readonly text: string
}

type Statements = ReturnType<typeof statementsFor>

function statementsFor(layout: Layout, channel: string | null) {
  const { table } = layout
  const sessions = qualified(layout, table)
  const alive = `SELECT CASE WHEN version = $2 THEN 'again' ELSE 'conflict' END FROM ${sessions}
    WHERE id = $1 AND expires_at > $3`
  const result = `SELECT CASE WHEN EXISTS (SELECT FROM written) THEN 'done' ELSE coalesce((${alive}), 'gone') END`
  // Part of the writing statement, so that a change is announced when it is committed, and only then.
  const told = channel === null ? '' : `RETURNING pg_notify('${channel}', id)`
  return {
    load: statement(`SELECT ${columns} FROM ${sessions} WHERE id = ANY ($1::text[]) AND expires_at > $2`),
    // Replaces an expired record that is not swept yet. If the record is live, no row is changed.
    insert: statement(`INSERT INTO ${sessions} AS s (${columns}, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
      ON CONFLICT (id) DO UPDATE SET (${columns}, due_at) = (${overwritten}, excluded.due_at) WHERE s.expires_at <= $10`),
    insertFor: statement(
      `SELECT ${qualified(layout, `${table}_insert`)}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
    ),
    replace: statement(`WITH written AS (UPDATE ${sessions} SET version = version + 1,
      data = $4, about = $5, seen_at = $6, expires_at = $7, subject = $8
      WHERE id = $1 AND version = $2 AND expires_at > $3 ${told || 'RETURNING 1'}) ${result}`),
    touch: statement(`UPDATE ${sessions} SET seen_at = greatest(seen_at, $3), expires_at = greatest(expires_at, $4)
      WHERE id = $1 AND expires_at > $2 ${told}`),
    remove: statement(`DELETE FROM ${sessions} WHERE id = $1 ${told}`),
    removeVersion: statement(`WITH written AS (DELETE FROM ${sessions}
      WHERE id = $1 AND version = $2 AND expires_at > $3 ${told || 'RETURNING 1'}) ${result}`),
    list: statement(
      `SELECT ${columns} FROM ${sessions} WHERE subject = $1 AND expires_at > $2 ORDER BY created_at DESC`,
    ),
    removeSubject: statement(`SELECT ${qualified(layout, `${table}_remove`)}($1, $2, $3, $4)`),
    // Touched records are checked again at their new expiry. While another process sweeps, nothing is checked.
    sweep: statement(`WITH lock AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(
        hashtextextended('gatepass sweep ' || '${sessions}'::regclass::oid, 0)) AS mine),
      due AS MATERIALIZED (SELECT id FROM ${sessions} WHERE due_at <= $1 AND (SELECT mine FROM lock)
        ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED),
      deleted AS (DELETE FROM ${sessions} s USING due WHERE s.id = due.id AND s.expires_at <= $1),
      postponed AS (UPDATE ${sessions} s SET due_at = s.expires_at FROM due WHERE s.id = due.id AND s.expires_at > $1)
      SELECT count(*) FROM due`),
  }
}

/** Named after its text, so that two stores on one pool never mean different statements by one name. */
function statement(text: string): Statement {
  return { name: `gatepass ${sha256Hex(text).slice(0, 32)}`, text }
}
