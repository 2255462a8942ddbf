import { UsageError } from '../../error.ts'
import { Connections, type ConnectionsOptions, type Lease, SingleConnection } from '../sql/connections.ts'
import type { ServerErrors } from '../sql/failure.ts'

/** A statement for `pg`. With a name it is parsed and planned once per connection. */
export interface PostgresQuery {
  readonly text: string
  readonly name?: string
  readonly values?: unknown[]
  readonly rowMode: 'array'
}

/** What the store needs from a connection. A `Client` of `pg` has it. */
export interface PostgresClient {
  query(query: PostgresQuery): Promise<{ readonly rows: unknown[][]; readonly rowCount: number | null }>
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'notification', listener: (message: PostgresNotification) => void): unknown
  removeListener(event: 'error', listener: (error: Error) => void): unknown
  removeListener(event: 'notification', listener: (message: PostgresNotification) => void): unknown
}

/** A notification of NOTIFY. */
export interface PostgresNotification {
  readonly channel: string
  readonly payload?: string | undefined
}

/** A connection out of a pool. */
export interface PooledPostgresClient extends PostgresClient {
  /** With an error, or true, the connection is closed rather than used again. */
  release(error?: Error | boolean): void
}

/** What the store needs from a pool. A `Pool` of `pg` has it. */
export interface PostgresPool {
  connect(): Promise<PooledPostgresClient>
  on(event: 'error', listener: (error: Error) => void): unknown
  removeListener(event: 'error', listener: (error: Error) => void): unknown
}

/** Exactly one of the two. */
export interface PostgresSource {
  readonly pool?: PostgresPool
  readonly client?: PostgresClient
}

export function postgresConnections(
  source: PostgresSource,
  rules: Pick<ConnectionsOptions<PostgresClient>, 'engine' | 'timeout' | 'migrate'>,
): Connections<PostgresClient> {
  return new Connections({ ...rules, lend: lender(source), errors: postgresErrors, ask })
}

/** The server's name in error messages: its address, as far as the pool or client knows it. */
export function engineOf({ pool, client }: PostgresSource): string {
  const given = { ...(pool as { options?: PostgresAddress })?.options, ...addressOf(client) }
  const { host, port, database } = typeof given.connectionString === 'string' ? partsOf(given.connectionString) : given
  // What pg itself takes where nothing is given.
  const { PGHOST = 'localhost', PGPORT = 5432, PGDATABASE } = process.env
  const name = database || PGDATABASE
  return `PostgreSQL at ${host || PGHOST}:${port || PGPORT}${name ? `/${name}` : ''}`
}

interface PostgresAddress {
  readonly host?: string | undefined
  readonly port?: number | string | undefined
  readonly database?: string | undefined
  readonly connectionString?: string | undefined
}

function addressOf(client: PostgresClient | undefined): PostgresAddress {
  const { host, port, database } = (client ?? {}) as PostgresAddress
  return { ...(host && { host }), ...(port && { port }), ...(database && { database }) }
}

/** Reads the address from a connection string, without the password. */
function partsOf(connectionString: string): PostgresAddress {
  if (!URL.canParse(connectionString)) return { host: 'an address that cannot be read' }
  const { hostname, port, pathname } = new URL(connectionString)
  return { host: hostname, port, database: pathname.slice(1) }
}

/** A statement that needs no table and no right. */
export function ask(client: PostgresClient): Promise<unknown> {
  return client.query({ text: 'SELECT 1', rowMode: 'array' })
}

function lender({ pool, client }: PostgresSource): () => Promise<Lease<PostgresClient>> {
  if (typeof pool?.connect === 'function' && client === undefined) return () => lendFrom(pool)
  if (typeof client?.query === 'function' && pool === undefined) {
    const single = new SingleConnection(client)
    return () => single.lend()
  }
  throw new UsageError('ERR_STORE_OPTIONS', '`postgresStore()` needs either a `pool` or a `client`', {
    hint: 'Pass `pool: new Pool(…)` of the package pg, or `client` with a Client that is connected.',
  })
}

async function lendFrom(pool: PostgresPool): Promise<Lease<PostgresClient>> {
  const client = await pool.connect()
  client.on('error', ignore)
  const end = (error?: Error) => {
    client.removeListener('error', ignore)
    client.release(error)
  }
  return { connection: client, release: () => end(), discard: (error) => end(error) }
}

/**
 * A listener for 'error' events of lost connections. Without a listener they would end the process. The running statement fails,
 * and the next one gets another connection.
 */
function ignore(): void {}

/** SQLSTATE, if the server has sent one. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('severity' in error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** How PostgreSQL's errors are read. */
export const postgresErrors: ServerErrors = {
  codeOf,
  isRefusal: (error) => codeOf(error) !== undefined && (error as { severity?: unknown }).severity === 'ERROR',
  // Serialization failure and deadlock (PostgreSQL, appendix A).
  passing: new Set(['40001', '40P01']),
  // disk_full
  full: new Set(['53100']),
  // The detail of an integrity violation quotes the row, and the row holds what the application keeps in a session.
  withoutData(error) {
    if (codeOf(error)?.startsWith('23')) Object.assign(error as Error, { detail: undefined })
    return error
  },
}
