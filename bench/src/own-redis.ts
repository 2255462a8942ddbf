import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from 'redis'

/** A Redis of the bench's own, which keeps nothing on disk. */
export interface OwnRedis {
  readonly url: string
  stop(): void
}

export type RedisConnection = Awaited<ReturnType<typeof connect>>

export async function startRedis(): Promise<OwnRedis> {
  const folder = mkdtempSync(join(tmpdir(), 'gatepass-bench-'))
  const port = await freePort()
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder]
  const server = spawn('redis-server', args, { stdio: 'ignore' })
  const failed = once(server, 'error').then(([error]) => Promise.reject(error as Error))
  const kill = () => server.kill('SIGKILL')
  process.once('exit', kill)
  const redis: OwnRedis = {
    url: `redis://127.0.0.1:${port}`,
    stop() {
      process.removeListener('exit', kill)
      kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  try {
    await Promise.race([answering(redis.url), failed])
    return redis
  } catch (error) {
    redis.stop()
    throw error
  }
}

/** A client that is done for when its connection breaks. */
export async function connect(url: string) {
  const client = createClient({ url, socket: { reconnectStrategy: false } })
  client.on('error', () => {})
  return client.connect()
}

async function answering(url: string): Promise<void> {
  for (let attempts = 0; ; attempts++) {
    try {
      return (await connect(url)).destroy()
    } catch (error) {
      if (attempts === 500) throw error
      await sleep(20)
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
