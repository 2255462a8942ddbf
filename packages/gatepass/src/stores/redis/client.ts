import { errorMonitor } from 'node:events'
import { UsageError } from '../../error.ts'
import { slotOf } from './slot.ts'

/** What the store needs from a client of one server. A `RedisClientType` of node-redis has it. */
export interface RedisServerClient {
  readonly isReady: boolean
  sendCommand(args: string[], options?: object): Promise<unknown>
  duplicate(overrides?: object): RedisListener
}

/** The store's own connection, on which the server announces changes. */
export interface RedisListener {
  connect(): Promise<unknown>
  destroy(): void
  sendCommand(args: string[], options?: object): Promise<unknown>
  on(event: string, listener: (value: unknown) => void): unknown
}

/** What the store needs from a Sentinel client. A `RedisSentinelType` of node-redis has it. */
export interface RedisSentinelClient {
  readonly isReady: boolean
  sendCommand(isReadonly: boolean | undefined, args: string[], options?: object): Promise<unknown>
  getMasterNode(): RedisNode | undefined
}

/** The address of a server. */
export interface RedisNode {
  readonly host: string
  readonly port: number
}

/** Makes a client of one server with the application's credentials. The client is not connected yet. */
export type NodeClient = (node: RedisNode) => Pick<RedisServerClient, 'duplicate'>

/** What the store needs from a cluster client. A `RedisClusterType` of node-redis has it. */
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
  // `never`, because the node's type in node-redis has more members than are used here.
  nodeClient(node: never): Promise<{ duplicate(overrides?: object): RedisListener }>
}

/** Any client of node-redis. */
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
  /** The server that has the key. Each server has its own circuit. */
  serverOf(key: string): string
  /** The server in error messages: its address, as far as the client knows it. */
  nameOf(server: string): string
  /** The last error of the client, which is why it is not ready. */
  lastError(): unknown
  /** Keys of one group can be read by one command. */
  groupOf(key: string): string | number
  /** @param signal withdraws a command that is not written yet */
  send(key: string, args: string[], signal: AbortSignal): Promise<unknown>
  announcers(): readonly Announcer[]
}

// Replies are texts, also if the application has chosen other types for its own commands. The store has a time limit of its own: that of
// node-redis is an AbortSignal.timeout for each command, and they keep the garbage collector busy for up to 100 ms at a time.
const asText = { typeMapping: {}, timeout: 0 }
const listening = {
  RESP: 3,
  emitInvalidate: true,
  clientSideCache: undefined,
  disableOfflineQueue: true,
  readonly: false,
}

/** @param nodeClient makes the client that listening needs behind Sentinel */
export function topologyOf(client: RedisClient, nodeClient?: NodeClient): Topology {
  if (typeof client?.sendCommand !== 'function') {
    throw new UsageError('ERR_STORE_OPTIONS', '`client` is not a client of node-redis', {
      hint: 'Pass the result of createClient, createSentinel or createCluster of the package `redis`, or a `url`.',
    })
  }
  watch(client)
  if ('nodeClient' in client) return ofCluster(client)
  return 'getMasterNode' in client ? ofSentinel(client, nodeClient) : ofServer(client)
}

/** The last error of each client. */
const lastErrors = new WeakMap<RedisClient, unknown>()

/** Records errors without counting as a listener: if the application has none, an error still ends the process. */
function watch(client: RedisClient): void {
  if (lastErrors.has(client) || !('on' in client) || typeof client.on !== 'function') return
  lastErrors.set(client, undefined)
  client.on(errorMonitor, (error: unknown) => lastErrors.set(client, error))
}

function lastErrorOf(client: RedisClient): unknown {
  // A client that was never told to connect has had no error.
  if ('isOpen' in client && client.isOpen === false) return new Error('its client was closed, or never connected')
  return lastErrors.get(client)
}

/** The client's address without the password. */
function addressOf(client: RedisServerClient): string {
  const { options } = client as { options?: { socket?: Partial<RedisNode> & { path?: string }; database?: number } }
  const { host = 'localhost', port = 6379, path } = options?.socket ?? {}
  return `${path ?? `${host}:${port}`}${options?.database ? `/${options.database}` : ''}`
}

function ofServer(client: RedisServerClient): Topology {
  const name = `Redis at ${addressOf(client)}`
  return {
    ...onePlace(client),
    get isReady() {
      return client.isReady
    },
    nameOf: () => name,
    send: (_key, args, abortSignal) => client.sendCommand(args, { ...asText, abortSignal }),
    announcers: () => [{ address: '', listener: async () => client.duplicate(listening) }],
  }
}

/** What is the same for one server and for a primary behind Sentinel. */
function onePlace(client: RedisClient) {
  return { together: true, serverOf: () => '', groupOf: () => '', lastError: () => lastErrorOf(client) }
}

function ofSentinel(client: RedisSentinelClient, nodeClient: NodeClient | undefined): Topology {
  return {
    ...onePlace(client),
    get isReady() {
      return client.isReady
    },
    nameOf: () => {
      const node = client.getMasterNode()
      return node === undefined ? 'Redis behind Sentinel' : `Redis at ${node.host}:${node.port}, behind Sentinel`
    },
    // Never read-only, because a replica may still have a session that has ended.
    send: (_key, args, abortSignal) => client.sendCommand(false, args, { ...asText, abortSignal }),
    announcers: () => {
      if (nodeClient === undefined) throw cannotListen()
      const node = client.getMasterNode()
      if (node === undefined) return []
      return [{ address: `${node.host}:${node.port}`, listener: async () => nodeClient(node).duplicate(listening) }]
    },
  }
}

function cannotListen(): UsageError {
  return new UsageError('ERR_STORE_OPTIONS', 'A Sentinel client alone cannot listen for changes', {
    hint: 'Give the store `nodeClient`, which makes a client of one server: ({ host, port }) => createClient(…).',
  })
}

function ofCluster(client: RedisClusterClient): Topology {
  return {
    get isReady() {
      return client.isReady
    },
    together: false,
    serverOf: (key) => client.slots[slotOf(key)]?.master.address ?? '',
    nameOf: (server) => (server === '' ? 'the Redis cluster' : `Redis at ${server}`),
    lastError: () => lastErrorOf(client),
    groupOf: slotOf,
    send: (key, args, abortSignal) => client.sendCommand(key, false, args, { ...asText, abortSignal }),
    announcers: () =>
      client.masters.map((master) => ({
        address: master.address,
        listener: async () => (await client.nodeClient(master as never)).duplicate(listening),
      })),
  }
}
