import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { freePort } from '../engines/free-port.ts'
import type { EngineName } from './stores.ts'

/** Several server processes that share a port. The system decides which of them a connection reaches. */
export interface Fleet {
  /** The shared port: any of the processes answers. */
  readonly origin: string
  /** Each process by itself. */
  readonly origins: readonly string[]
  stop(): Promise<void>
}

export async function startFleet(engine: EngineName, address: string, size = 4): Promise<Fleet> {
  const port = await freePort()
  const processes = Array.from({ length: size }, () => startServer([engine, address, String(port)]))
  const stop = async () => {
    await Promise.all(processes.map(ended))
  }
  try {
    const ports = await Promise.all(processes.map(firstLine))
    return { origin: `http://127.0.0.1:${port}`, origins: ports.map((own) => `http://127.0.0.1:${own}`), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function startServer(args: readonly string[]): ChildProcess {
  const program = fileURLToPath(new URL('./server.ts', import.meta.url))
  const options = ['--conditions=gatepass:source', '--disable-warning=ExperimentalWarning', program, ...args]
  return spawn(process.execPath, options, { stdio: ['ignore', 'pipe', 'inherit'] })
}

async function firstLine(server: ChildProcess): Promise<string> {
  const closed = once(server, 'close').then(() => {
    throw new Error('a server process ended before it listened')
  })
  const line = once(server.stdout as NodeJS.ReadableStream, 'data').then(([text]) => String(text).trim())
  closed.catch(() => {})
  return Promise.race([line, closed])
}

async function ended(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const closed = once(server, 'close')
  server.kill()
  await closed
}
