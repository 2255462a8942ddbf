import { errorMonitor } from 'node:events'
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
  getMasterNode(): RedisNode | undefined
}

/** Where a server is. */
export interface RedisNode {
  readonly host: string
  readonly port: number
}

/** Makes a client of one server, with the same credentials as the application's; it is not connected. */
export type NodeClient = (node: RedisNode) => Pick<RedisServerClient, 'duplicate'>

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
  /** What errors call that server: its address, as far as the client tells it. */
  nameOf(server: string): string
  /** Why the client is not ready: the last error that it had. */
  lastError(): unknown
  /** Keys of one group can be read by one command. */
  groupOf(key: string): string | number
  /** @param signal takes a command back that is not written yet */
  send(key: string, args: string[], signal: AbortSignal): Promise<unknown>
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

/** @param nodeClient what Sentinel's client keeps to itself, and listening needs */
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
    get isReady() {
      return client.isReady
    },
    together: true,
    serverOf: () => '',
    nameOf: () => name,
    lastError: () => lastErrorOf(client),
    groupOf: () => '',
    send: (_key, args, abortSignal) => client.sendCommand(args, { ...asText, abortSignal }),
    announcers: () => [{ address: '', listener: async () => client.duplicate(listening) }],
  }
}

function ofSentinel(client: RedisSentinelClient, nodeClient: NodeClient | undefined): Topology {
  return {
    get isReady() {
      return client.isReady
    },
    together: true,
    serverOf: () => '',
    nameOf: () => {
      const node = client.getMasterNode()
      return node === undefined ? 'Redis behind Sentinel' : `Redis at ${node.host}:${node.port}, behind Sentinel`
    },
    lastError: () => lastErrorOf(client),
    groupOf: () => '',
    // Never read-only: a replica may not have heard yet that a session has ended.
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
