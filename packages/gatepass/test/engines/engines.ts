import type { SessionStore } from 'gatepass/session'
import { mysqlStore } from 'gatepass/stores/mysql'
import { postgresStore } from 'gatepass/stores/postgres'
import { redisStore } from 'gatepass/stores/redis'
import mysql from 'mysql2/promise'
import { Pool } from 'pg'
import { hasMysqlServer, startMysql } from './mysql-server.ts'
import { postgresPrograms, startPostgres } from './postgres-server.ts'
import { hasRedis, startRedis } from './redis-server.ts'

/** A server that can be taken down, set up so that it promises to keep what it acknowledged. */
export interface Engine {
  readonly store: SessionStore
  crash(): Promise<void>
  restart(): Promise<void>
  close(): Promise<void>
}

/** A server of its own for each test that needs one. */
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
      await store.migrate()
      return {
        store,
        crash: () => server.stop('immediate'),
        restart: () => server.start(),
        async close() {
          await store.close()
          await pool.end()
          await server.close()
        },
      }
    },
  },
  MariaDB: {
    installed: hasMysqlServer,
    async start() {
      const server = await startMysql()
      const pool = mysql.createPool({ host: '127.0.0.1', port: server.port, user: 'root', database: 'test' })
      const store = mysqlStore({ pool, timeout: 1 })
      await store.migrate()
      return {
        store,
        crash: () => server.kill(),
        restart: () => server.start(),
        async close() {
          store.close()
          await pool.end()
          await server.close()
        },
      }
    },
  },
}
