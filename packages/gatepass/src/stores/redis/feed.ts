import type { ChangeListener, SessionId } from '../../session/store.ts'
import { HEARTBEAT, TRUSTED } from '../time-limit.ts'
import type { Announcer, RedisListener, Topology } from './client.ts'

/** Time to connect and begin listening, or to answer after all when no longer trusted, in milliseconds. */
const CONNECT_TIMEOUT = 2000
/** Time between two attempts to connect, in milliseconds. */
const RETRY_INTERVAL = 250

interface FeedOptions {
  /** The prefix of keys that hold records. The id follows it. */
  readonly prefix: string
  readonly listener: ChangeListener
}

/** Listens to every server of the topology, also to those that join later. */
export function listen(topology: Topology, options: FeedOptions): () => Promise<void> {
  const feed = new Feed(topology, options)
  return () => feed.end()
}

/** Reports `up` while the channels of all servers are open. */
class Feed {
  readonly #topology: Topology
  readonly #options: FeedOptions
  readonly #channels = new Map<string, Channel>()
  readonly #timer: NodeJS.Timeout
  #up = false

  constructor(topology: Topology, options: FeedOptions) {
    this.#topology = topology
    this.#options = options
    this.#follow()
    this.#timer = setInterval(() => this.#follow(), HEARTBEAT).unref()
  }

  async end(): Promise<void> {
    clearInterval(this.#timer)
    for (const channel of this.#channels.values()) channel.end()
    this.#channels.clear()
  }

  /** Opens and drops channels, because servers join and leave a cluster. */
  #follow(): void {
    const announcers = new Map(this.#topology.announcers().map((announcer) => [announcer.address, announcer]))
    for (const [address, channel] of this.#channels) {
      if (!announcers.has(address)) this.#drop(address, channel)
    }
    for (const [address, announcer] of announcers) {
      if (!this.#channels.has(address)) this.#channels.set(address, this.#open(announcer))
    }
    for (const channel of this.#channels.values()) channel.beat()
    this.#tell()
  }

  #open(announcer: Announcer): Channel {
    const { prefix, listener } = this.#options
    const changed = (key: string | undefined) => {
      if (key !== undefined) {
        if (key.startsWith(prefix)) listener.changed(key.slice(prefix.length) as SessionId)
        return
      }
      this.#lose()
      this.#tell()
    }
    return new Channel(announcer, { prefix, changed, turned: () => this.#tell() })
  }

  /** Drops a channel. The server's last announcements may have been missed. */
  #drop(address: string, channel: Channel): void {
    channel.end()
    this.#channels.delete(address)
    this.#lose()
  }

  #tell(): void {
    const channels = [...this.#channels.values()]
    if (channels.length === 0 || !channels.every(({ open }) => open)) this.#lose()
    else if (!this.#up) {
      this.#up = true
      this.#options.listener.up()
    }
  }

  #lose(): void {
    if (!this.#up) return
    this.#up = false
    this.#options.listener.down()
  }
}

interface ChannelOptions {
  readonly prefix: string
  /** @param key undefined if the server was emptied, so that all keys have changed */
  changed(key: string | undefined): void
  /** `open` has changed. */
  turned(): void
}

/** The announcements of one server, on a connection that is used for nothing else. */
class Channel {
  readonly #announcer: Announcer
  readonly #options: ChannelOptions
  #client: RedisListener | undefined
  #retry: NodeJS.Timeout | undefined
  #deadline: NodeJS.Timeout | undefined
  /** Whether the server has been told to announce on this connection. */
  #following = false
  open = false
  #ended = false

  constructor(announcer: Announcer, options: ChannelOptions) {
    this.#announcer = announcer
    this.#options = options
    void this.#connect()
  }

  /** Replies and announcements arrive in order, so after the answer to a PING no earlier announcement is missing. */
  beat(): void {
    const client = this.#client
    if (!this.#following || client === undefined) return
    const asked = performance.now()
    client.sendCommand(['PING']).then(
      () => this.#heard(client, asked),
      () => this.#fail(client),
    )
  }

  end(): void {
    this.#ended = true
    clearTimeout(this.#retry)
    this.#close()
  }

  async #connect(): Promise<void> {
    let client: RedisListener | undefined
    try {
      client = await this.#announcer.listener()
      if (this.#ended) return
      await this.#follow(client)
    } catch {
      this.#fail(client)
    }
  }

  async #follow(client: RedisListener): Promise<void> {
    this.#client = client
    const fail = () => this.#fail(client)
    // Every such event leads to a new connection, so that missed announcements are noticed.
    for (const event of ['error', 'end', 'reconnecting']) client.on(event, fail)
    client.on('invalidate', (key) => this.#options.changed(key === null ? undefined : String(key)))
    this.#deadline = setTimeout(fail, CONNECT_TIMEOUT).unref()
    await client.connect()
    // The client tracks the keys that it reads itself, and the server refuses to change the mode while tracking is on.
    await client.sendCommand(['CLIENT', 'TRACKING', 'OFF'])
    await client.sendCommand(['CLIENT', 'TRACKING', 'ON', 'BCAST', 'PREFIX', this.#options.prefix])
    if (client !== this.#client) return
    this.#following = true
    this.#heard(client, performance.now())
  }

  /** No announcement from before `asked` is missing. */
  #heard(client: RedisListener, asked: number): void {
    const left = asked + TRUSTED - performance.now()
    if (client !== this.#client || left <= 0) return
    clearTimeout(this.#deadline)
    this.#deadline = setTimeout(() => this.#doubt(client), left).unref()
    this.#turn(true)
  }

  /** The next answer ends the doubt, because perhaps this process was blocked. */
  #doubt(client: RedisListener): void {
    this.#deadline = setTimeout(() => this.#fail(client), CONNECT_TIMEOUT).unref()
    this.#turn(false)
  }

  #fail(client: RedisListener | undefined): void {
    if (client !== this.#client || this.#ended) return
    this.#close()
    this.#turn(false)
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => void this.#connect(), RETRY_INTERVAL).unref()
  }

  #turn(open: boolean): void {
    if (this.open === open) return
    this.open = open
    this.#options.turned()
  }

  #close(): void {
    const client = this.#client
    this.#client = undefined
    this.#following = false
    clearTimeout(this.#deadline)
    this.#deadline = undefined
    try {
      client?.destroy()
    } catch {
      // It was closed already.
    }
  }
}
