import type { SessionLike } from '../express-session/store.ts'

/** What is stored under each of many ids, read in one step; what is not there is left out. */
export type ReadMany = (ids: readonly string[]) => Promise<Map<string, unknown>>

/**
 * Of stores that read one session at a time over an engine that could read many, the many: by what such a store shows of
 * itself. `undefined` for a store that nothing is known of, or whose `get` is not the one we know.
 */
export function readMany(store: object): ReadMany | undefined {
  if (Object.hasOwn(store, 'get')) return undefined
  if (isConnectRedis(store)) return (ids) => fromRedis(store, ids)
  if (isConnectPgSimple(store)) return (ids) => fromPostgres(store, ids)
  return undefined
}

/** What was read as a session. */
export function revived(raw: unknown): SessionLike {
  return (typeof raw === 'string' ? JSON.parse(raw) : raw) as SessionLike
}

// ── connect-redis 10, on a client of node-redis ──────────────────────────────────────────────────────────────────────

interface ConnectRedis {
  readonly prefix: string
  readonly client: { mGet(keys: readonly string[]): Promise<unknown[]> }
}

/** A cluster reads many keys only if they are in the same place; and a serializer of the application's own is its own business. */
function isConnectRedis(store: object): store is ConnectRedis {
  const { client, prefix, serializer } = store as Partial<ConnectRedis & { readonly serializer: unknown }>
  if (store.constructor.name !== 'RedisStore' || typeof prefix !== 'string' || serializer !== JSON) return false
  return typeof client === 'object' && typeof client.mGet === 'function' && !('masters' in client)
}

async function fromRedis({ client, prefix }: ConnectRedis, ids: readonly string[]): Promise<Map<string, unknown>> {
  const texts = await client.mGet(ids.map((id) => prefix + id))
  return new Map(ids.flatMap((id, n) => (texts[n] ? [[id, texts[n]]] : [])))
}

// ── connect-pg-simple 10 ─────────────────────────────────────────────────────────────────────────────────────────────

type Told = (error: Error | null, row?: { readonly found: Record<string, unknown> | null }) => void

interface ConnectPgSimple {
  quotedTable(): string
  /** Tells of the first row. */
  query(text: string, values: readonly unknown[], told: Told): void
}

function isConnectPgSimple(store: object): store is ConnectPgSimple {
  const { quotedTable, query } = store as Partial<ConnectPgSimple>
  return store.constructor.name === 'PGStore' && typeof quotedTable === 'function' && typeof query === 'function'
}

function fromPostgres(store: ConnectPgSimple, ids: readonly string[]): Promise<Map<string, unknown>> {
  const text = `SELECT json_object_agg(sid, sess) AS found FROM ${store.quotedTable()} WHERE sid = ANY($1) AND expire >= to_timestamp($2)`
  return new Promise((resolve, reject) => {
    store.query(text, [ids, Math.ceil(Date.now() / 1000)], (error, row) => {
      if (error) reject(error)
      else resolve(new Map(Object.entries(row?.found ?? {})))
    })
  })
}
