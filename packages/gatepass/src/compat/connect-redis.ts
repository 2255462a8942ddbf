import { sha1Hex } from '../crypto/sha1.ts'
import { causeOf } from '../stores/failure.ts'
import { Lookups } from '../stores/lookups.ts'
import { timeLimit } from '../stores/options.ts'
import { Engine, type Script } from '../stores/redis/engine.ts'
import { nextTick } from '../timers.ts'
import { connectionOf, type Send } from './connect-redis/client.ts'
import {
  type Anything,
  type Exchange,
  type Exchanged,
  exchange,
  type SessionLike,
  Store,
  type StoredSession,
} from './express-session/store.ts'

type Told = (error?: Anything, value?: Anything) => Anything

/** Writes sessions as text. Default: `JSON`. */
export interface Serializer {
  parse(text: string): Anything
  stringify(session: Anything): string
}

/** The options of connect-redis, and `timeout`. */
export interface RedisStoreOptions {
  /** A client of node-redis 4 or later, of ioredis, or of `redis` 3: for one server, Sentinel or a cluster. */
  client: Anything
  /** Default `sess:`. */
  prefix?: string | undefined
  /** Default 100. */
  scanCount?: number | undefined
  serializer?: Serializer | undefined
  /** Seconds that a session lasts if its cookie has no end, or a function that says for how long. Default a day. */
  ttl?: number | ((session: Anything) => number) | undefined
  disableTTL?: boolean | undefined
  disableTouch?: boolean | undefined
  /** Seconds within which Redis must answer. Default 2. */
  timeout?: number | undefined
}

/** Sessions of express-session in Redis: the records of connect-redis 6 to 10. */
export interface RedisStore extends Store {
  client: Anything
  prefix: string
  scanCount: number
  serializer: Serializer
  ttl: number | ((session: Anything) => number)
  disableTTL: boolean
  disableTouch: boolean
  readonly [exchange]: Exchange | undefined
  get(sid: string, callback?: Told): Promise<Anything>
  set(sid: string, session: Anything, callback?: Told): Promise<Anything>
  touch(sid: string, session: Anything, callback?: Told): Promise<Anything>
  destroy(sid: string, callback?: Told): Promise<Anything>
  clear(callback?: Told): Promise<Anything>
  length(callback?: Told): Promise<Anything>
  ids(callback?: Told): Promise<Anything>
  all(callback?: Told): Promise<Anything>
  /** Seconds until a session ends. */
  getTTL(session: Anything): number
}

/** The class, and the function that makes it of a session: `connectRedis(session)`, as in connect-redis up to 6. */
export interface RedisStoreClass {
  /** @throws {UsageError} `ERR_STORE_OPTIONS` */
  new (options: RedisStoreOptions): RedisStore
  (session: { readonly Store: Anything }): new (options: RedisStoreOptions) => RedisStore
  readonly prototype: RedisStore
}

/** How many keys one command removes. */
const MOST_AT_ONCE = 500

/** Replaces a text by another one if it is still there; '' is none. Answers 1, or with what is there instead. */
const exchangeText = `
local found = redis.call('GET', KEYS[1]) or ''
if found ~= ARGV[1] then return found end
if ARGV[2] == '' then redis.call('DEL', KEYS[1])
elseif ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
return 1`
const exchangeScript: Script = { text: exchangeText, name: sha1Hex(exchangeText) }

/** What the methods of connect-redis up to 6 answer. Later ones answer with nothing. */
interface Answers {
  readonly set: 'OK' | null
  readonly none: null | undefined
  touched(count: unknown): 'OK' | 'EXPIRED' | null
  removed(count: unknown): unknown
}

const today: Answers = { set: null, none: null, touched: () => null, removed: () => null }
const six: Answers = {
  set: 'OK',
  none: undefined,
  touched: (count) => (Number(count) === 1 ? 'OK' : 'EXPIRED'),
  removed: (count) => count,
}

