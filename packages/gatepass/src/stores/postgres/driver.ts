import { UsageError } from '../../error.ts'
import { Connections, type Lease, SingleConnection } from '../sql/connections.ts'
import { isRefusal } from './failure.ts'

/** A statement as `pg` takes it: with a name it is parsed and planned once per connection. */
export interface PostgresQuery {
  readonly text: string
  readonly name?: string
  readonly values?: unknown[]
  readonly rowMode: 'array'
}

/** What the store asks of a connection; a `Client` of `pg` has it. */
export interface PostgresClient {
  query(query: PostgresQuery): Promise<{ readonly rows: unknown[][]; readonly rowCount: number | null }>
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'notification', listener: (message: PostgresNotification) => void): unknown
  removeListener(event: 'error', listener: (error: Error) => void): unknown
  removeListener(event: 'notification', listener: (message: PostgresNotification) => void): unknown
}

/** What NOTIFY has sent. */
export interface PostgresNotification {
  readonly channel: string
  readonly payload?: string | undefined
}

/** A connection out of a pool. */
export interface PooledPostgresClient extends PostgresClient {
  /** With an error, or true, the connection is closed rather than used again. */
  release(error?: Error | boolean): void
}

/** What the store asks of a pool; a `Pool` of `pg` has it. */
export interface PostgresPool {
  connect(): Promise<PooledPostgresClient>
  on(event: 'error', listener: (error: Error) => void): unknown
  removeListener(event: 'error', listener: (error: Error) => void): unknown
}

/** Either of the two; the other one stays away. */
export interface PostgresSource {
  readonly pool?: PostgresPool
  readonly client?: PostgresClient
}

/** @param timeout seconds */
export function postgresConnections(source: PostgresSource, timeout: number): Connections<PostgresClient> {
  return new Connections({ lend: lender(source), isRefusal, timeout })
}

function lender({ pool, client }: PostgresSource): () => Promise<Lease<PostgresClient>> {
  if (typeof pool?.connect === 'function' && client === undefined) return () => lendFrom(pool)
  if (typeof client?.query === 'function' && pool === undefined) {
    const single = new SingleConnection(client)
    return () => single.lend()
  }
  throw new UsageError('ERR_STORE_OPTIONS', 'the PostgreSQL store needs either a `pool` or a `client`', {
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
 * A connection that ends is an 'error' event, and one that nobody listens to ends the process. The statement that was on it
 * fails by itself, and for the next one there is another connection.
 */
export function ignore(): void {}
