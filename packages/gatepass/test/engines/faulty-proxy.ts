import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A way to a server that can be blocked and cut. */
export interface FaultyProxy {
  readonly port: number
  /** How often a client has connected or sent something. */
  readonly approaches: number
  /** From now on nothing that the server says arrives; what it is told still does. */
  holdAnswers(): void
  /** What was held arrives, and everything after it. */
  letThrough(): void
  /** Cuts every connection there is. New ones may be made. */
  cut(): void
  /** Cuts the connection on which a client next sends something, `before` the server hears it or `after`. */
  cutAtNextRequest(when: 'before' | 'after'): Promise<void>
  /** The same at the nth request from now, whichever connections the others take; 0 for never. */
  cutAtRequest(nth: number, when: 'before' | 'after'): Promise<void>
  close(): Promise<void>
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
}

/** Stands on a port of its own between clients and the server that listens on `target` of this machine. */
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
      // The answer tells that it was done; the client never learns it.
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
