import { inspect } from 'node:util'
import { StoreError, UsageError } from 'gatepass'
import { type RedisServerClient, type RedisStore, redisStore } from 'gatepass/stores/redis'
import { createClient, createCluster, createSentinel } from 'redis'
import { afterEach, describe, expect, test } from 'vitest'
import { freshId, recordAt } from '../../src/testing/store-records.ts'
import {
  command,
  hasRedis,
  type RedisServer,
  startCluster,
  startRedis,
  startSentinel,
} from '../engines/redis-server.ts'
import { until } from '../engines/until.ts'
import { Heard } from './heard.ts'

const note = hasRedis ? '' : ' (SKIPPED: redis-server is not installed)'

describe.skipIf(!hasRedis)(`what redisStore tells and how it asks${note}`, () => {
  const cleanup: (() => unknown)[] = []
  afterEach(async () => {
    for (const undo of cleanup.splice(0).reverse()) await undo()
  })

  async function start(): Promise<RedisServer> {
    const server = await startRedis()
    cleanup.push(() => server.stop())
    return server
  }

  async function connect(server: RedisServer, RESP: 2 | 3 = 3) {
    const client = createClient({ url: server.url, RESP, socket: { reconnectStrategy: 50 } })
    client.on('error', () => {})
    cleanup.push(() => client.destroy())
    return client.connect()
  }

  async function hear(store: RedisStore): Promise<Heard> {
    const heard = new Heard()
    cleanup.push(await store.subscribe(heard))
    await heard.take('up')
    return heard
  }

  const session = (differing = {}) => recordAt(Date.now(), differing)

  test('every replace, touch and removal of another process is told, whatever the protocol of the client', async () => {
    const server = await start()
    const heard = await hear(redisStore({ client: await connect(server, 2) }))
    const store = redisStore({ client: await connect(server) })
    const record = session({ subject: 'u' })
    await store.insert(record)
    await heard.take(record.id)
    await store.replace({ ...record, version: 2 }, 1)
    await heard.take(record.id)
    await store.touch(record.id, record.seenAt + 1, record.expiresAt + 1)
    await heard.take(record.id)
    await store.removeBySubject('u')
    await heard.take(record.id)
    await store.insert(record)
    await heard.take(record.id)
    await store.remove(record.id)
    await heard.take(record.id)
    expect(heard.all).toEqual([])
  })

  test('stores of another prefix are not heard', async () => {
    const server = await start()
    const client = await connect(server)
    const heard = await hear(redisStore({ client, prefix: 'one:' }))
    const [mine, other] = [session(), session()]
    await redisStore({ client, prefix: 'two:' }).insert(other)
    await redisStore({ client, prefix: 'one:' }).insert(mine)
    expect(await heard.take(mine.id)).toEqual([mine.id])
  })

  test('a lost connection is told, and that changes are heard again, without anybody asking', async () => {
    const server = await start()
    const store = redisStore({ client: await connect(server) })
    const heard = await hear(store)
    await server.kill()
    await heard.take('down')
    await server.start()
    await heard.take('up')
    const record = session()
    await until(() =>
      store.insert(record).then(
        () => true,
        () => false,
      ),
    )
    await heard.take(record.id)
  })

  test('a server that has gone silent is doubted before it is lost', async () => {
    const server = await start()
    const heard = await hear(redisStore({ client: await connect(server) }))
    server.pause()
    cleanup.push(() => server.resume())
    await heard.take('down')
    server.resume()
    await heard.take('up')
  })

  test('when the server is emptied, everything is doubted once', async () => {
    const server = await start()
    const heard = await hear(redisStore({ client: await connect(server) }))
    await command(server, ['FLUSHALL'])
    expect(await heard.take('up')).toEqual(['down', 'up'])
  })

  test('nothing is told once the listener has left, and its connection is closed', async () => {
    const server = await start()
    const store = redisStore({ client: await connect(server) })
    const heard = new Heard()
    const leave = await store.subscribe(heard)
    await heard.take('up')
    await leave()
    await store.insert(session())
    await until(
      async () => Number(String(await command(server, ['INFO', 'clients'])).match(/tracking_clients:(\d+)/)?.[1]) === 0,
    )
    expect(heard.all).toEqual([])
  })

  test('in a cluster every server is heard, and while one is away the others are doubted as well', async () => {
    const cluster = await startCluster()
    cleanup.push(() => cluster.stop())
    const client = createCluster({ rootNodes: cluster.servers.map(({ url }) => ({ url })) })
    client.on('error', () => {})
    await client.connect()
    cleanup.push(() => client.destroy())
    const store = redisStore({ client })
    const heard = await hear(store)
    const records = Array.from({ length: 20 }, () => session())
    for (const record of records) await store.insert(record)
    for (const record of records) {
      await until(async () => heard.all.includes(record.id))
    }
    await cluster.servers[1]?.kill()
    await heard.take('down')
    await cluster.servers[1]?.start()
    await heard.take('up')
  })

  test('behind Sentinel the primary is heard, and after a failover the new one, with doubt in between', async () => {
    const { primary, replica, sentinel } = await startSentinel()
    cleanup.push(
      () => sentinel.stop(),
      () => replica.stop(),
      () => primary.stop(),
    )
    const client = createSentinel({
      name: 'app',
      sentinelRootNodes: [{ host: '127.0.0.1', port: sentinel.port }],
      scanInterval: 300,
    })
    client.on('error', () => {})
    await client.connect()
    cleanup.push(() => client.destroy())
    await expect(redisStore({ client }).subscribe(new Heard())).rejects.toBeInstanceOf(UsageError)
    const store = redisStore({ client, nodeClient: (node) => createClient({ socket: { ...node } }), timeout: 1 })
    const heard = await hear(store)
    const record = session({ expiresAt: Date.now() + 600_000 })
    await store.insert(record)
    await heard.take(record.id)
    await primary.kill()
    await heard.take('down')
    await heard.take('up')
    const later = session({ expiresAt: Date.now() + 600_000 })
    await until(() =>
      store.insert(later).then(
        () => true,
        () => false,
      ),
    )
    await heard.take(later.id)
    await store.remove(later.id)
    await heard.take(later.id)
  })

  test('what is looked up in one turn is asked for by one command, and the same id once', async () => {
    const server = await start()
    const client = await connect(server)
    const commands: string[][] = []
    const store = redisStore({ client: recording(client, commands) })
    const records = Array.from({ length: 20 }, () => session())
    for (const record of records) await store.insert(record)
    commands.length = 0
    const ids = [...records, ...records].map(({ id }) => id)
    const loaded = await Promise.all([...ids, freshId()].map((id) => store.load(id)))
    expect(loaded).toEqual([...records, ...records, undefined])
    expect(commands.map(([name, ...keys]) => [name, keys.length])).toEqual([['MGET', 21]])
    await store.load(freshId())
    expect(commands[1]?.[0]).toBe('GET')
  })

  test('a lookup that fails fails for each of those who asked', async () => {
    const server = await start()
    const client = await connect(server)
    const store = redisStore({ client })
    const ids = [freshId(), freshId(), freshId()]
    client.destroy()
    cleanup.splice(cleanup.length - 1)
    for (const result of await Promise.allSettled(ids.map((id) => store.load(id)))) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'ERR_STORE_UNAVAILABLE' } })
    }
  })

  test('a read is one command, and so is a change, a login and a logout', async () => {
    const server = await start()
    const commands: string[][] = []
    const store = redisStore({ client: recording(await connect(server), commands) })
    for (let n = 0; n < 3; n++) await store.insertWithin(session({ subject: 'u' }), 20)
    const record = session({ subject: 'u' })
    for (const call of [
      () => store.insertWithin(record, 20),
      async () => expect(await store.insertWithin(session({ subject: 'u' }), 3)).toBe(2),
      () => store.load(record.id),
      () => store.replace({ ...record, version: 2 }, 1),
      () => store.touch(record.id, record.seenAt + 1, record.expiresAt + 1000),
    ]) {
      commands.length = 0
      await call()
      expect(commands).toHaveLength(1)
    }
  })

  test('a key that something else has written is an error of its own', async () => {
    const server = await start()
    const client = await connect(server)
    const store = redisStore({ client })
    const id = freshId()
    await client.set(`gatepass:session:${id}`, 'something else')
    for (const call of [() => store.load(id), () => store.touch(id, 1, 2), () => store.insert(session({ id }))]) {
      await expect(call()).rejects.toMatchObject({ code: 'ERR_STORE_SCHEMA' })
      await expect(call()).rejects.toBeInstanceOf(StoreError)
    }
  })
})

