import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A proxy in front of a server. It can hold back answers and cut connections. */
export interface FaultyProxy {
  readonly port: number
  /** How often a client has connected or sent something. */
  readonly approaches: number
  /** From now on the server's answers are held back. Requests still reach it. */
  holdAnswers(): void
  /** Sends the answers that were held back, and all later ones. */
  letThrough(): void
  /** Cuts every open connection. Clients can connect again. */
  cut(): void
  /** Cuts the connection on which a client next sends something, `before` the server hears it or `after`. */
  cutAtNextRequest(when: 'before' | 'after'): Promise<void>
  /** The same at the nth request from now, counted over all connections. 0 means never. */
  cutAtRequest(nth: number, when: 'before' | 'after'): Promise<void>
  close(): Promise<void>
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
}

/** Listens on its own port, and passes connections on to the server on port `target` of this machine. */
export async function faultyProxy(target: number): Promise<FaultyProxy> {
  const pairs = new Set<Pair>()
  let holding = false
  let approaches = 0
  let cutNext: { when: 'before' | 'after'; left: number; done(): void } | undefined

  const end = (pair: Pair) => {
    pairs.delete(pair)
    pair.client.destroy()
    pair.server.destroy()
  }
  const listener = createServer((client) => {
    const pair: Pair = { client, server: connect(target, '127.0.0.1') }
    pairs.add(pair)
    approaches++
    for (const socket of [client, pair.server]) socket.on('error', () => {}).on('close', () => end(pair))
    let held: Buffer[] = []
    client.on('data', (chunk) => {
      approaches++
      const order = cutNext !== undefined && --cutNext.left === 0 ? cutNext : undefined
      if (order !== undefined) cutNext = undefined
      if (order?.when !== 'before') pair.server.write(chunk)
      if (order === undefined) return
      if (order.when === 'before') end(pair)
      // The server's answer shows that the request was executed. The client never gets it.
      else pair.server.removeAllListeners('data').once('data', () => end(pair))
      pair.client.once('close', () => order.done())
    })
    pair.server.on('data', (chunk) => {
      held.push(chunk)
      if (holding) return
      for (const part of held) client.write(part)
      held = []
    })
    pair.server.on('resume-held', () => {
      for (const part of held) client.write(part)
      held = []
    })
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))

  const proxy: FaultyProxy = {
    port: (listener.address() as AddressInfo).port,
    get approaches() {
      return approaches
    },
    holdAnswers() {
      holding = true
    },
    letThrough() {
      holding = false
      for (const { server } of pairs) server.emit('resume-held')
    },
    cut() {
      for (const pair of pairs) end(pair)
    },
    cutAtNextRequest(when) {
      return proxy.cutAtRequest(1, when)
    },
    cutAtRequest(nth, when) {
      const { promise, resolve } = Promise.withResolvers<void>()
      cutNext = nth === 0 ? undefined : { when, left: nth, done: resolve }
      return promise
    },
    async close() {
      for (const pair of pairs) end(pair)
      await new Promise((resolve) => listener.close(resolve))
    },
  }
  return proxy
}
