import type { PooledPostgresClient, PostgresPool } from 'gatepass/stores/postgres'
import type { RedisListener } from 'gatepass/stores/redis'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { Heard } from '../../test/stores/heard.ts'
import { Listening } from './postgres/listening.ts'
import type { Topology } from './redis/client.ts'
import { listen } from './redis/feed.ts'

vi.mock('../timers.ts', () => import('../../test/replaceable-timers.ts'))

/** A connection that answers each question in 10 ms, until it falls silent. */
class Server {
  silent = false

  answer(): Promise<never> {
    return new Promise((resolve) => setTimeout(() => this.silent || resolve({ rows: [] } as never), 10))
  }
}

function throughRedis(server: Server, heard: Heard, connected = () => {}): () => Promise<void> {
  const listener = async (): Promise<RedisListener> => ({
    connect: () => {
      connected()
      return server.answer()
    },
    destroy: () => {},
    sendCommand: () => server.answer(),
    on: () => {},
  })
  const topology: Pick<Topology, 'announcers'> = { announcers: () => [{ address: '', listener }] }
  return listen(topology as Topology, { prefix: 'p:', listener: heard })
}

function throughPostgres(server: Server, heard: Heard): () => Promise<void> {
  const client: PooledPostgresClient = {
    query: () => server.answer(),
    on: () => {},
    removeListener: () => {},
    release: () => {},
  }
  const pool: PostgresPool = {
    connect: () => server.answer().then(() => client),
    on: () => {},
    removeListener: () => {},
  }
  const listening = new Listening({ pool, channel: 'c', engine: 'PostgreSQL', listener: heard })
  return () => listening.end()
}

describe.each([
  ['Redis', throughRedis],
  ['PostgreSQL', throughPostgres],
] as const)('what %s announces', (_, begin) => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  test('is in doubt half a second after the connection fell silent, whenever that was', async () => {
    for (let after = 0; after < 250; after += 10) {
      const [server, heard] = [new Server(), new Heard()]
      const end = begin(server, heard)
      await vi.advanceTimersByTimeAsync(1000 + after)
      expect(heard.all).toEqual(['up'])
      server.silent = true
      await vi.advanceTimersByTimeAsync(500)
      expect([after, heard.all]).toEqual([after, ['up', 'down']])
      const ended = end()
      await vi.advanceTimersByTimeAsync(20_000)
      await ended
    }
  })

  test('is believed for as long as the connection answers within a quarter of a second', async () => {
    const [server, heard] = [new Server(), new Heard()]
    const end = begin(server, heard)
    await vi.advanceTimersByTimeAsync(1000)
    server.answer = () => new Promise((resolve) => setTimeout(() => resolve({ rows: [] } as never), 200))
    await vi.advanceTimersByTimeAsync(60_000)
    expect(heard.all).toEqual(['up'])
    const ended = end()
    await vi.advanceTimersByTimeAsync(20_000)
    await ended
  })
})

test('a Redis connection that answers after all is believed again, without another one', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const [server, heard] = [new Server(), new Heard()]
  let connections = 0
  const end = throughRedis(server, heard, () => connections++)
  await vi.advanceTimersByTimeAsync(1000)
  server.silent = true
  await vi.advanceTimersByTimeAsync(700)
  server.silent = false
  await vi.advanceTimersByTimeAsync(300)
  expect(heard.all).toEqual(['up', 'down', 'up'])
  expect(connections).toBe(1)
  await end()
})
