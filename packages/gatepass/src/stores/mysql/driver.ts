import { UsageError } from '../../error.ts'
import { Connections, type ConnectionsOptions, type Lease, SingleConnection, undoing } from '../sql/connections.ts'
import type { ServerErrors } from '../sql/failure.ts'

/** A statement as `mysql2` takes it. */
export interface MysqlQuery {
  readonly sql: string
  readonly values?: MysqlValue[]
  readonly rowsAsArray: true
}

/** Texts are sent as bytes, so that the connection's character set does not change what is stored and compared. */
export type MysqlValue = string | number | null | Buffer

/** What the store needs from a connection. Connections of `mysql2/promise` have it. */
export interface MysqlConnection {
  /** Prepares the statement once per connection. */
  execute(query: MysqlQuery): Promise<[unknown, unknown]>
  query(query: MysqlQuery): Promise<[unknown, unknown]>
  on?(event: 'error', listener: () => void): unknown
}

/** A connection out of a pool. */
export interface PooledMysqlConnection extends MysqlConnection {
  release(): void
  destroy(): void
}

/** What the store needs from a pool. Pools of `mysql2/promise` have it. */
export interface MysqlPool {
  getConnection(): Promise<PooledMysqlConnection>
}

/** A pool or a connection of `mysql2` with callbacks, which returns its counterpart with promises. */
export interface WithPromise<Promised> {
  promise(): Promised
}

/** Exactly one of the two. */
export interface MysqlSource {
  readonly pool?: MysqlPool | WithPromise<MysqlPool>
  readonly connection?: MysqlConnection | WithPromise<MysqlConnection>
}

export function mysqlConnections(
  source: MysqlSource,
  rules: Pick<ConnectionsOptions<MysqlConnection>, 'timeout' | 'migrate'>,
): Connections<MysqlConnection> {
  return new Connections({
    ...rules,
    engine: engineOf(source),
    lend: lender(source),
    errors: mysqlErrors,
    ask: (connection) => rowsOf(connection, 'SELECT 1'),
  })
}

/** The server's name in error messages: its address, as far as the pool or connection knows it. */
function engineOf({ pool, connection }: MysqlSource): string {
  const config = configOf(pool ?? connection)
  if (config === undefined) return 'the MySQL server'
  const { host = 'localhost', port = 3306, database, socketPath } = config
  return `MySQL at ${socketPath || `${host}:${port}`}${database ? `/${database}` : ''}`
}

interface MysqlAddress {
  readonly host?: string
  readonly port?: number
  readonly database?: string
  readonly socketPath?: string
}

/** mysql2 keeps it in `config`; its objects with promises stand around those with callbacks, and pools around connections. */
function configOf(source: unknown): MysqlAddress | undefined {
  const { config, pool, connection } = (source ?? {}) as { config?: object; pool?: unknown; connection?: unknown }
  if (config === undefined) return pool || connection ? configOf(pool ?? connection) : undefined
  return 'connectionConfig' in config ? (config.connectionConfig as MysqlAddress) : config
}

function lender({ pool, connection }: MysqlSource): () => Promise<Lease<MysqlConnection>> {
  if (pool !== undefined && connection === undefined) {
    const promising = promised(pool)
    if (typeof promising?.getConnection === 'function') return () => lendFrom(promising)
  }
  if (connection !== undefined && pool === undefined) {
    const promising = promised(connection)
    if (typeof promising?.execute === 'function') {
      // A lost connection emits 'error'. This listener keeps it from ending the process; the next operation fails.
      promising.on?.('error', () => {})
      const single = new SingleConnection(promising)
      return () => single.lend()
    }
  }
  throw new UsageError('ERR_STORE_OPTIONS', '`mysqlStore()` needs either a `pool` or a `connection`', {
    hint: 'Pass `pool: createPool(…)` of mysql2, or `connection` with one that serves this store alone.',
  })
}

function promised<Promised extends object>(source: Promised | WithPromise<Promised>): Promised {
  return 'promise' in source && typeof source.promise === 'function' ? source.promise() : (source as Promised)
}

async function lendFrom(pool: MysqlPool): Promise<Lease<MysqlConnection>> {
  const connection = await pool.getConnection()
  return { connection, release: () => connection.release(), discard: () => connection.destroy() }
}

/** Rows of a SELECT, each an array in the order of its columns. */
export async function rowsOf(
  connection: MysqlConnection,
  sql: string,
  values: MysqlValue[] = [],
): Promise<unknown[][]> {
  const [rows] = await connection.execute({ sql, values, rowsAsArray: true })
  return rows as unknown[][]
}

/** How many rows a statement changed. With the flag FOUND_ROWS, how many it found: never compare it with more than 0. */
export async function countOf(connection: MysqlConnection, sql: string, values: MysqlValue[] = []): Promise<number> {
  const [header] = await connection.execute({ sql, values, rowsAsArray: true })
  return (header as { affectedRows: number }).affectedRows
}

/** Runs `work` in a transaction and rolls it back if `work` throws. */
export async function inTransaction<T>(connection: MysqlConnection, work: () => Promise<T>): Promise<T> {
  const run = (sql: string) => connection.query({ sql, rowsAsArray: true })
  await run('START TRANSACTION')
  const committed = async () => {
    const result = await work()
    await run('COMMIT')
    return result
  }
  return undoing(committed, () => run('ROLLBACK'))
}

/**
 * Runs `work` while this connection holds a named lock of the server.
 *
 * @returns `undefined` if another connection still holds the lock after `seconds`
 */
export async function whileLocked<T>(
  connection: MysqlConnection,
  { lock, seconds }: { lock: string; seconds: number },
  work: () => Promise<T>,
): Promise<T | undefined> {
  const [row] = await rowsOf(connection, 'SELECT GET_LOCK(?, ?)', [lock, seconds])
  if (Number(row?.[0]) !== 1) return undefined
  const unlock = () => rowsOf(connection, 'SELECT RELEASE_LOCK(?)', [lock])
  const result = await undoing(work, unlock)
  await unlock()
  return result
}

export const duplicateEntry = 1062
export const noSuchTable = 1146

/** The error number that the server sent, if it did. */
export function errnoOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('sqlState' in error) || !('errno' in error)) return undefined
  return typeof error.errno === 'number' ? error.errno : undefined
}

/** They name no data, because every value is a parameter. */
const mysqlErrors: ServerErrors = {
  codeOf: errnoOf,
  isRefusal: (error) => errnoOf(error) !== undefined && (error as { fatal?: unknown }).fatal !== true,
  // ER_LOCK_DEADLOCK, and ER_CHECKREAD of a MariaDB with innodb_snapshot_isolation.
  passing: new Set([1213, 1020]),
  // ER_DISK_FULL and ER_RECORD_FILE_FULL.
  full: new Set([1021, 1114]),
}
