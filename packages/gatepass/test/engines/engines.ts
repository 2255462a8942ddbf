import type { SessionStore } from 'gatepass/session'
import { type MysqlStore, mysqlStore } from 'gatepass/stores/mysql'
import { type PostgresStore, postgresStore } from 'gatepass/stores/postgres'
import { redisStore } from 'gatepass/stores/redis'
import mysql from 'mysql2/promise'
import { Pool } from 'pg'
import { hasMysqlServer, startMysql } from './mysql-server.ts'
import { postgresPrograms, startPostgres } from './postgres-server.ts'
import { hasRedis, startRedis } from './redis-server.ts'

/** A server that a test can crash. It is configured to keep every acknowledged write. */
export interface Engine {
  readonly store: SessionStore
  crash(): Promise<void>
  restart(): Promise<void>
  close(): Promise<void>
}

/** The engines. Each test starts its own server. */
export const engines: Readonly<Record<string, { installed: boolean; start(): Promise<Engine> }>> = {
  Redis: {
    installed: hasRedis,
    async start() {
      const server = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
      const store = redisStore({ url: server.url, timeout: 1 })
      return {
        store,
        crash: () => server.kill(),
        restart: () => server.start(),
        async close() {
          await store.close()
          await server.stop()
        },
      }
    },
  },
  PostgreSQL: {
    installed: postgresPrograms !== undefined,
    async start() {
      const server = await startPostgres()
      const pool = new Pool({ host: '127.0.0.1', port: server.port, user: 'postgres', max: 8 })
      const store = postgresStore({ pool, timeout: 1 })
      return onSql(store, pool, { ...server, crash: () => server.stop('immediate') })
    },
  },
  MariaDB: {
    installed: hasMysqlServer,
    async start() {
      const server = await startMysql()
      const pool = mysql.createPool({ host: '127.0.0.1', port: server.port, user: 'root', database: 'test' })
      return onSql(mysqlStore({ pool, timeout: 1 }), pool, { ...server, crash: () => server.kill() })
    },
  },
}

async function onSql(
  store: PostgresStore | MysqlStore,
  pool: { end(): Promise<void> },
  server: { start(): Promise<void>; crash(): Promise<void>; close(): Promise<void> },
): Promise<Engine> {
  await store.migrate()
  const close = async () => {
    await store.close()
    await pool.end()
    await server.close()
  }
  return { store, crash: server.crash, restart: server.start, close }
}
