/** The stores of the servers under load, by name: those of Gatepass, and those of the peers. */
import { createRequire } from 'node:module'
import { RedisStore as ConnectRedis } from 'connect-redis'
import expressSession, { type Store as PeerStore } from 'express-session'
import ownPgSimple from 'gatepass/compat/connect-pg-simple'
import { RedisStore as OwnRedis } from 'gatepass/compat/connect-redis'
import type { SessionStore } from 'gatepass/session'
import { cachedStore } from 'gatepass/stores/cached'
import { memoryStore } from 'gatepass/stores/memory'
import { type PostgresStore, postgresStore } from 'gatepass/stores/postgres'
import { redisStore } from 'gatepass/stores/redis'
import { sqliteStore } from 'gatepass/stores/sqlite'
import { Pool, type PoolConfig } from 'pg'
import { connect, type RedisConnection } from './engines.ts'

/** The places of one server's store. */
export interface Engines {
  /** The SQLite file. */
  readonly file: string
  readonly redis: string
  readonly postgres: string
  /** The PostgreSQL schema. It exists before the server starts. */
  readonly schema: string
}

export const storeNames = ['memory', 'sqlite', 'redis', 'postgres', 'cached redis', 'cached postgres'] as const
export type StoreName = (typeof storeNames)[number]

export async function storeOf(name: StoreName, engines: Engines): Promise<SessionStore> {
  switch (name) {
    case 'memory':
      return memoryStore()
    case 'sqlite':
      return sqliteStore(engines.file)
    case 'redis':
      return redisStore({ client: await connect(engines.redis) })
    case 'postgres':
      return postgres(engines)
    case 'cached redis':
      return cachedStore(redisStore({ client: await connect(engines.redis) }))
    case 'cached postgres':
      return cachedStore(postgres(engines, 'announced'))
  }
}

export const peerStoreNames = ['memory', 'redis', 'postgres'] as const
export type PeerStoreName = (typeof peerStoreNames)[number]

/** @returns `undefined` for the peer's own store in memory */
export async function peerStoreOf(name: PeerStoreName, engines: Engines): Promise<PeerStore | undefined> {
  switch (name) {
    case 'memory':
      return undefined
    case 'redis':
      return connectRedis(await connect(engines.redis))
    case 'postgres':
      return connectPgSimple(new Pool(poolOf(engines)), engines.schema)
  }
}

export const ownStoreNames = ['own redis', 'own postgres'] as const

/** Our stores of the peers' names. */
export async function ownStoreOf(name: (typeof ownStoreNames)[number], engines: Engines): Promise<PeerStore> {
  if (name === 'own redis') return new OwnRedis({ client: await connect(engines.redis) }) as unknown as PeerStore
  const Store = ownPgSimple(expressSession)
  const pool = new Pool(poolOf(engines))
  const options = { pool, schemaName: engines.schema, createTableIfMissing: true, pruneSessionInterval: false } as const
  return new Store(options) as unknown as PeerStore
}

export function connectRedis(client: RedisConnection): ConnectRedis {
  return new ConnectRedis({ client })
}

interface PgStore extends PeerStore {
  pruneSessions(done: (error?: unknown) => void): void
  close(): Promise<void> | void
}

export function connectPgSimple(pool: Pool, schemaName: string): PgStore {
  // The package has no types.
  const Store = (createRequire(import.meta.url)('connect-pg-simple') as ConnectPgSimple)(expressSession)
  return new Store({ pool, schemaName, createTableIfMissing: true, pruneSessionInterval: false })
}

type ConnectPgSimple = (session: typeof expressSession) => new (options: object) => PgStore

function postgres(engines: Engines, announced?: 'announced'): PostgresStore {
  const pool = new Pool(poolOf(engines))
  return postgresStore({ pool, schema: engines.schema, announce: announced !== undefined })
}

/** Connections stay open while other servers are under load. */
function poolOf({ postgres: connectionString }: Engines): PoolConfig {
  return { connectionString, idleTimeoutMillis: 0 }
}
