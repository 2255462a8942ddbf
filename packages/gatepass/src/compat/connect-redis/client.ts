import { UsageError } from '../../error.ts'
import { type RedisClient, type Topology, topologyOf } from '../../stores/redis/client.ts'
import { slotOf } from '../../stores/redis/slot.ts'

/** Sends one command. */
export type Send = (args: readonly string[]) => Promise<unknown>

/** A client, in the one form in which the store uses all of them. */
export interface Connection {
  readonly topology: Topology
  /** One for each server that has keys. */
  servers(): Promise<readonly Send[]>
  /** Whether it can run scripts. Clients that only pretend to be Redis cannot. */
  readonly scripts: boolean
}

type Callback = (error: unknown, reply?: unknown) => void
type Method = (...args: unknown[]) => unknown

interface Ioredis {
  readonly status: string
  readonly isCluster?: boolean
  call(...args: string[]): Promise<unknown>
  nodes?(role: 'master'): readonly Ioredis[]
}

interface NodeRedisCluster {
  readonly masters: readonly object[]
  nodeClient(master: object): Promise<NodeRedis>
}

type NodeRedisClient = RedisClient & (NodeRedis | NodeRedisCluster)
type WithCallbacks = Readonly<Record<string, Method | undefined>>

interface NodeRedis {
  sendCommand(args: readonly string[]): Promise<unknown>
}

/** @throws {UsageError} `ERR_STORE_OPTIONS` if it is not a client of node-redis, ioredis or an older `redis` */
export function connectionOf(client: unknown): Connection {
  const { options, get, sendCommand } = (client ?? {}) as Readonly<Record<string, unknown>>
  if (isIoredis(client)) return ofIoredis(client)
  // Version 4 with `legacyMode` has its methods with promises there.
  if ((options as { legacyMode?: unknown } | undefined)?.legacyMode)
    return ofNodeRedis((client as { v4: NodeRedisClient }).v4)
  // Version 3 and `legacy()` have `sendCommand` too, but answer by a callback.
  if (isNodeRedis(client)) return ofNodeRedis(client)
  if (typeof get === 'function' || typeof sendCommand === 'function') return ofCallbacks(client as WithCallbacks)
  throw new UsageError('ERR_STORE_OPTIONS', 'A client must be directly provided to the RedisStore', {
    hint: 'Pass `client`: the result of createClient or createCluster of the package `redis`, or a client of ioredis.',
  })
}

function isIoredis(client: unknown): client is Ioredis {
  const { call, status } = (client ?? {}) as Partial<Ioredis>
  return typeof call === 'function' && typeof status === 'string'
}

function isNodeRedis(client: unknown): client is NodeRedisClient {
  return typeof client === 'object' && client !== null && ('isReady' in client || 'masters' in client)
}

/** The application's client may still be connecting. Its commands wait for that, as long as the time limit allows. */
function ofNodeRedis(client: NodeRedisClient): Connection {
  const topology = { ...topologyOf(client), isReady: true }
  const sender = (node: NodeRedis) => (args: readonly string[]) => node.sendCommand([...args])
  const servers = async (): Promise<readonly Send[]> => {
    if (!('masters' in client)) return [(args) => topology.send('', [...args], new AbortController().signal)]
    const { masters } = client as NodeRedisCluster
    return Promise.all(masters.map(async (master) => sender(await (client as NodeRedisCluster).nodeClient(master))))
  }
  return { topology, servers, scripts: true }
}

function ofIoredis(client: Ioredis): Connection {
  const sender = (node: Ioredis) => (args: readonly string[]) => node.call(...args)
  const send = sender(client)
  const together = client.isCluster !== true
  const topology = { ...named('Redis'), together, groupOf: together ? () => '' : slotOf, send: sendBy(send) }
  const servers = async () => client.nodes?.('master').map(sender) ?? [send]
  return { topology, servers, scripts: true }
}

function ofCallbacks(client: WithCallbacks): Connection {
  const { sendCommand, evalsha } = client
  const send: Send = ([command = '', ...args]) =>
    new Promise((resolve, reject) => {
      const name = command.toLowerCase()
      const done: Callback = (error, reply) => (error ? reject(error) : resolve(reply))
      // Clients that only pretend to be Redis have no more than methods, and some answer by a promise.
      const returned = sendCommand ? sendCommand.call(client, name, args, done) : client[name]?.(...args, done)
      if (returned instanceof Promise) returned.then(resolve, reject)
    })
  const topology = { ...named('Redis'), together: true, groupOf: () => '', send: sendBy(send) }
  return { topology, servers: async () => [send], scripts: Boolean(sendCommand ?? evalsha) }
}

function sendBy(send: Send): Topology['send'] {
  return (_key, args) => send(args)
}

function named(name: string) {
  return {
    isReady: true,
    serverOf: () => '',
    nameOf: () => name,
    lastError: () => undefined,
    announcers: () => [],
  }
}
