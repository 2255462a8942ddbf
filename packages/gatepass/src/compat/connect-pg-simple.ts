import { UsageError } from '../error.ts'
import { peerPackage } from '../peer-package.ts'
import { causeOf } from '../stores/failure.ts'
import { Lookups } from '../stores/lookups.ts'
import { timeLimit } from '../stores/options.ts'
import { engineOf, postgresErrors } from '../stores/postgres/driver.ts'
import { Connections } from '../stores/sql/connections.ts'
import { nextTick } from '../timers.ts'
import { tableDefinition } from './connect-pg-simple/table.ts'
import {
  type Anything,
  type Exchange,
  type Exchanged,
  exchange,
  type SessionLike,
  type Store,
  type StoredSession,
} from './express-session/store.ts'

type Told = (error?: Anything, value?: Anything) => unknown
type Row = Readonly<Record<string, unknown>>

/** The options of connect-pg-simple, and `timeout`. The first of `pool`, `pgPromise`, `conObject` and `conString` counts. */
export interface PGStoreOptions {
  /** A `Pool` of `pg`. The application closes it. */
  pool?: Anything
  /** A database of `pg-promise`. */
  pgPromise?: Anything
  /** Options of a `Pool` that the store makes and closes. Needs the package `pg`. */
  conObject?: object | undefined
  /** The same as an address. Default: the environment variable `DATABASE_URL`. */
  conString?: string | undefined
  /** Default: where the search path of the connections leads. */
  schemaName?: string | undefined
  /** Default `session`. */
  tableName?: string | undefined
  createTableIfMissing?: boolean | undefined
  disableTouch?: boolean | undefined
  /** Seconds that a session lasts if its cookie has no end. Default a day. */
  ttl?: number | undefined
  /** Gets errors of automatic pruning. Default `console.error`. */
  errorLog?: ((...words: Anything[]) => void) | undefined
  /** Seconds between two removals of expired sessions, or `false`. Default 15 minutes. */
  pruneSessionInterval?: number | false | undefined
  /** Makes the next delay from the interval, in milliseconds. Default: 0.5 to 1.5 times as long. `false`: exactly as long. */
  pruneSessionRandomizedInterval?: ((delay: number) => number) | false | undefined
  /** Seconds within which PostgreSQL must answer. Default 2. */
  timeout?: number | undefined
}

/** Sessions of express-session in PostgreSQL: the table of connect-pg-simple. */
export interface PGStore extends Store {
  ttl: number | undefined
  closed?: boolean
  pruneTimer: NodeJS.Timeout | undefined
  readonly [exchange]: Exchange | undefined
  get(sid: string, callback: Told): void
  set(sid: string, session: Anything, callback?: Told): void
  destroy(sid: string, callback?: Told): void
  touch(sid: string, session: Anything, callback?: Told): void
  /** Removes expired sessions. */
  pruneSessions(callback?: Told): void
  /** Ends the pruning, and a pool that the store has made. */
  close(): Promise<void>
  quotedTable(): string
  query(text: string, values?: Anything[] | Told, callback?: Told, noTableCreation?: boolean): void
}

/** The class of {@link PGStore}. */
export type PGStoreClass = new (options?: PGStoreOptions) => PGStore

const MINUTE = 60
const DAY = 86_400

/** Seconds since 1970, rounded up, as connect-pg-simple writes and compares them. */
const currentTimestamp = (): number => Math.ceil(Date.now() / 1000)

/**
 * Makes the store of a session, as connect-pg-simple 9 and 10 do: `new (connectPgSimple(session))({ pool })`. Its table is theirs.
 * Lookups that arrive together are one query, and the drop-in for express-session loses no write of another process.
 */
