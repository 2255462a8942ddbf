import type { SessionLike, Store } from '../express-session/store.ts'

/** What is stored under each of many ids, read in one step; what is not there is left out. */
export type ReadMany = (ids: readonly string[]) => Promise<Map<string, unknown>>

/**
 * Of stores that read one session at a time over an engine that could read many, the many: by what such a store shows of
 * itself. `undefined` for a store that nothing is known of, or whose `get` is not the one we know.
 */
export function readMany(store: Pick<Store, 'get'>): ReadMany | undefined {
  const known = (read: ReadMany): ReadMany => {
    const { get } = store
    return (ids) => (store.get === get ? read(ids) : Promise.resolve(new Map()))
  }
  if (isConnectRedis(store)) return known((ids) => fromRedis(store, ids))
  if (isConnectPgSimple(store)) return known((ids) => fromPostgres(store, ids))
  return undefined
}

/** What was read as a session; `null` was looked for and is not there. */
export function revived(raw: unknown): SessionLike | null {
  return (typeof raw === 'string' ? JSON.parse(raw) : raw) as SessionLike | null
}

/** Whether a store's `get` is that of its class, of this name, and does this: one that decrypts or revokes is asked itself. */
function reads(store: Pick<Store, 'get'>, name: string, how: string): boolean {
  const prototype = Object.getPrototypeOf(store) as object
  if (store.constructor.name !== name || Object.hasOwn(store, 'get') || !Object.hasOwn(prototype, 'get')) return false
  return Function.prototype.toString.call(store.get).includes(how)
}

// ── connect-redis 10, on a client of node-redis ──────────────────────────────────────────────────────────────────────

interface ConnectRedis {
  readonly prefix: string
  readonly client: { mGet(keys: readonly string[]): Promise<unknown[]> }
}

/** A cluster reads many keys only if they are in the same place; and a serializer of the application's own is its own business. */
function isConnectRedis(store: Pick<Store, 'get'>): store is ConnectRedis & Pick<Store, 'get'> {
  const { client, prefix, serializer } = store as Partial<ConnectRedis & { readonly serializer: unknown }>
  if (!reads(store, 'RedisStore', 'this.client.get(') || typeof prefix !== 'string' || serializer !== JSON) return false
  return typeof client === 'object' && typeof client.mGet === 'function' && !('masters' in client)
}

async function fromRedis({ client, prefix }: ConnectRedis, ids: readonly string[]): Promise<Map<string, unknown>> {
  const texts = await client.mGet(ids.map((id) => prefix + id))
  // A client may be told to give Buffers.
  return new Map(ids.flatMap((id, n) => (texts[n] ? [[id, String(texts[n])]] : [])))
}

// ── connect-pg-simple 10 ─────────────────────────────────────────────────────────────────────────────────────────────

type Told = (error: Error | null, row?: { readonly found: Record<string, unknown> | string | null }) => void

interface ConnectPgSimple {
  quotedTable(): string
  /** Tells of the first row. */
  query(text: string, values: readonly unknown[], told: Told): void
}

function isConnectPgSimple(store: Pick<Store, 'get'>): store is ConnectPgSimple & Pick<Store, 'get'> {
  const { quotedTable, query } = store as Partial<ConnectPgSimple>
  return reads(store, 'PGStore', 'SELECT sess FROM') && typeof quotedTable === 'function' && typeof query === 'function'
}

function fromPostgres(store: ConnectPgSimple, ids: readonly string[]): Promise<Map<string, unknown>> {
  const text = `SELECT json_object_agg(sid, sess) AS found FROM ${store.quotedTable()} WHERE sid = ANY($1) AND expire >= to_timestamp($2)`
  return new Promise((resolve, reject) => {
    store.query(text, [ids, Math.ceil(Date.now() / 1000)], (error, row) => {
      if (error) return reject(error)
      const { found } = row ?? {}
      // An application may have told its driver to leave JSON as text.
      return resolve(new Map(Object.entries((typeof found === 'string' ? revived(found) : found) ?? {})))
    })
  })
}
