import { type RedisClient, redisStore } from 'gatepass/stores/redis'
import { storeSuite } from 'gatepass/testing'
import { createClient, createCluster } from 'redis'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { hasRedis, hasValkey, startCluster, startRedis } from '../../test/engines/redis-server.ts'

const note = hasRedis ? '' : ' (SKIPPED: redis-server is not installed)'
let prefixes = 0

interface Connected {
  readonly client: RedisClient
  close(): void
}

/** Runs the suite through two connections to what `start` starts. */
function suiteOn(start: () => Promise<{ connect(): Promise<Connected>; stop(): Promise<void> }>): void {
  let engine: Awaited<ReturnType<typeof start>>
  let connections: Connected[] = []

  beforeAll(async () => {
    engine = await start()
    connections = [await engine.connect(), await engine.connect()]
  })
  afterAll(async () => {
    for (const connection of connections) connection.close()
    await engine?.stop()
  })

  storeSuite(
    'through two connections',
    ({ clock }) => {
      const prefix = `test${++prefixes}:`
      const [store, second] = connections.map(({ client }) => redisStore({ client, prefix, clock }))
      if (store === undefined || second === undefined) throw new Error('not connected')
      return { store, second }
    },
    { test, describe },
  )
}

/** Runs the suite on one server. */
function suiteOnOne(program?: 'valkey-server'): void {
  suiteOn(async () => {
    const server = await startRedis(program === undefined ? {} : { program })
    const connect = async () => {
      const client = createClient({ url: server.url })
      await client.connect()
      return { client, close: () => client.destroy() }
    }
    return { connect, stop: () => server.stop() }
  })
}

describe.skipIf(!hasRedis)(`redisStore on one server${note}`, () => suiteOnOne())

const valkeyNote = hasValkey ? '' : ' (SKIPPED: valkey-server is not installed)'
describe.skipIf(!hasValkey)(`redisStore on Valkey${valkeyNote}`, () => suiteOnOne('valkey-server'))

describe.skipIf(!hasRedis)(`redisStore on a cluster of three${note}`, () => {
  suiteOn(async () => {
    const cluster = await startCluster()
    const connect = async () => {
      const client = createCluster({ rootNodes: cluster.servers.map(({ url }) => ({ url })) })
      await client.connect()
      return { client, close: () => client.destroy() }
    }
    return { connect, stop: () => cluster.stop() }
  })
})
