import { setTimeout } from 'node:timers/promises'
import { inspect } from 'node:util'
import { StoreError } from 'gatepass'
import type { SessionId, SessionRecord } from 'gatepass/session'
import { type RedisStore, redisStore } from 'gatepass/stores/redis'
import { createClient, createSentinel } from 'redis'
import { afterEach, describe, expect, test } from 'vitest'
import { freshId, recordAt } from '../../src/testing/store-records.ts'
import { type FaultyProxy, faultyProxy } from '../engines/faulty-proxy.ts'
import { freePort } from '../engines/free-port.ts'
import { command, hasRedis, type RedisServer, startRedis, startSentinel } from '../engines/redis-server.ts'
import { until } from '../engines/until.ts'

const note = hasRedis ? '' : ' (SKIPPED: redis-server is not installed)'
const LIFE = 3_600_000
const durable = ['--appendonly', 'yes', '--appendfsync', 'always']

describe.skipIf(!hasRedis)(`redisStore when things break${note}`, () => {
  const cleanup: (() => unknown)[] = []
  afterEach(async () => {
    for (const undo of cleanup.splice(0).reverse()) await undo()
  })

  async function start(args: readonly string[] = [], port?: number): Promise<RedisServer> {
    const server = await startRedis({ args, ...(port === undefined ? {} : { port }) })
    cleanup.push(() => server.stop())
    return server
  }

  async function connect(url: string): Promise<ReturnType<typeof createClient>> {
    const client = createClient({ url, socket: { reconnectStrategy: 50 } })
    client.on('error', () => {})
    cleanup.push(() => client.destroy())
    await client.connect()
    return client as ReturnType<typeof createClient>
  }

  async function openThroughProxy({ port }: RedisServer): Promise<{ proxy: FaultyProxy; store: RedisStore }> {
    const proxy = await faultyProxy(port)
    cleanup.push(() => proxy.close())
    return { proxy, store: redisStore({ client: await connect(`redis://127.0.0.1:${proxy.port}`), timeout: 1 }) }
  }

  const session = (differing: Partial<SessionRecord> = {}): SessionRecord =>
    recordAt(Date.now(), { subject: 'u', expiresAt: Date.now() + LIFE, ...differing })

  async function codeOf(call: Promise<unknown>): Promise<string> {
    try {
      await call
      return 'no error'
    } catch (error) {
      expect(error).toBeInstanceOf(StoreError)
      expect(error).toMatchObject({ status: 503, retryAfter: 1 })
      return (error as StoreError).code
    }
  }

  const answers = (store: RedisStore) => () =>
    store.load(freshId()).then(
      () => true,
      () => false,
    )

  test('a server that is killed under load and started again has every acknowledged write, and serves by itself', async () => {
    const server = await start(durable)
    const store = redisStore({ client: await connect(server.url), timeout: 1 })
    const acknowledged = new Map<SessionId, number>()
    const ended = new Set<SessionId>()
    const codes = new Set<string>()
    let over = false
    const worker = async () => {
      while (!over) {
        const failed = await codeOf(live(store, { acknowledged, ended }))
        if (failed === 'no error') continue
        codes.add(failed)
        // A failure that comes at once must not keep the process from hearing that the server is back.
        await setTimeout(10)
      }
    }
    const workers = [worker(), worker(), worker(), worker()]
    for (let round = 0; round < 3; round++) {
      const before = ended.size
      await until(async () => ended.size > before + 20)
      await server.kill()
      await until(async () => codes.size > 0)
      await server.start()
    }
    await until(answers(store))
    over = true
    await Promise.all(workers)
    expect([...codes]).toEqual(['ERR_STORE_UNAVAILABLE'])
    for (const id of ended) expect(await store.load(id)).toBeUndefined()
    for (const [id, version] of acknowledged) {
      expect((await store.load(id))?.version).toBeGreaterThanOrEqual(version)
    }
    await store.removeBySubject('u')
    for (const id of acknowledged.keys()) expect(await store.load(id)).toBeUndefined()
  })

  test('a connection cut in the middle of a commit is an error, and the write is not made twice', async () => {
    const server = await start()
    const direct = redisStore({ client: await connect(server.url) })
    const { proxy, store } = await openThroughProxy(server)
    const record = session()
    await store.insert(record)
    const cut = proxy.cutAtNextRequest('after')
    expect(await codeOf(store.replace({ ...record, version: 2, data: '{"n":1}' }, 1))).toBe('ERR_STORE_UNAVAILABLE')
    await cut
    expect(await direct.load(record.id)).toMatchObject({ version: 2, data: '{"n":1}' })
    await until(answers(store))
    expect(await store.replace({ ...record, version: 2, data: '{"n":1}' }, 1)).toBe('conflict')
  })

  test('a login cut off before its answer leaves a session that a logout everywhere ends', async () => {
    const server = await start()
    const direct = redisStore({ client: await connect(server.url) })
    const { proxy, store } = await openThroughProxy(server)
    const [other, record] = [session(), session()]
    await store.insert(other)
    void proxy.cutAtNextRequest('after')
    expect(await codeOf(store.insertWithin(record, 20))).toBe('ERR_STORE_UNAVAILABLE')
    expect(await direct.load(record.id)).toBeDefined()
    expect(await direct.removeBySubject('u')).toBe(2)
    expect(await direct.load(record.id)).toBeUndefined()
  })

  test('a server that does not reply costs one request its time limit and the others nothing, and is asked again', async () => {
    const server = await start()
    const client = await connect(server.url)
    let sent = 0
    const counting = new CountingClient(client, () => sent++)
    const store = redisStore({ client: counting, timeout: 0.3 })
    const record = session()
    await store.insert(record)
    server.pause()
    cleanup.push(() => server.resume())
    expect(await codeOf(store.load(record.id))).toBe('ERR_STORE_UNAVAILABLE')
    sent = 0
    const codes = await Promise.all(Array.from({ length: 50 }, () => codeOf(store.remove(record.id))))
    expect(new Set(codes)).toEqual(new Set(['ERR_STORE_UNAVAILABLE']))
    expect(sent).toBeLessThanOrEqual(1)
    server.resume()
    await until(answers(store))
    expect(await store.load(record.id)).toEqual(record)
  })

  test('while the client is disconnected, requests fail at once and nothing waits in its queue', async () => {
    const server = await start()
    const client = await connect(server.url)
    let sent = 0
    const store = redisStore({ client: new CountingClient(client, () => sent++) })
    await server.kill()
    await until(async () => !client.isReady)
    sent = 0
    expect(await codeOf(store.insert(session()))).toBe('ERR_STORE_UNAVAILABLE')
    expect(await codeOf(store.load(freshId()))).toBe('ERR_STORE_UNAVAILABLE')
    expect(sent).toBe(0)
  })

  test('a full server refuses new sessions, keeps and ends those it has, and takes new ones once there is room', async () => {
    const server = await start(['--maxmemory', '8mb', '--maxmemory-policy', 'noeviction'])
    const store = redisStore({ client: await connect(server.url) })
    const large = () => session({ data: JSON.stringify('x'.repeat(200_000)) })
    const kept: SessionRecord[] = []
    let code = 'no error'
    while (code === 'no error') {
      const record = large()
      code = await codeOf(store.insertWithin(record, 1000))
      if (code === 'no error') kept.push(record)
    }
    expect(code).toBe('ERR_STORE_FULL')
    expect(kept.length).toBeGreaterThan(5)
    const [first, second] = kept
    if (first === undefined || second === undefined) throw new Error('nothing was kept')
    expect(await codeOf(store.replace({ ...first, version: 2 }, 1))).toBe('ERR_STORE_FULL')
    expect(await store.load(first.id)).toEqual(first)
    expect(await store.remove(first.id, 1)).toBe('done')
    expect(await store.removeBySubject('u')).toBe(kept.length - 1)
    await store.insert(second)
    expect(await store.load(second.id)).toEqual(second)
  })

  test('a server that has become a replica is unavailable for writes', async () => {
    const [primary, other] = [await start(), await start()]
    const store = redisStore({ client: await connect(other.url) })
    await command(other, ['REPLICAOF', '127.0.0.1', String(primary.port)])
    expect(await codeOf(store.insert(session()))).toBe('ERR_STORE_UNAVAILABLE')
  })

  test('after a failover by Sentinel, what a replica had is there and writing goes on by itself', async () => {
    const { primary, replica, sentinel } = await startSentinel(durable)
    cleanup.push(
      () => sentinel.stop(),
      () => replica.stop(),
      () => primary.stop(),
    )
    const client = createSentinel({
      name: 'app',
      sentinelRootNodes: [{ host: '127.0.0.1', port: sentinel.port }],
      nodeClientOptions: { socket: { reconnectStrategy: 100 } },
      scanInterval: 500,
    })
    client.on('error', () => {})
    await client.connect()
    cleanup.push(() => client.destroy())
    const store = redisStore({ client, timeout: 1 })
    const records = Array.from({ length: 20 }, () => session())
    for (const record of records) await store.insert(record)
    expect(Number(await command(primary, ['WAIT', '0', '0']))).toBe(1)
    await until(async () => Number(await command(replica, ['DBSIZE'])) === records.length + 1)

    await primary.kill()
    expect(await codeOf(store.insert(session()))).toBe('ERR_STORE_UNAVAILABLE')
    const late = session()
    await until(() =>
      store.insert(late).then(
        () => true,
        () => false,
      ),
    )
    for (const record of [...records, late]) expect(await store.load(record.id)).toEqual(record)
    expect(await store.removeBySubject('u')).toBeGreaterThanOrEqual(21)
  })

  test('a client that repeats a command whose reply was lost hears the same as if it had come', async () => {
    const server = await start()
    const client = await connect(server.url)
    const twice = {
      get isReady() {
        return client.isReady
      },
      duplicate: () => client.duplicate(),
      async sendCommand(args: string[], options?: object) {
        await client.sendCommand(args, options).catch(() => {})
        return client.sendCommand(args, options)
      },
    }
    const store = redisStore({ client: twice })
    const record = session()
    expect(await store.insertWithin(record, 3)).toBe(0)
    expect(await store.replace({ ...record, version: 2, data: '{"n":1}' }, 1)).toBe('done')
    expect(await store.replace({ ...record, version: 2, data: '{"n":2}' }, 1)).toBe('conflict')
    expect(await store.load(record.id)).toMatchObject({ version: 2, data: '{"n":1}' })
  })

  test('a store that was given an address connects by itself, and again after a restart', async () => {
    const server = await start(durable)
    const store = redisStore({ url: server.url, timeout: 1 })
    cleanup.push(() => store.close())
    const record = session()
    await store.insert(record)
    await server.kill()
    await until(async () => !(await answers(store)()))
    await server.start()
    await until(answers(store))
    expect(await store.load(record.id)).toEqual(record)
  })

  test('the first requests wait for the first connection, whenever it comes within their time', async () => {
    const server = await start()
    server.pause()
    cleanup.push(() => server.resume())
    const store = redisStore({ url: server.url, timeout: 5 })
    cleanup.push(() => store.close())
    const record = session()
    const [insertion, lookup] = [store.insert(record), store.load(freshId())]
    server.resume()
    await insertion
    expect(await lookup).toBeUndefined()
    expect(await store.load(record.id)).toEqual(record)
  })

  test('a Redis that is away from the start is named with its address and the reason, and serves once it is there', async () => {
    const warned: Error[] = []
    const hear = (warning: Error) => warned.push(warning)
    process.on('warning', hear)
    cleanup.push(() => process.off('warning', hear))
    const port = await freePort()
    const store = redisStore({ url: `redis://app:hunter2@127.0.0.1:${port}/3`, timeout: 0.3 })
    cleanup.push(() => store.close())
    const failure = await store.load(freshId()).catch((error: unknown) => error)
    expect(failure).toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
      message: `Redis at 127.0.0.1:${port}/3 cannot be reached: ECONNREFUSED`,
      cause: { code: 'ECONNREFUSED' },
    })
    expect(inspect(failure, { depth: 9, showHidden: true })).not.toContain('hunter2')
    const codes = await Promise.all(Array.from({ length: 20 }, () => codeOf(store.insert(session()))))
    expect(new Set(codes)).toEqual(new Set(['ERR_STORE_UNAVAILABLE']))
    expect(warned.map(({ message }) => message)).toEqual([
      `Redis at 127.0.0.1:${port}/3 cannot be reached: ECONNREFUSED`,
    ])
    await start(['--user', 'app', 'on', '>hunter2', '~*', '&*', '+@all'], port)
    await until(answers(store))
  })

  test('a client that was lost, or never told to connect, is named with its address and the reason', async () => {
    const server = await start()
    const client = await connect(server.url)
    const store = redisStore({ client })
    await server.kill()
    await until(async () => !client.isReady)
    const name = `Redis at 127.0.0.1:${server.port} cannot be reached: `
    await expect(store.load(freshId())).rejects.toMatchObject({
      message: expect.stringMatching(new RegExp(`^${name}(Socket closed unexpectedly|ECONNREFUSED|ECONNRESET)$`)),
      cause: expect.any(Error),
    })
    const never = redisStore({ client: createClient({ url: server.url }) })
    await expect(never.load(freshId())).rejects.toMatchObject({
      message: `${name}its client was closed, or never connected`,
      hint: expect.stringContaining('told to connect'),
    })
  })

  test('what a server quotes of a command that it does not know is not in the error', async () => {
    const server = await start(['--rename-command', 'EVALSHA', ''])
    const store = redisStore({ client: await connect(server.url) })
    const failure = await store.insert(session({ data: '{"card":"4711"}' })).catch((error: unknown) => error)
    expect(failure).toMatchObject({ message: `Redis at 127.0.0.1:${server.port} answered with ERR` })
    expect(inspect(failure, { depth: 9 })).not.toContain('gatepass:session')
  })

  /** Begins a session, changes it some times, and ends it or not; notes only what was acknowledged. */
  async function live(
    store: RedisStore,
    notes: { acknowledged: Map<SessionId, number>; ended: Set<SessionId> },
  ): Promise<void> {
    const record = session()
    await store.insertWithin(record, 1000)
    notes.acknowledged.set(record.id, 1)
    for (let version = 2; version < 5; version++) {
      if ((await store.replace({ ...record, version }, version - 1)) === 'done')
        notes.acknowledged.set(record.id, version)
    }
    if (record.id.charCodeAt(0) % 2 === 0) return
    // The state is unknown until an answer arrives.
    notes.acknowledged.delete(record.id)
    await store.remove(record.id)
    notes.ended.add(record.id)
  }
})

/** A client that counts what is sent. */
class CountingClient {
  readonly #client: ReturnType<typeof createClient>
  readonly #sent: () => void

  constructor(client: ReturnType<typeof createClient>, sent: () => void) {
    this.#client = client
    this.#sent = sent
  }

  get isReady(): boolean {
    return this.#client.isReady
  }

  duplicate(overrides?: object): ReturnType<typeof createClient> {
    return this.#client.duplicate(overrides) as ReturnType<typeof createClient>
  }

  sendCommand(args: string[], options?: object): Promise<unknown> {
    this.#sent()
    return this.#client.sendCommand(args, options)
  }
}
