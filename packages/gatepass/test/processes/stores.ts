import type { ChangeFeed, SessionStore, SubjectIndex, Timestamp } from 'gatepass/session'
import { postgresStore } from 'gatepass/stores/postgres'
import { redisStore } from 'gatepass/stores/redis'
import { Pool } from 'pg'

export type EngineName = 'redis' | 'postgres'

/** A store that every process makes for itself, on one engine. */
export interface StoreOnEngine {
  readonly store: SessionStore & SubjectIndex & ChangeFeed
  close(): Promise<void>
}

/** @param address a URL */
export async function storeOn(
  engine: EngineName,
  address: string,
  clock: () => Timestamp = Date.now,
): Promise<StoreOnEngine> {
  if (engine === 'redis') {
    const store = redisStore({ url: address, clock })
    return { store, close: () => store.close() }
  }
  const pool = new Pool({ connectionString: address, max: 8 })
  const store = postgresStore({ pool, announce: true, timeout: 10, clock })
  await store.migrate()
  return {
    store,
    async close() {
      await store.close()
      await pool.end()
    },
  }
}
