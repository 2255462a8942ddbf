import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/** Below the ports that systems give to servers on port 0 and to clients (from 32768 on Linux, from 49152 elsewhere). */
const LOWEST = 10_000
const COUNT = 10_000

/**
 * A port of this machine for a program that cannot choose one itself. Nothing takes it until this process ends, also while the
 * program is stopped: the system gives out no such port, and another test would first need the port `COUNT` above it, on which
 * this process listens.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * COUNT)
    const claim = await listening(port + COUNT)
    if (claim === undefined) continue
    const probe = await listening(port)
    if (probe === undefined) {
      claim.close()
      continue
    }
    await new Promise((resolve) => probe.close(resolve))
    claim.unref()
    return port
  }
}

/** Undefined if another program listens there. */
async function listening(port: number): Promise<Server | undefined> {
  const server = createServer((socket) => void socket.destroy())
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening')
    return server
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined
    throw error
  }
}
