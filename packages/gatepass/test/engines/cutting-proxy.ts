import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** Passes bytes on to a server on this machine, until it is told to cut the connection. */
export class CuttingProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** Cuts before a reply passes, when a request contains this. */
  cutAfter: string | undefined

  constructor(target: number) {
    this.#server = createServer((near) => this.#pass(near, connect(target, '127.0.0.1')))
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #pass(near: Socket, far: Socket): void {
    let doomed = false
    for (const socket of [near, far]) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
    }
    near.on('data', (chunk) => {
      doomed ||= this.cutAfter !== undefined && chunk.includes(this.cutAfter)
      far.write(chunk)
    })
    far.on('data', (chunk) => (doomed ? near.destroy() : near.write(chunk)))
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  }
}