/** @param Base what the store extends */
function storeClass(Base: typeof Store, answers: Answers): new (options: RedisStoreOptions) => RedisStore {
  class RedisStore extends Base {
    client: Anything
    prefix: string
    scanCount: number
    serializer: Serializer
    ttl: number | ((session: Anything) => number)
    disableTTL: boolean
    disableTouch: boolean
    readonly #engine: Engine
    readonly #lookups: Lookups<string, string>
    readonly #servers: () => Promise<readonly Send[]>
    readonly #exchange: Exchange | undefined

    constructor(options: RedisStoreOptions) {
      super(options)
      const { client, prefix, scanCount, serializer, ttl, disableTTL, disableTouch, timeout } = options ?? {}
      const { topology, servers, scripts } = connectionOf(client)
      this.client = client
      this.prefix = prefix ?? 'sess:'
      this.scanCount = Number(scanCount) || 100
      this.serializer = serializer || JSON
      this.ttl = ttl || 86_400
      this.disableTTL = disableTTL || false
      this.disableTouch = disableTouch || false
      this.#engine = new Engine({ topology, timeout: timeLimit(timeout) })
      this.#lookups = new Lookups(
        (keys) => this.#engine.get(keys),
        (key) => topology.groupOf(key),
      )
      this.#servers = servers
      const load = (sid: string) => this.#load(sid)
      this.#exchange = scripts ? { load, replace: (sid, change) => this.#replace(sid, change) } : undefined
    }

    get [exchange](): Exchange | undefined {
      const { get, set, destroy } = RedisStore.prototype
      return this.get === get && this.set === set && this.destroy === destroy ? this.#exchange : undefined
    }

    get(sid: string, callback?: Told): Promise<Anything> {
      return answer(async () => (await this.#load(sid))?.session ?? answers.none, callback)
    }

    set(sid: string, session: Anything, callback?: Told): Promise<Anything> {
      return answer(async () => {
        const { text, seconds } = this.#written(session)
        const key = this.prefix + sid
        if (text === '') return answers.removed(await this.#engine.command(key, ['DEL', key]))
        await this.#engine.command(key, ['SET', key, text, ...(seconds === '' ? [] : ['EX', seconds])])
        return answers.set
      }, callback)
    }

    touch(sid: string, session: Anything, callback?: Told): Promise<Anything> {
      return answer(async () => {
        if (this.disableTouch || this.disableTTL) return answers.none
        const key = this.prefix + sid
        return answers.touched(await this.#engine.command(key, ['EXPIRE', key, String(this.getTTL(session))]))
      }, callback)
    }

    destroy(sid: string, callback?: Told): Promise<Anything> {
      const key = this.prefix + sid
      return answer(async () => answers.removed(await this.#engine.command(key, ['DEL', key])), callback)
    }

    clear(callback?: Told): Promise<Anything> {
      return answer(async () => {
        let removed = 0
        for (const keys of Map.groupBy(await this.#keys(), (key) => this.#engine.topology.groupOf(key)).values()) {
          for (let from = 0; from < keys.length; from += MOST_AT_ONCE) {
            const some = keys.slice(from, from + MOST_AT_ONCE)
            removed += Number(await this.#engine.command(some[0] ?? '', ['DEL', ...some]))
          }
        }
        return answers.removed(removed)
      }, callback)
    }

    length(callback?: Told): Promise<Anything> {
      return answer(async () => (await this.#keys()).length, callback)
    }

    ids(callback?: Told): Promise<Anything> {
      return answer(async () => (await this.#keys()).map((key) => key.slice(this.prefix.length)), callback)
    }

    all(callback?: Told): Promise<Anything> {
      return answer(async () => {
        const ids = (await this.#keys()).map((key) => key.slice(this.prefix.length))
        const stored = await Promise.all(ids.map((sid) => this.#load(sid)))
        return stored.flatMap((one, n) => (one ? [Object.assign(one.session, { id: ids[n] })] : []))
      }, callback)
    }

    getTTL(session: Anything): number {
      if (typeof this.ttl === 'function') return this.ttl(session)
      const expires = session?.cookie?.expires
      return expires ? Math.ceil((Number(new Date(expires)) - Date.now()) / 1000) : this.ttl
    }

    async #load(sid: string): Promise<StoredSession | undefined> {
      const text = await this.#lookups.find(this.prefix + sid)
      return text ? this.#stored(text) : undefined
    }

    async #stored(text: string): Promise<StoredSession> {
      return { text, session: await this.serializer.parse(text) }
    }

    async #replace(
      sid: string,
      { from = '', to }: { from: string | undefined; to: SessionLike | undefined },
    ): Promise<Exchanged> {
      const { text, seconds } = to === undefined ? { text: '', seconds: '' } : this.#written(to)
      const reply = await this.#engine.evaluate(exchangeScript, [this.prefix + sid], [from, text, seconds])
      if (typeof reply !== 'string') return { done: true, text: text || undefined }
      return { done: false, instead: reply === '' ? undefined : await this.#stored(reply) }
    }

    /** What is stored for a session, and for how many seconds: '' without end. A session that has ended has no text. */
    #written(session: Anything): { text: string; seconds: string } {
      const ttl = this.getTTL(session)
      if (!(ttl > 0)) return { text: '', seconds: '' }
      return { text: this.serializer.stringify(session), seconds: this.disableTTL ? '' : String(ttl) }
    }

    async #keys(): Promise<string[]> {
      const pattern = `${this.prefix.replaceAll(/[*?[\]\\]/g, '\\$&')}*`
      const found = new Set<string>()
      for (const send of await this.#servers()) {
        let cursor = '0'
        do {
          const reply = await send(['SCAN', cursor, 'MATCH', pattern, 'COUNT', String(this.scanCount)])
          const [next, keys] = reply as [unknown, readonly string[]]
          cursor = String(next)
          for (const key of keys) found.add(key)
        } while (cursor !== '0')
      }
      return [...found]
    }
  }
  return RedisStore
}

/**
 * Answers by the callback if there is one, and by a promise without one, as connect-redis does. The error is the client's own, or a
 * `StoreError` of ours if Redis does not answer.
 */
function answer(work: () => Promise<unknown>, callback: Told | undefined): Promise<unknown> {
  const working = work().catch((error: unknown) => {
    throw causeOf(error)
  })
  if (typeof callback !== 'function') return working
  return working.then(
    (value) => nextTick(callback, null, value),
    (error: unknown) => nextTick(callback, error),
  )
}

const RedisStoreOfToday = storeClass(Store, today)

/**
 * Keeps sessions of express-session in Redis: connect-redis 10 as a class, connect-redis 6 as a function of a session. Its
 * records are theirs. Lookups that arrive together are one command, and the drop-in for express-session loses no write of
 * another process.
 */
export const RedisStore: RedisStoreClass = function RedisStore(first: Anything): unknown {
  return new.target ? Reflect.construct(RedisStoreOfToday, [first], new.target) : storeClass(first.Store, six)
} as never
Object.assign(RedisStore, { prototype: RedisStoreOfToday.prototype, RedisStore })
Object.setPrototypeOf(RedisStore, RedisStoreOfToday)
Object.defineProperty(RedisStore, 'default', { value: RedisStore })

// biome-ignore lint/style/noDefaultExport: as connect-redis up to 7 has it
export default RedisStore
export { RedisStore as 'module.exports' }
