import { type RedisStore, redisStore } from 'gatepass/stores/redis'
import { createCluster } from 'redis'
import { afterEach, describe, expect, test } from 'vitest'
import { command, hasRedis, type RedisCluster, startCluster } from './redis-server.ts'
import { eventually, until } from './until.ts'
import { expectKept, Load, session } from './visitors.ts'

const note = hasRedis ? '' : ' (SKIPPED: redis-server is not installed)'

describe.skipIf(!hasRedis)(`with a Redis cluster in which a replica takes over${note}`, () => {
  const cleanup: (() => unknown)[] = []
  afterEach(async () => {
    for (const undo of cleanup.splice(0).reverse()) await undo()
  })

  async function start(): Promise<RedisCluster> {
    const cluster = await startCluster()
    cleanup.push(() => cluster.stop())
    return cluster
  }

  async function open({ servers }: RedisCluster): Promise<RedisStore> {
    const client = createCluster({
      rootNodes: servers.map(({ url }) => ({ url })),
      defaults: { socket: { reconnectStrategy: 100 } },
    })
    client.on('error', () => {})
    await client.connect()
    cleanup.push(() => client.destroy())
    return redisStore({ client, timeout: 1 })
  }

  const isMaster = async (server: { readonly url: string }) =>
    String(await command(server, ['INFO', 'replication'])).includes('role:master')

  test('that was asked to, under load: nothing acknowledged is lost, and what failed was a 503', async () => {
    const cluster = await start()
    const replica = await cluster.addReplica()
    const store = await open(cluster)
    const load = new Load(store, 'asked')
    await load.goesOn(300)
    await command(replica, ['CLUSTER', 'FAILOVER'])
    await until(() => isMaster(replica))
    await load.goesOn(300)
    await load.end()
    expect(await expectKept(store, load.visitors)).toBeGreaterThan(600)
  })

  test('of a master that crashed under load: service returns by itself, and what the replica had is there', async () => {
    const cluster = await start()
    const replica = await cluster.addReplica()
    const store = await open(cluster)
    const records = Array.from({ length: 60 }, (_, n) => session({ subject: `kept ${n % 5}` }))
    for (const record of records) await store.insertWithin(record, 100)
    const [master] = cluster.servers
    await until(async () => (await command(replica, ['DBSIZE'])) === (await command(master ?? replica, ['DBSIZE'])))
    const load = new Load(store, 'crash')
    await load.goesOn(100)
    await master?.kill()
    await eventually(() => expect(load.errors.length).toBeGreaterThan(0))
    await until(() => isMaster(replica))
    await until(async () => {
      const loaded = await Promise.allSettled(records.map(async ({ id }) => store.load(id)))
      return loaded.every(({ status }) => status === 'fulfilled')
    })
    await load.goesOn(300)
    await load.end()
    for (const record of records) expect(await store.load(record.id)).toEqual(record)
    for (let n = 0; n < 5; n++) expect(await store.removeBySubject(`kept ${n}`)).toBe(12)
    for (const { id } of records) expect(await store.load(id)).toBeUndefined()
  })
})
