import { postgresStore } from 'gatepass/stores/postgres'
import { redisStore } from 'gatepass/stores/redis'
import { testClock } from 'gatepass/testing'
import { Pool } from 'pg'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PostgresServer, postgresPrograms, startPostgres } from '../engines/postgres-server.ts'
import { hasRedis, type RedisServer, startRedis } from '../engines/redis-server.ts'
import { type Engine, plainEngine } from './engines.ts'
import { historiesOr, holdInHistories } from './histories.ts'

const hasPostgres = postgresPrograms !== undefined
const title = 'whatever happens in whatever order, nothing acknowledged is lost and nothing that ended comes back'
const skipped = (has: boolean, what: string) => (has ? '' : ` (SKIPPED: ${what} is not installed)`)

test.runIf(process.env.CI)('what these tests need is installed', () => {
  expect({ hasRedis, hasPostgres }).toEqual({ hasRedis: true, hasPostgres: true })
})

describe.skipIf(!hasRedis)(title + skipped(hasRedis, 'redis-server'), () => {
  const clock = testClock(Date.now())
  let server: RedisServer
  let engine: Engine

  beforeAll(async () => {
    server = await startRedis()
    const client = await createClient({ url: server.url }).connect()
    const store = redisStore({ client, clock })
    engine = plainEngine(Object.assign(store, { close: () => client.destroy() }), 'elsewhere')
  })
  afterAll(async () => {
    await engine?.close()
    await server?.stop()
  })

  test('on Redis', { timeout: 3_600_000 }, () => holdInHistories(engine, clock, historiesOr(100)))
})

describe.skipIf(!hasPostgres)(title + skipped(hasPostgres, 'PostgreSQL'), () => {
  const clock = testClock()
  let server: PostgresServer
  let engine: Engine

  beforeAll(async () => {
    server = await startPostgres()
    const pool = new Pool({ host: '127.0.0.1', port: server.port, user: 'postgres', max: 5 })
    const store = postgresStore({ pool, clock })
    const close = store.close.bind(store)
    engine = plainEngine(
      Object.assign(store, {
        close: async () => {
          await close()
          await pool.end()
        },
      }),
      'elsewhere',
    )
  })
  afterAll(async () => {
    await engine?.close()
    await server?.close()
  })

  test('on PostgreSQL', { timeout: 3_600_000 }, () => holdInHistories(engine, clock, historiesOr(100)))
})
