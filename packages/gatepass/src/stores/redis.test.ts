import { createClient, createCluster } from 'redis'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { hasRedis, type RedisServer, startCluster, startRedis } from '../../test/engines/redis-server.ts'
import { storeSuite } from '../testing/store-suite.ts'
import { redisStore } from './redis.ts'

const note = hasRedis ? '' : ' (SKIPPED: redis-server is not installed)'
let prefixes = 0
const freshPrefix = (): string => `test${++prefixes}:`

describe.skipIf(!hasRedis)(`redisStore on one server${note}`, () => {
  let server: RedisServer
  let clients: ReturnType<typeof connected>[]
  const connected = () => createClient({ url: server.url })

  beforeAll(async () => {
    server = await startRedis()
    clients = [connected(), connected()]
    for (const client of clients) await client.connect()
  })
  afterAll(async () => {
    for (const client of clients ?? []) client.destroy()
    await server?.stop()
  })

  storeSuite(
    'through two connections',
    ({ clock }) => {
      const prefix = freshPrefix()
      const [store, second] = clients.map((client) => redisStore({ client, prefix, clock }))
      if (store === undefined || second === undefined) throw new Error('not connected')
      return { store, second }
    },
    { test, describe },
  )
})

describe.skipIf(!hasRedis)(`redisStore on a cluster of three${note}`, () => {
  let cluster: Awaited<ReturnType<typeof startCluster>>
  let clients: ReturnType<typeof connected>[]
  const connected = () => createCluster({ rootNodes: cluster.servers.map(({ url }) => ({ url })) })

  beforeAll(async () => {
    cluster = await startCluster()
    clients = [connected(), connected()]
    for (const client of clients) await client.connect()
  })
  afterAll(async () => {
    for (const client of clients ?? []) client.destroy()
    await cluster?.stop()
  })

  storeSuite(
    'through two connections',
    ({ clock }) => {
      const prefix = freshPrefix()
      const [store, second] = clients.map((client) => redisStore({ client, prefix, clock }))
      if (store === undefined || second === undefined) throw new Error('not connected')
      return { store, second }
    },
    { test, describe },
  )
})
