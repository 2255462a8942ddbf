import { UsageError } from '../../error.ts'
import { slotOf } from './slot.ts'

/** What is used of a `RedisClientType` of node-redis, for one server. */
export interface RedisServerClient {
  readonly isReady: boolean
  sendCommand(args: string[], options?: object): Promise<unknown>
  duplicate(overrides?: object): RedisListener
}

/** A connection of the store's own, on which the server announces changes. */
export interface RedisListener {
  connect(): Promise<unknown>
  destroy(): void
  sendCommand(args: string[], options?: object): Promise<unknown>
  on(event: string, listener: (value: unknown) => void): unknown
}

/** What is used of a `RedisSentinelType` of node-redis. */
export interface RedisSentinelClient {
  readonly isReady: boolean
  sendCommand(isReadonly: boolean | undefined, args: string[], options?: object): Promise<unknown>
  getMasterNode(): unknown
}

/** What is used of a `RedisClusterType` of node-redis. */
export interface RedisClusterClient {
  readonly isReady: boolean
  readonly masters: readonly { readonly address: string }[]
  readonly slots: readonly ({ readonly master: { readonly address: string } } | undefined)[]
  sendCommand(
    firstKey: string | undefined,
    isReadonly: boolean | undefined,
    args: string[],
    options?: object,
  ): Promise<unknown>
  // A method of any node is a method of this one; node-redis asks for more of it than is used here.
  nodeClient(node: never): Promise<{ duplicate(overrides?: object): RedisListener }>
}

/** A client of node-redis, of whatever kind. */
export type RedisClient = RedisServerClient | RedisSentinelClient | RedisClusterClient

/** One server on which changes are announced, and how to listen to it. */
export interface Announcer {
  readonly address: string
  listener(): Promise<RedisListener>
}

/** What differs between one server, Sentinel and a cluster. */
export interface Topology {
  readonly isReady: boolean
  /** Whether one command may name several keys. */
  readonly together: boolean
  /** Names the server that has the key: what it does says nothing of the others. */
  serverOf(key: string): string
  /** Keys of one group can be read by one command. */
  groupOf(key: string): string | number
  send(key: string, args: string[], timeout: number): Promise<unknown>
  announcers(): readonly Announcer[]
}

// Replies as text whatever the application has chosen for its own commands.
const asText = { typeMapping: {} }
const listening = {
  RESP: 3,
  emitInvalidate: true,
  clientSideCache: undefined,
  disableOfflineQueue: true,
  readonly: false,
}

export function topologyOf(client: RedisClient): Topology {
  if (typeof client?.sendCommand !== 'function') {
    throw new UsageError('ERR_STORE_OPTIONS', '`client` is no client of node-redis', {
      hint: 'Pass what createClient, createSentinel or createCluster of the package `redis` gives, or a `url`.',
    })
  }
  if ('nodeClient' in client) return ofCluster(client)
  return 'getMasterNode' in client ? ofSentinel(client) : ofServer(client)
}

function ofServer(client: RedisServerClient): Topology {
  return {
    get isReady() {
      return client.isReady
    },
    together: true,
    serverOf: () => '',
    groupOf: () => '',
    // A command that was not written within the time is not written at all.
    send: (_key, args, timeout) => client.sendCommand(args, { ...asText, timeout }),
    announcers: () => [{ address: '', listener: async () => client.duplicate(listening) }],
  }
}

function ofSentinel(client: RedisSentinelClient): Topology {
  return {
    get isReady() {
      return client.isReady
    },
    together: true,
    serverOf: () => '',
    groupOf: () => '',
    // Never read-only: a replica may not have heard yet that a session has ended.
    send: (_key, args, timeout) =>
      client.sendCommand(false, args, { ...asText, timeout, abortSignal: AbortSignal.timeout(timeout) }),
    announcers: () => {
      throw new UsageError('ERR_STORE_OPTIONS', 'Changes are not announced through a Sentinel client', {
        hint: 'Without a near cache every read is one round trip. A single server and a cluster can announce changes.',
      })
    },
  }
}

function ofCluster(client: RedisClusterClient): Topology {
  return {
    get isReady() {
      return client.isReady
    },
    together: false,
    serverOf: (key) => client.slots[slotOf(key)]?.master.address ?? '',
    groupOf: slotOf,
    send: (key, args, timeout) => client.sendCommand(key, false, args, { ...asText, timeout }),
    announcers: () =>
      client.masters.map((master) => ({
        address: master.address,
        listener: async () => (await client.nodeClient(master as never)).duplicate(listening),
      })),
  }
}
