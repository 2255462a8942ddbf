import { once } from 'node:events'
import type { Server as HttpServer } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { onTestFinished } from 'vitest'

/** Starts a server on a free port of this machine until the test ends. Returns the port. */
export async function listen(server: Server | HttpServer): Promise<number> {
  onTestFinished(() => {
    // A server of HTTP/2 has no such method.
    if ('closeAllConnections' in server) server.closeAllConnections()
    server.close()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
