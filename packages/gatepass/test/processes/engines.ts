import { postgresPrograms, startPostgres } from '../engines/postgres-server.ts'
import { hasRedis, startRedis } from '../engines/redis-server.ts'
import type { EngineName } from './stores.ts'

/** A server that these tests started. */
export interface EngineServer {
  /** A URL. */
  readonly address: string
  stop(): Promise<void>
}

const skipped = (has: boolean, what: string) => (has ? '' : ` (SKIPPED: ${what} is not installed)`)

/** The engines that the processes share. `note` says what is missing on this machine. */
export const engines: Readonly<Record<EngineName, { note: string; start(): Promise<EngineServer> }>> = {
  redis: {
    note: skipped(hasRedis, 'redis-server'),
    async start() {
      const server = await startRedis()
      return { address: server.url, stop: () => server.stop() }
    },
  },
  postgres: {
    note: skipped(postgresPrograms !== undefined, 'PostgreSQL'),
    async start() {
      const server = await startPostgres()
      return { address: `postgres://postgres@127.0.0.1:${server.port}/postgres`, stop: () => server.close() }
    },
  },
}
