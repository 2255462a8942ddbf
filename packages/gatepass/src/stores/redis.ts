import { randomHandle } from '../crypto/random.ts'
import { checkOptions, type OptionKinds, UsageError } from '../error.ts'
import { peerPackage } from '../peer-package.ts'
import type {
  ChangeFeed,
  ChangeListener,
  SessionId,
  SessionRecord,
  SessionStore,
  SubjectIndex,
  Timestamp,
  WriteResult,
} from '../session/store.ts'
import { duplicate, reasonOf } from './failure.ts'
import { Lookups } from './lookups.ts'
import { sessionLimit, storeClock, timeLimit } from './options.ts'
import { type NodeClient, type RedisClient, type RedisServerClient, type Topology, topologyOf } from './redis/client.ts'
import { Engine, type Reply } from './redis/engine.ts'
import { listen } from './redis/feed.ts'
import { bytesOf, decodeRecord, encodeRecord, encodeRest } from './redis/record.ts'
import { Subjects } from './redis/subjects.ts'

export type {
  Announcer,
  NodeClient,
  RedisClient,
  RedisClusterClient,
  RedisListener,
  RedisNode,
  RedisSentinelClient,
  RedisServerClient,
} from './redis/client.ts'

export interface RedisStoreOptions {
  /** Your client of node-redis, for one server, Sentinel or a cluster. The store does not close it. */
  client?: RedisClient
  /** Where to connect if no client is given: `redis://localhost:6379`. Needs the package `redis`. */
  url?: string
  /** For `subscribe` with a Sentinel client: makes a client of one server, `({ host, port }) => createClient(…)`. */
  nodeClient?: NodeClient
  /** Prefix of all keys. Default `gatepass:`. */
  prefix?: string
  /** Time limit of a command in seconds. Default 2. */
  timeout?: number
  /** Default `Date.now`. The clocks of all processes must agree to within an hour. */
  clock?: () => Timestamp
}

/**
 * Keeps sessions in Redis or Valkey. Any number of processes on any number of machines can share them.
 *
 * @throws {UsageError} `ERR_STORE_OPTIONS`
 */
export function redisStore(options: RedisStoreOptions): RedisStore {
  return new RedisStore(options)
}

const redisOptions: OptionKinds<RedisStoreOptions> = {
  client: 'any',
  url: 'any',
  nodeClient: 'function',
  prefix: 'any',
  timeout: 'any',
  clock: 'function',
}

/** Sessions in Redis or Valkey. */
export class RedisStore implements SessionStore, SubjectIndex, ChangeFeed {
  readonly synchronous = false
  readonly #clock: () => Timestamp
  readonly #prefix: string
  readonly #owned: OwnClient | undefined
  readonly #engine: Engine
  readonly #lookups: Lookups<string, string>
  readonly #subjects: Subjects
  /** Begins the tag of each write. By its tag the script recognises a write that a client has repeated. */
  readonly #writer = randomHandle().slice(0, 11)
  #writes = 0

