import { hash } from 'node:crypto'
import type { SessionId, SessionRecord } from 'gatepass/session'
import { type RedisStore, redisStore } from 'gatepass/stores/redis'
import { type RedisConnection as Client, connect, startRedis, usedMemory } from './engines.ts'
import type { Row } from './rows.ts'

/** Lookups that arrive in one turn of the event loop. */
const TURN = 50
const SECONDS = 1.5

/** Measures the Redis store on a Redis that it starts and ends. */
export async function benchRedis(): Promise<Row[]> {
  const redis = await startRedis()
  try {
    const client = await connect(redis.url)
    try {
      return [...(await benchReads(client)), ...(await benchRoundTrips(client)), await benchMemory(client)]
    } finally {
      client.destroy()
    }
  } finally {
    redis.stop()
  }
}

async function benchReads(client: Client): Promise<Row[]> {
  const store = redisStore({ client })
  const records = Array.from({ length: 5000 }, (_, n) => recordOf(`read ${n}`))
  for (const record of records) await store.insert(record)
  const next = picker(records)
  const coalesced = (from = store) => Promise.all(Array.from({ length: TURN }, () => from.load(next().id)))
  const oneEach = () =>
    Promise.all(Array.from({ length: TURN }, async () => client.get(`gatepass:session:${next().id}`)))
  const each = await inTurns([async () => (await coalesced()).length, async () => (await oneEach()).length])
  const [ours, peer] = each as [Figures, Figures]
  const commands = await commandsOf(client, (counted) => coalesced(redisStore({ client: counted })))
  const name = `${TURN} lookups in a turn`
  const row = (unit: string, one: number, other: number): Row => {
    return { group: 'redis', name, ours: one, peer: other, peerName: 'one GET each', unit }
  }
  return [
    row('lookups/s', ours.perSecond, peer.perSecond),
    row('µs of CPU each', ours.cpu, peer.cpu),
    row('commands each', commands / TURN, 1),
  ]
}

/** Counts the commands of each operation of the store. */
async function benchRoundTrips(client: Client): Promise<Row[]> {
  const store = redisStore({ client })
  const record = { ...recordOf('round trips'), subject: 'u' }
  await store.insertWithin({ ...recordOf('first'), subject: 'u' }, 20)
  const { id, seenAt, expiresAt } = record
  const calls: [string, (store: RedisStore) => Promise<unknown>][] = [
    ['a login', (counted) => counted.insertWithin(record, 20)],
    ['a read inside the touch interval', (counted) => counted.load(id)],
    ['a touch', (counted) => counted.touch(id, seenAt + 1, expiresAt + 1000)],
    ['a change', (counted) => counted.replace({ ...record, version: 2 }, 1)],
    ['a logout, and the index afterwards', (counted) => counted.remove(id)],
  ]
  const rows: Row[] = []
  for (const [name, call] of calls) {
    const commands = await commandsOf(client, (counted) => call(redisStore({ client: counted })))
    rows.push({ group: 'redis', name, ours: commands, peer: 1, peerName: 'the least', unit: 'commands' })
  }
  return rows
}

async function benchMemory(client: Client): Promise<Row> {
  const store = redisStore({ client, prefix: 'memory:' })
  const before = await usedMemory(client)
  const count = 20_000
  for (let n = 0; n < count; n += 100) {
    await Promise.all(
      Array.from({ length: 100 }, (_, m) => store.insert({ ...recordOf(`m ${n + m}`), subject: `u${n + m}` })),
    )
  }
  const ours = ((await usedMemory(client)) - before) / count
  const middle = await usedMemory(client)
  for (let n = 0; n < count; n += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, m) => asHash(client, recordOf(`h ${n + m}`))))
  }
  const peer = ((await usedMemory(client)) - middle) / count
  const name = 'a login of 200 characters, with its index (the hash has none)'
  return { group: 'redis', name, ours, peer, peerName: 'a hash of fields', unit: 'bytes' }
}

async function asHash(client: Client, { id, ...fields }: SessionRecord): Promise<void> {
  const texts = Object.entries(fields).map(([name, value]) => [name, String(value)])
  await client.hSet(`memory:hash:${id}`, Object.fromEntries(texts))
  await client.pExpire(`memory:hash:${id}`, 600_000)
}

interface Figures {
  readonly perSecond: number
  readonly cpu: number
}

/** Takes the best slice of each work. They take turns, so that other work on the machine disturbs all. */
async function inTurns(works: readonly (() => Promise<number>)[]): Promise<Figures[]> {
  const best: Figures[] = works.map(() => ({ perSecond: 0, cpu: Number.POSITIVE_INFINITY }))
  for (let round = 0; round < 4; round++) {
    for (const [n, work] of works.entries()) {
      const { perSecond, cpu } = await measure(work)
      const so = best[n] ?? { perSecond, cpu }
      best[n] = { perSecond: Math.max(so.perSecond, perSecond), cpu: Math.min(so.cpu, cpu) }
    }
  }
  return best
}

async function measure(work: () => Promise<number>): Promise<Figures> {
  const [start, before] = [performance.now(), process.cpuUsage()]
  let done = 0
  while (performance.now() - start < (SECONDS * 1000) / 4) done += await work()
  const { user, system } = process.cpuUsage(before)
  return { perSecond: (done / (performance.now() - start)) * 1000, cpu: (user + system) / done }
}

/** Counts the commands on the connection. Those inside a script do not count. */
async function commandsOf(client: Client, call: (client: Client) => Promise<unknown>): Promise<number> {
  let commands = 0
  const send = client.sendCommand.bind(client)
  const counting = Object.assign(Object.create(client) as Client, {
    sendCommand: (...args: Parameters<typeof send>) => {
      commands++
      return send(...args)
    },
  })
  await call(counting)
  return commands
}

function recordOf(name: string): SessionRecord {
  const now = Date.now()
  const id = hash('sha256', name, 'hex') as SessionId
  const times = { createdAt: now, seenAt: now, expiresAt: now + 600_000 }
  return {
    id,
    version: 1,
    subject: null,
    data: JSON.stringify({ cart: 'x'.repeat(100) }),
    handle: id.slice(0, 22),
    about: '{}',
    ...times,
  }
}

function picker(records: readonly SessionRecord[]): () => SessionRecord {
  let n = 0
  return () => {
    n = (n + 7919) % records.length
    return records[n] as SessionRecord
  }
}