test('an address that cannot be read is refused without being repeated', () => {
  for (const url of ['redis://app:hunter2@:x', 'http://app:hunter2@localhost', 'hunter2']) {
    let refusal: unknown
    try {
      redisStore({ url })
    } catch (error) {
      refusal = error
    }
    expect(refusal).toMatchObject({ code: 'ERR_STORE_OPTIONS', status: 500 })
    expect(inspect(refusal, { depth: 9, showHidden: true })).not.toContain('hunter2')
  }
})

test('options that make no sense are refused', () => {
  for (const options of [
    {},
    { url: 'redis://127.0.0.1:1', client: {} as never },
    { client: {} as never },
    { url: 'redis://127.0.0.1:1', prefix: '' },
    { url: 'redis://127.0.0.1:1', timeout: 0 },
    { url: 'redis://127.0.0.1:1', timeout: Number.NaN },
  ]) {
    expect(() => redisStore(options)).toThrow(UsageError)
  }
})

function recording(client: RedisServerClient, commands: string[][]): RedisServerClient {
  return {
    get isReady() {
      return client.isReady
    },
    duplicate: (overrides?: object) => client.duplicate(overrides),
    sendCommand(args: string[], options?: object) {
      commands.push(args)
      return client.sendCommand(args, options)
    },
  }
}