function connectPgSimple(session: { readonly Store?: Anything; readonly session?: Anything }): PGStoreClass {
  const Base: typeof Store = session.Store ?? session.session.Store

  class PGStore extends Base {
    ttl: number | undefined
    declare closed?: boolean
    declare pruneTimer: NodeJS.Timeout | undefined
    readonly #table: string
    readonly #options: PGStoreOptions
    readonly #errorLog: (...words: Anything[]) => void
    readonly #database: Connections<Database>
    readonly #end: () => Promise<void>
    readonly #pruneInterval: number | false
    readonly #statements: ReturnType<typeof statementsFor>
    readonly #lookups: Lookups<string, string>
    readonly #exchange: Exchange = {
      load: (sid) => this.#load(sid),
      replace: (sid, change) => this.#replace(sid, change),
    }
    #creation: Promise<void> | undefined

    constructor(options: PGStoreOptions = {}) {
      super(options)
      this.#options = options
      this.#table = tableOf(options)
      this.ttl = options.ttl
      this.#errorLog = options.errorLog ?? console.error.bind(console)
      const { database, engine, end } = databaseOf(options, this.#errorLog)
      this.#database = connectionsTo(database, { engine, timeout: timeLimit(options.timeout) })
      this.#end = end
      const { pruneSessionInterval } = options
      this.#pruneInterval = pruneSessionInterval === false ? false : (pruneSessionInterval || 15 * MINUTE) * 1000
      this.#lookups = new Lookups((sids) => this.#textsOf(sids))
      this.#statements = statementsFor(this.#table)
    }

    /** `undefined` if a subclass or a test has replaced what it would bypass. */
    get [exchange](): Exchange | undefined {
      const { get, set, destroy, query, _asyncQuery } = PGStore.prototype
      const own = this.get === get && this.set === set && this.destroy === destroy
      return own && this.query === query && this._asyncQuery === _asyncQuery ? this.#exchange : undefined
    }

    get(sid: string, callback: Told): void {
      this.#load(sid).then(
        (found) => nextTick(callback, null, found?.session),
        (error: unknown) => nextTick(callback, causeOf(error)),
      )
    }

    set(sid: string, session: Anything, callback?: Told): void {
      this.#initPruneTimer()
      const text = `INSERT INTO ${this.#table} (sess, expire, sid) SELECT $1, to_timestamp($2), $3
        ON CONFLICT (sid) DO UPDATE SET sess = $1, expire = to_timestamp($2) RETURNING sid`
      this.query(text, [session, this.#expiryOf(session), sid], (error) => callback?.(error))
    }

    destroy(sid: string, callback?: Told): void {
      this.#initPruneTimer()
      this.query(`DELETE FROM ${this.#table} WHERE sid = $1`, [sid], (error) => callback?.(error))
    }

    touch(sid: string, session: Anything, callback?: Told): void {
      this.#initPruneTimer()
      if (this.#options.disableTouch) {
        callback?.(null)
        return
      }
      const text = `UPDATE ${this.#table} SET expire = to_timestamp($1) WHERE sid = $2 RETURNING sid`
      this.query(text, [this.#expiryOf(session), sid], (error) => callback?.(error))
    }

    pruneSessions(callback?: Told): void {
      this.query(`DELETE FROM ${this.#table} WHERE expire < to_timestamp($1)`, [currentTimestamp()], (error) => {
        if (typeof callback === 'function') return callback(error)
        if (error) this.#errorLog('Failed to prune sessions:', error)
        this.#clearPruneTimer()
        return this.#initPruneTimer()
      })
    }

    async close(): Promise<void> {
      this.closed = true
      this.#clearPruneTimer()
      await this.#end()
    }

    quotedTable(): string {
      return this.#table
    }

    query(text: string, values?: Anything[] | Told, callback?: Told, noTableCreation?: boolean): void {
      if (typeof values === 'function' && callback) throw new Error('Two callback functions set at once')
      const [params, told] = typeof values === 'function' ? [[], values] : [values ?? [], callback]
      const querying = this._asyncQuery(text, params, noTableCreation)
      if (told === undefined) querying.catch(() => undefined)
      else {
        querying.then(
          (row) => nextTick(told, null, row),
          (error: unknown) => nextTick(told, error || new Error('Promise was rejected with falsy value')),
        )
      }
    }

    // The names of connect-pg-simple, which its own tests and some applications use.

    async _asyncQuery(text: string, values: Anything[] = [], noTableCreation?: boolean): Promise<Row | undefined> {
      try {
        return (await this.#rows(text, values, noTableCreation))[0]
      } catch (error) {
        throw causeOf(error)
      }
    }

    async _ensureSessionStoreTable(noTableCreation?: boolean): Promise<void> {
      if (noTableCreation || !this.#options.createTableIfMissing) return
      this.#creation ??= this._rawEnsureSessionStoreTable().catch((error: unknown) => {
        this.#creation = undefined
        throw error
      })
      await this.#creation
    }

    async _rawEnsureSessionStoreTable(): Promise<void> {
      const found = await this._asyncQuery('SELECT to_regclass($1::text)', [this.#table], true)
      if (found?.to_regclass === null) await this._asyncQuery(tableDefinition(this.#table), [], true)
    }

    async #rows(text: string, values: Anything[], noTableCreation?: boolean): Promise<readonly Row[]> {
      if (this.#options.createTableIfMissing) await this._ensureSessionStoreTable(noTableCreation)
      return this.#database.use((database) => database(text, values))
    }

    #expiryOf(session: Anything): number {
      const expires = session?.cookie?.expires
      const end = expires ? new Date(expires).valueOf() : Date.now() + (this.ttl || DAY) * 1000
      return Math.ceil(end / 1000)
    }

    async #load(sid: string): Promise<StoredSession | undefined> {
      this.#initPruneTimer()
      const text = await this.#lookups.find(sid)
      if (text === undefined) return undefined
      try {
        return storedSession(text)
      } catch {
        // As in connect-pg-simple, what cannot be read is removed.
        await this.#rows(`DELETE FROM ${this.#table} WHERE sid = $1`, [sid])
        return undefined
      }
    }

    async #textsOf(sids: readonly string[]): Promise<Map<string, string>> {
      const rows = await this.#rows(this.#statements.load, [sids, currentTimestamp()])
      return new Map(rows.map(({ sid, sess }) => [sid as string, sess as string]))
    }

    async #replace(
      sid: string,
      { from, to }: { from: string | undefined; to: SessionLike | undefined },
    ): Promise<Exchanged> {
      this.#initPruneTimer()
      const { insert, update, remove } = this.#statements
      const values = [sid, currentTimestamp(), ...(from === undefined ? [] : [from])]
      if (to !== undefined) values.push(to as Anything, this.#expiryOf(to))
      const statement = to === undefined ? remove : from === undefined ? insert : update
      for (;;) {
        const [row] = await this.#rows(statement, values)
        if (row === undefined) return { done: false, instead: undefined }
        const text = row.sess as string
        if (row.done) return { done: true, text: to && text }
        // Another transaction changed the session while the statement ran. Only the next statement sees the result of that.
        if (text !== from) return { done: false, instead: storedSession(text) }
      }
    }

    #initPruneTimer(): void {
      const interval = this.#pruneInterval
      if (!interval || this.closed || this.pruneTimer) return
      const { pruneSessionRandomizedInterval: randomized } = this.#options
      const spread = (delay: number) => Math.ceil(delay / 2 + delay * Math.random())
      const delay = randomized === false ? interval : (randomized || spread)(interval)
      this.pruneTimer = setTimeout(() => this.pruneSessions(), delay)
      this.pruneTimer.unref()
    }

    #clearPruneTimer(): void {
      clearTimeout(this.pruneTimer)
      this.pruneTimer = undefined
    }
  }
  return PGStore
}

function storedSession(text: string): StoredSession {
  return { text, session: JSON.parse(text) as SessionLike }
}

/** Of the options: the table's name as SQL. */
function tableOf({ schemaName, tableName = 'session' }: PGStoreOptions): string {
  const [, schema, table] = (schemaName ? undefined : /^([^"]+)"\."([^"]+)$/.exec(tableName)) ?? []
  if (schema !== undefined && table !== undefined) {
    const message = 'A schema in `tableName` of connect-pg-simple is deprecated; give it as `schemaName`'
    process.emitWarning(message, 'DeprecationWarning')
    return `"${schema}"."${table}"`
  }
  return [schemaName, tableName]
    .filter((name) => name)
    .map((name) => `"${name?.replaceAll('"', '""')}"`)
    .join('.')
}

/**
 * Statements that compare. Each answers with the text that is stored: `done`, or what is there instead. All name the session by $1,
 * the current time by $2 and the text that is expected by $3.
 */
function statementsFor(table: string) {
  const live = 'sid = $1 AND expire >= to_timestamp($2)'
  const otherwise = `SELECT sess, true AS done FROM written
    UNION ALL SELECT sess::text, false FROM ${table} WHERE ${live} AND NOT EXISTS (SELECT FROM written)`
  const written = (statement: string) => `WITH written AS (${statement}) ${otherwise}`
  return {
    load: `SELECT sid, sess::text AS sess FROM ${table}
      WHERE sid = ANY ($1::varchar[]) AND expire >= to_timestamp($2)`,
    // Replaces an expired session that is not pruned yet.
    insert: written(`INSERT INTO ${table} AS old (sid, sess, expire) VALUES ($1, $3, to_timestamp($4))
      ON CONFLICT (sid) DO UPDATE SET sess = excluded.sess, expire = excluded.expire
      WHERE old.expire < to_timestamp($2) RETURNING sess::text AS sess`),
    update: written(`UPDATE ${table} SET sess = $4, expire = to_timestamp($5)
      WHERE ${live} AND sess::text = $3 RETURNING sess::text AS sess`),
    remove: written(`DELETE FROM ${table} WHERE ${live} AND sess::text = $3 RETURNING sess::text AS sess`),
  }
}

// ── the database ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** Runs a query and gives its rows. */
type Database = (text: string, values: Anything[]) => Promise<readonly Row[]>

/** A pool lends its connections by itself, and keeps one that hangs until it answers. */
function connectionsTo(
  database: Database,
  { engine, timeout }: { engine: string; timeout: number },
): Connections<Database> {
  const lease = { connection: database, release: () => {}, discard: () => {} }
  return new Connections({
    engine,
    timeout,
    errors: postgresErrors,
    lend: async () => lease,
    migrate: async () => {},
    ask: (ask) => ask('SELECT 1', []),
  })
}

interface Source {
  readonly database: Database
  readonly engine: string
  end(): Promise<void>
}

/** @throws {UsageError} `ERR_STORE_OPTIONS` */
function databaseOf(options: PGStoreOptions, errorLog: (...words: Anything[]) => void): Source {
  const { pool, pgPromise, conObject, conString = process.env.DATABASE_URL } = options
  const keep = async () => {}
  if (pool !== undefined) return { database: queryOf(pool), engine: engineOf({ pool }), end: keep }
  if (pgPromise !== undefined) {
    if (typeof pgPromise.any !== 'function') {
      throw new UsageError('ERR_STORE_OPTIONS', '`pgPromise` is not a database of pg-promise', {
        hint: 'Pass what `pgp(connection)` gives, for example. It has a method `any`.',
      })
    }
    return { database: (text, values) => pgPromise.any(text, values), engine: 'PostgreSQL', end: keep }
  }
  const own = new (peerPackage<Anything>('pg').Pool)(conObject || (conString ? { connectionString: conString } : {}))
  own.on('error', (error: unknown) => errorLog('PG Pool error:', error))
  return { database: queryOf(own), engine: engineOf({ pool: own }), end: () => own.end() }
}

function queryOf(pool: Anything): Database {
  return async (text, values) => (await pool.query(text, values))?.rows ?? []
}

Object.defineProperty(connectPgSimple, 'default', { value: connectPgSimple })

// biome-ignore lint/style/noDefaultExport: as connect-pg-simple has it
export default connectPgSimple
export { connectPgSimple as 'module.exports' }