  constructor(options: RedisStoreOptions) {
    checkOptions('redisStore()', options, redisOptions, 'ERR_STORE_OPTIONS')
    const { prefix, timeout, clock } = checked(options)
    this.#clock = clock
    this.#prefix = `${prefix}session:`
    this.#owned = options.url === undefined ? undefined : ownClient(options.url, timeout)
    const topology = topologyOf(this.#owned ?? (options.client as RedisClient), options.nodeClient)
    this.#engine = new Engine({ topology, timeout, connecting: this.#owned && connect(this.#owned, topology) })
    this.#lookups = new Lookups(
      (keys) => this.#engine.get(keys),
      (key) => topology.groupOf(key),
    )
    const records = { key: (id: SessionId) => this.#key(id), load: this.#loadOf.bind(this) }
    this.#subjects = new Subjects({ engine: this.#engine, records, prefix, clock })
  }

  async load(id: SessionId): Promise<SessionRecord | undefined> {
    const text = await this.#lookups.find(this.#key(id))
    if (text === undefined) return undefined
    const record = decodeRecord(id, text)
    return record.expiresAt > this.#clock() ? record : undefined
  }

  async insert(record: SessionRecord): Promise<void> {
    await this.#insert(record, 0)
  }

  async replace(record: SessionRecord, expectedVersion: number): Promise<WriteResult> {
    const tag = this.#nextTag()
    const reply = await this.#replace(record, expectedVersion, { tag, coveredUntil: '' })
    return reply === 'uncovered' ? this.#replaceAnnounced(record, expectedVersion, tag) : this.#result(reply, record.id)
  }

  async touch(id: SessionId, seenAt: Timestamp, expiresAt: Timestamp): Promise<WriteResult> {
    const touch = (coveredUntil: Timestamp | '') => this.#onRecord('touch', id, [seenAt, expiresAt, coveredUntil])
    const reply = await touch('')
    if (!Array.isArray(reply)) return reply as WriteResult
    const [, subject, createdAt, handle] = reply as [string, string, string, string]
    await this.#subjects.extend({ subject, id, handle, expiresAt, createdAt })
    return (await touch(this.#subjects.coverFor(expiresAt))) as WriteResult
  }

  async remove(id: SessionId, expectedVersion?: number): Promise<WriteResult> {
    return this.#result(await this.#onRecord('remove', id, [expectedVersion ?? '']), id)
  }

  listBySubject(subject: string): Promise<SessionRecord[]> {
    return this.#subjects.list(subject)
  }

  removeBySubject(subject: string, except?: SessionId): Promise<number> {
    return this.#subjects.endAll(subject, except)
  }

  insertWithin(record: SessionRecord, limit: number): Promise<number> {
    return this.#insert(record, sessionLimit(limit))
  }

  /**
   * Reports the keys that the server says have changed (`CLIENT TRACKING`), on a separate connection for each server. It reports
   * insertions, too.
   *
   * @throws {UsageError} `ERR_STORE_OPTIONS` with a Sentinel client and no `nodeClient`
   */
  async subscribe(listener: ChangeListener): Promise<() => Promise<void>> {
    return listen(this.#engine.topology, { prefix: this.#prefix, listener })
  }

  /** Closes the connection if the store opened it. A client that you passed in stays open. */
  async close(): Promise<void> {
    this.#owned?.destroy()
  }

  /** @param limit of sessions of this subject, or 0 for none */
  async #insert(record: SessionRecord, limit: number): Promise<number> {
    if (!hasSubject(record)) {
      refuseDuplicate(await this.#write(record))
      return 0
    }
    const { id, handle, subject, createdAt, expiresAt } = record
    if (this.#engine.topology.together) {
      // One step, which also ends the sessions beyond the limit.
      const entry = [id, this.#subjects.coverFor(expiresAt), createdAt, handle, limit]
      return Number(refuseDuplicate(await this.#write(record, { key: this.#subjects.key(subject), entry })))
    }
    // A cluster keeps record and index on different servers. `Subjects` says why this order of steps is safe.
    await this.#subjects.announce(record)
    refuseDuplicate(await this.#write(record))
    const entries = await this.#subjects.confirm(subject, id, limit)
    if (entries === 'ended') return this.#subjects.end(subject, id)
    return Array.isArray(entries) ? this.#subjects.endSurplus(subject, id, { limit, entries }) : 0
  }

  #write(record: SessionRecord, index?: { key: string; entry: readonly (string | number)[] }): Promise<Reply> {
    const { id, subject, expiresAt } = record
    const [now, tag] = [this.#clock(), this.#nextTag()]
    const text = encodeRecord(record, tag, subject === null ? 0 : this.#subjects.coverFor(expiresAt))
    const keys = index === undefined ? [this.#key(id)] : [this.#key(id), index.key]
    return this.#engine.run('insert', keys, [now, text, tag, expiresAt, ...(index?.entry ?? [])])
  }

  #replace(
    record: SessionRecord,
    expectedVersion: number,
    { tag, coveredUntil }: { tag: string; coveredUntil: Timestamp | '' },
  ): Promise<Reply> {
    const { id, subject, expiresAt, seenAt } = record
    const head = [expectedVersion, tag, expiresAt, seenAt, coveredUntil, bytesOf(subject)]
    return this.#onRecord('replace', id, [...head, encodeRest(record), ...(subject === null ? [] : [subject])])
  }

  /** The record gets another subject, or lives longer than its index entry: the entry must be there first. */
  async #replaceAnnounced(record: SessionRecord, expectedVersion: number, tag: string): Promise<WriteResult> {
    // Only records with a subject are in the index.
    if (!hasSubject(record)) throw new TypeError('a record without a subject is never uncovered')
    const { id, subject, expiresAt } = record
    await this.#subjects.announce(record)
    const reply = await this.#replace(record, expectedVersion, {
      tag,
      coveredUntil: this.#subjects.coverFor(expiresAt),
    })
    const result = this.#result(reply, id)
    if (result === 'done' && (await this.#subjects.confirm(subject, id, 0)) === 'ended') {
      await this.#subjects.end(subject, id)
    }
    return result
  }

  /** If a subject has lost the record, the reply contains the subject. */
  #result(reply: Reply, id: SessionId): WriteResult {
    if (!Array.isArray(reply)) return reply as WriteResult
    const [result, formerSubject] = reply as [WriteResult, string]
    this.#subjects.forgetSoon(formerSubject, id)
    return result
  }

  async #loadOf(id: SessionId, subject: string): Promise<SessionRecord | undefined> {
    const record = await this.load(id)
    return record?.subject === subject ? record : undefined
  }

  #onRecord(
    operation: 'replace' | 'touch' | 'remove',
    id: SessionId,
    args: readonly (string | number)[],
  ): Promise<Reply> {
    return this.#engine.run(operation, [this.#key(id)], [this.#clock(), ...args])
  }

  #key(id: SessionId): string {
    return this.#prefix + id
  }

  #nextTag(): string {
    return this.#writer + (++this.#writes).toString(36)
  }
}

type OwnedRecord = SessionRecord & { readonly subject: string }

function hasSubject(record: SessionRecord): record is OwnedRecord {
  return record.subject !== null
}

function refuseDuplicate(reply: Reply): Reply {
  if (reply === 'duplicate') throw duplicate()
  return reply
}

type OwnClient = ReturnType<RedisPackage['createClient']>

interface RedisPackage {
  createClient(options: object): RedisServerClient & {
    connect(): Promise<unknown>
    destroy(): void
    on(event: 'error', listener: (error: unknown) => void): unknown
    on(event: 'ready', listener: () => void): unknown
  }
}

function ownClient(url: string, timeout: number): OwnClient {
  const { createClient } = redisPackage()
  try {
    return createClient({
      url,
      disableOfflineQueue: true,
      // Finds a dead connection: a PING gets no answer, and then nothing is sent.
      pingInterval: timeout * 1000,
      socket: { connectTimeout: timeout * 1000, socketTimeout: 3 * timeout * 1000 },
    })
  } catch {
    // Without the cause, because it quotes the address, which may contain a password.
    throw new UsageError('ERR_STORE_OPTIONS', '`url` is not an address of Redis', {
      hint: "For example 'redis://localhost:6379', or 'rediss://user:password@host:6379/0' with TLS.",
    })
  }
}

/**
 * Connects, and warns once if that fails. Callers of the store get an error, too, but perhaps much later.
 *
 * @returns the first connection; the client keeps trying until it is destroyed
 */
function connect(client: OwnClient, topology: Topology): Promise<unknown> {
  let warned = false
  // Without a listener a failure would end the process.
  client.on('error', (error) => {
    const message = `${topology.nameOf('')} cannot be reached: ${reasonOf(error)}`
    if (!warned) process.emitWarning(message, { code: 'GATEPASS_STORE' })
    warned = true
  })
  client.on('ready', () => {
    warned = false
  })
  return client.connect().catch(() => {})
}

function redisPackage(): RedisPackage {
  try {
    return peerPackage('redis')
  } catch (cause) {
    throw new UsageError('ERR_STORE_OPTIONS', 'The package `redis` is not installed', {
      hint: 'Install it (npm install redis), or pass a `client`.',
      cause,
    })
  }
}

function checked(options: RedisStoreOptions): { prefix: string; timeout: number; clock: () => Timestamp } {
  const { client, url, prefix = 'gatepass:' } = options
  if ((client === undefined) === (url === undefined)) {
    throw new UsageError('ERR_STORE_OPTIONS', 'Pass either `client` or `url`')
  }
  if (typeof prefix !== 'string' || prefix === '') {
    throw new UsageError('ERR_STORE_OPTIONS', '`prefix` must be a text that no other keys begin with')
  }
  return { prefix, timeout: timeLimit(options.timeout), clock: storeClock(options.clock) }
}
