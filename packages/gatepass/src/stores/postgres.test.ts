import { inspect } from 'node:util'
import type { SessionId } from 'gatepass/session'
import { type PostgresStore, type PostgresStoreOptions, postgresStore } from 'gatepass/stores/postgres'
import { storeSuite } from 'gatepass/testing'
import { Client, Pool, type PoolClient } from 'pg'
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { eventually } from '../../test/engines/until.ts'
import { unavailable } from '../../test/engines/visitors.ts'
import { Heard } from '../../test/stores/heard.ts'
import { LIFETIME, misused, sqlServer } from '../../test/stores/sql-server.ts'

const connection = { host: '127.0.0.1', user: 'root', database: 'test' }
const pool = new Pool({ ...connection, max: 10 })
const server = await sqlServer('PostgreSQL answers on 127.0.0.1:5432', () => pool.query('SELECT 1'))
const { absent, here, runner, clock, freshTable, session } = server
afterAll(() => pool.end())

const stores: { store: PostgresStore; table: string; schema: string | undefined }[] = []
function open(options: Partial<PostgresStoreOptions> = {}): PostgresStore & { table: string } {
  const { table = freshTable(), schema } = options
  const source = options.client ? {} : { pool }
  const store = postgresStore({ ...source, clock, ...options, table })
  stores.push({ store, table, schema })
  return Object.assign(store, { table })
}

/** The server's number of the only connection of a pool. */
async function backend(pool: Pool): Promise<unknown> {
  return (await pool.query('SELECT pg_backend_pid() AS pid')).rows[0]?.pid
}

/** A connection that is ended after the test, and its transaction with it. */
async function borrow(): Promise<PoolClient> {
  const client = await pool.connect()
  borrowed.push(client)
  return client
}
const borrowed: PoolClient[] = []

async function dropAll(): Promise<void> {
  for (const client of borrowed.splice(0)) client.release(true)
  for (const { store, table, schema } of stores.splice(0)) {
    await store.close()
    const prefix = schema === undefined ? '' : `"${schema}".`
    await pool.query(`DROP TABLE IF EXISTS ${prefix}"${table}", ${prefix}"${table}_schema" CASCADE`)
    for (const name of ['lock', 'insert', 'remove']) {
      await pool.query(`DROP FUNCTION IF EXISTS ${prefix}"${table}_${name}" CASCADE`)
    }
  }
}

storeSuite(
  `postgresStore on a pool${here}`,
  ({ clock }) => {
    const table = freshTable()
    return { store: open({ table, clock }), second: open({ table, clock }), close: dropAll }
  },
  runner,
)

storeSuite(
  `postgresStore on one client, announcing${here}`,
  async ({ clock }) => {
    const client = new Client(connection)
    await client.connect()
    const store = open({ client, clock, announce: true })
    const close = async () => {
      await dropAll()
      await client.end()
    }
    return { store, close }
  },
  runner,
)

describe.skipIf(absent)(`postgresStore${here}`, () => {
  afterEach(dropAll)

  describe('its tables', () => {
    test('are made once, however many processes start at the same moment', async () => {
      const table = freshTable()
      const starting = Array.from({ length: 8 }, () => open({ table }))
      await Promise.all(starting.map((store) => store.migrate()))
      const record = session()
      await starting[0]?.insert(record)
      expect(await starting[7]?.load(record.id)).toEqual(record)
    })

    test('are not made before the first operation', async () => {
      const { table } = open()
      expect(await tableExists(table)).toBe(false)
    })

    test('may lie in a schema of their own, which is made as well', async () => {
      const schema = freshTable()
      const [one, two] = [open({ schema, table: 'sessions' }), open()]
      const record = session({ subject: 'u' })
      await one.insertWithin(record, 1)
      expect(await two.load(record.id)).toBeUndefined()
      expect(await one.removeBySubject('u')).toBe(1)
      await dropAll()
      await pool.query(`DROP SCHEMA "${schema}"`)
    })

    test('that a later version has written are refused and stay as they are', async () => {
      const store = open()
      await store.migrate()
      await pool.query(`UPDATE "${store.table}_schema" SET version = 99`)
      const older = open({ table: store.table })
      await expect(older.load(session().id)).rejects.toMatchObject({ code: 'ERR_STORE_SCHEMA', status: 503 })
      const { rows } = await pool.query(`SELECT version FROM "${store.table}_schema"`)
      expect(rows).toEqual([{ version: 99 }])
    })

    test('need no right to create tables once they are there', async () => {
      const store = open()
      await store.migrate()
      const reading = new Pool({ ...connection, options: '-c default_transaction_read_only=on' })
      const reader = open({ pool: reading, table: store.table })
      expect(await reader.load(session().id)).toBeUndefined()
      await reader.close()
      await reading.end()
    })

    test('are unlogged if that is asked for', async () => {
      const [logged, unlogged] = [open(), open({ unlogged: true })]
      await Promise.all([logged.migrate(), unlogged.migrate()])
      expect(await persistence(logged.table)).toBe('p')
      expect(await persistence(unlogged.table)).toBe('u')
    })

    test('are made by the next operation when the first one could not', async () => {
      const store = open()
      const refusing = vi.spyOn(pool, 'connect').mockImplementationOnce(() => Promise.reject(new Error('refused')))
      await expect(store.load(session().id)).rejects.toEqual(unavailable)
      refusing.mockRestore()
      expect(await store.load(session().id)).toBeUndefined()
    })
  })

  test('a migration whose connection is lost reports that, and not the roll-back that failed after it', async () => {
    const own = new Pool({ ...connection, max: 1 })
    const store = open({ pool: own })
    const other = await borrow()
    await other.query('BEGIN')
    await other.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`gatepass ${store.table}`])
    const id = await backend(own)
    const migrating = store.migrate().catch((error: unknown) => error)
    await waitingForLocks(1)
    await pool.query('SELECT pg_terminate_backend($1)', [id])
    expect(await migrating).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', cause: { code: '57P01' } })
    await store.close()
    await own.end()
  })

  test('closing the store takes its own listeners off the pool or the client, however often it is closed', async () => {
    const [own, client] = [new Pool(connection), new Client(connection)]
    for (const source of [{ pool: own }, { client }]) {
      const emitter = own === source.pool ? own : client
      const before = emitter.listenerCount('error')
      const [store, other] = [postgresStore(source), postgresStore(source)]
      await store.close()
      await store.close()
      expect(emitter.listenerCount('error')).toBe(before + 1)
      await other.close()
      expect(emitter.listenerCount('error')).toBe(before)
    }
    await own.end()
  })

  test('connections whose transactions keep their snapshot are refused', async () => {
    const strict = new Pool({ ...connection, options: '-c default_transaction_isolation=serializable' })
    await expect(open({ pool: strict }).migrate()).rejects.toEqual(misused)
    await strict.end()
  })

  describe('reads', () => {
    test('of one turn of the event loop are one query, which names each id once', async () => {
      const store = open()
      const records = [session(), session(), session()]
      for (const record of records) await store.insert(record)
      const queries = await queriesDuring(async () => {
        const ids = [...records, ...records].map(({ id }) => id)
        const loaded = await Promise.all([...ids, session().id].map((id) => store.load(id)))
        expect(loaded).toEqual([...records, ...records, undefined])
        expect(loaded[0]).not.toBe(loaded[3])
      })
      expect(queries).toHaveLength(1)
      expect(queries[0]?.values?.[0]).toHaveLength(4)
    })

    test('of one turn that are very many are several queries', async () => {
      const store = open()
      await store.migrate()
      const ids = Array.from({ length: 1200 }, () => session().id)
      const queries = await queriesDuring(() => Promise.all(ids.map((id) => store.load(id))))
      expect(queries.map(({ values }) => (values?.[0] as string[] | undefined)?.length)).toEqual([500, 500, 200])
    })

    test('that fail together fail each with an error of the store', async () => {
      const store = open()
      await store.migrate()
      await pool.query(`DROP TABLE "${store.table}" CASCADE`)
      const results = await Promise.allSettled([session().id, session().id].map((id) => store.load(id)))
      expect(results).toEqual([
        { status: 'rejected', reason: unavailable },
        { status: 'rejected', reason: unavailable },
      ])
    })
  })

  test('every write is one round trip, whatever its answer', async () => {
    const store = open()
    const [a, b] = [session({ subject: 'u' }), session({ subject: 'u' })]
    await store.insert(session())
    const queries = await queriesDuring(async () => {
      await store.insert(a)
      expect(await store.replace({ ...a, version: 2 }, 1)).toBe('done')
      expect(await store.replace({ ...a, version: 2 }, 1)).toBe('conflict')
      expect(await store.remove(a.id, 1)).toBe('conflict')
      expect(await store.remove(session().id, 1)).toBe('gone')
      expect(await store.touch(a.id, clock() + 1, clock() + LIFETIME)).toBe('done')
      expect(await store.insertWithin(b, 1)).toBe(1)
      expect(await store.removeBySubject('u')).toBe(1)
    })
    expect(queries).toHaveLength(8)
    expect(queries.every(({ name }) => name !== undefined && name.length <= 63)).toBe(true)
  })

  describe('at the same moment on several connections', () => {
    test('a write that waited for a removal finds the record gone, not in conflict', async () => {
      const store = open()
      const record = session()
      await store.insert(record)
      const other = await borrow()
      await other.query('BEGIN')
      await other.query(`DELETE FROM "${store.table}" WHERE id = $1`, [record.id])
      const [replacing, removing] = [store.replace({ ...record, version: 2 }, 1), store.remove(record.id, 1)]
      await waitingForLocks(2)
      await other.query('COMMIT')
      expect(await Promise.all([replacing, removing])).toEqual(['gone', 'gone'])
    })

    test('a write that waited for another one is in conflict with it', async () => {
      const store = open()
      const record = session()
      await store.insert(record)
      const other = await borrow()
      await other.query('BEGIN')
      await other.query(`UPDATE "${store.table}" SET version = 2 WHERE id = $1`, [record.id])
      const replacing = store.replace({ ...record, version: 2 }, 1)
      await waitingForLocks(1)
      await other.query('COMMIT')
      expect(await replacing).toBe('conflict')
    })

    test('no login gets past the limit of a subject', async () => {
      const table = freshTable()
      const pools = Array.from({ length: 4 }, () => new Pool({ ...connection, max: 5 }))
      const processes = pools.map((pool) => open({ pool, table }))
      await processes[0]?.migrate()
      for (let round = 0; round < 5; round++) {
        const logins = Array.from({ length: 40 }, (_, n) =>
          (processes[n % 4] ?? processes[0])?.insertWithin(session({ subject: 'u', createdAt: clock() + n }), 3),
        )
        await Promise.all(logins)
        expect(await processes[0]?.listBySubject('u')).toHaveLength(3)
      }
      await dropAll()
      await Promise.all(pools.map((pool) => pool.end()))
    })

    test('a session that is moved to another id does not outlive the removal of all', async () => {
      const store = open()
      const old = session({ subject: 'u' })
      await store.insert(old)
      // Another process is in the middle of its insert: it has the lock of the subject, and has not committed.
      const other = await borrow()
      const moved = session({ subject: 'u' })
      await other.query('BEGIN')
      await other.query(`SELECT "${store.table}_insert"($1, 'h', 1, 'u', '{}', '{}', $2, $2, $3, $2, NULL, NULL)`, [
        moved.id,
        clock(),
        moved.expiresAt,
      ])
      const removing = store.removeBySubject('u')
      await waitingForLocks(1)
      await other.query('COMMIT')
      expect(await store.remove(old.id, 1)).toMatch(/done|gone/)
      await removing
      expect(await store.listBySubject('u')).toEqual([])
    })

    test('sweepers pass each other by, and leave what somebody is writing to', async () => {
      const store = open()
      const records = Array.from({ length: 20 }, () => session())
      for (const record of records) await store.insert(record)
      clock.advance(LIFETIME / 1000)
      const other = await borrow()
      await other.query('BEGIN')
      await other.query(`SELECT FROM "${store.table}" WHERE id = ANY ($1) FOR UPDATE`, [
        records.slice(0, 5).map(({ id }) => id),
      ])
      await store.sweep()
      expect(await countRows(store.table)).toBe(5)
      await other.query('COMMIT')
      await store.sweep()
      expect(await countRows(store.table)).toBe(0)
    })
  })

  test('a statement that the server undid to end a deadlock is sent again, and not for ever', async () => {
    const store = open()
    const record = session()
    await store.insert(record)
    await pool.query(`CREATE SEQUENCE "${store.table}_n" OWNED BY "${store.table}".id`)
    await pool.query(`CREATE FUNCTION "${store.table}_fail"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF nextval('"${store.table}_n"') <= TG_ARGV[0]::int THEN RAISE EXCEPTION 'undone' USING ERRCODE = '40P01'; END IF;
      RETURN NEW; END $$`)
    const failing = (times: number) =>
      pool.query(`CREATE OR REPLACE TRIGGER fail BEFORE UPDATE ON "${store.table}" FOR EACH ROW
        EXECUTE FUNCTION "${store.table}_fail"(${times})`)
    await failing(3)
    expect(await store.replace({ ...record, version: 2 }, 1)).toBe('done')
    await failing(1000)
    await expect(store.replace({ ...record, version: 3 }, 2)).rejects.toEqual(unavailable)
    await pool.query(`DROP TRIGGER fail ON "${store.table}"`)
    await pool.query(`DROP FUNCTION "${store.table}_fail" CASCADE`)
  })

  test('what an integrity rule of the database refuses is not quoted in the error', async () => {
    const store = open()
    await store.migrate()
    await pool.query(`ALTER TABLE "${store.table}" ADD CHECK (data NOT LIKE '%no%')`)
    const error = await store.insert(session({ data: 'no, secret' })).catch((error: unknown) => error)
    expect(error).toEqual(unavailable)
    expect((error as Error).cause).toMatchObject({ code: '23514', detail: undefined })
  })

  test('a touch moves no entry of an index (HOT)', async () => {
    const store = open()
    const records = Array.from({ length: 50 }, () => session({ subject: 'u', data: 'x'.repeat(600) }))
    for (const record of records) await store.insert(record)
    for (let n = 1; n <= 20; n++) {
      for (const { id } of records) await store.touch(id, clock() + n, clock() + LIFETIME + n)
    }
    expect(await hotShare(store.table)).toBeGreaterThan(0.9)
  })

  describe('a limit of time', () => {
    test('ends an operation that has to wait, and its connection is not used again', async () => {
      const own = new Pool({ ...connection, max: 1 })
      const store = open({ pool: own, timeout: 0.3 })
      const record = session()
      await store.insert(record)
      const other = await borrow()
      await other.query('BEGIN')
      await other.query(`LOCK TABLE "${store.table}"`)
      const before = await backend(own)
      await expect(store.load(record.id)).rejects.toEqual(unavailable)
      await other.query('COMMIT')
      expect(await store.load(record.id)).toEqual(record)
      expect(await backend(own)).not.toBe(before)
      await store.close()
      await own.end()
    })

    test('ends the first operation, too, while the tables cannot be made', async () => {
      const own = new Pool({ ...connection, max: 1 })
      const store = open({ pool: own, timeout: 0.2 })
      const taken = await own.connect()
      await expect(store.load(session().id)).rejects.toEqual(unavailable)
      taken.release()
      expect(await store.load(session().id)).toBeUndefined()
      await store.close()
      await own.end()
    })

    test('ends waiting for a pool that has no connection left, which goes back when it comes', async () => {
      const own = new Pool({ ...connection, max: 1 })
      const store = open({ pool: own, timeout: 0.2 })
      await store.migrate()
      const taken = await own.connect()
      await expect(store.load(session().id)).rejects.toEqual(unavailable)
      taken.release()
      expect(await store.load(session().id)).toBeUndefined()
      expect([own.totalCount, own.idleCount]).toEqual([1, 1])
      await store.close()
      await own.end()
    })

    test('of an operation that waits for a lock is no word about the server: others are served', async () => {
      const store = open({ timeout: 0.3 })
      const [locked, free] = [session(), session()]
      await store.insert(locked)
      await store.insert(free)
      const other = await borrow()
      await other.query('BEGIN')
      await other.query(`SELECT FROM "${store.table}" WHERE id = $1 FOR UPDATE`, [locked.id])
      await expect(store.touch(locked.id, clock(), clock() + LIFETIME)).rejects.toEqual(unavailable)
      expect(await store.touch(free.id, clock(), clock() + LIFETIME)).toBe('done')
      expect(await store.load(locked.id)).toEqual(locked)
    })

    test('keeps a single client away from everybody until it has answered after all', async () => {
      const client = new Client(connection)
      await client.connect()
      const store = open({ client, timeout: 0.2 })
      const record = session()
      await store.insert(record)
      const other = await borrow()
      await other.query('BEGIN')
      await other.query(`LOCK TABLE "${store.table}"`)
      await expect(store.load(record.id)).rejects.toEqual(unavailable)
      await expect(store.remove(record.id)).rejects.toEqual(unavailable)
      await other.query('COMMIT')
      await eventually(async () => expect(await store.load(record.id)).toEqual(record))
      await client.end()
    })
  })

  test.each([
    { host: '127.0.0.1', port: 1, database: 'app', user: 'app', password: 'hunter2' },
    { connectionString: 'postgres://app:hunter2@127.0.0.1:1/app' },
  ])(
    'a server that cannot be reached is named with its address and the reason, and without the password',
    async (to) => {
      const nowhere = new Pool(to)
      const store = postgresStore({ pool: nowhere })
      const failure = await store.load(session().id).catch((error: unknown) => error)
      expect(failure).toEqual(unavailable)
      expect(failure).toMatchObject({
        message: 'PostgreSQL at 127.0.0.1:1/app cannot be reached: ECONNREFUSED',
        cause: { code: 'ECONNREFUSED' },
      })
      expect(inspect(failure, { depth: 9 })).not.toContain('hunter2')
      await store.close()
      await nowhere.end()
    },
  )

  describe('sweeping', () => {
    test('deletes what has expired, a few at a time, and leaves what was touched until its last expiry', async () => {
      const store = open()
      await store.migrate()
      await pool.query(
        `INSERT INTO "${store.table}" SELECT 'x' || n, 'h', 1, NULL, '', '', 0, 0, $1, $1 FROM generate_series(1, 700) n`,
        [clock() + LIFETIME],
      )
      const touched = session()
      await store.insert(touched)
      await store.touch(touched.id, clock(), clock() + 2 * LIFETIME)
      clock.advance(LIFETIME / 1000)
      const queries = await queriesDuring(() => store.sweep())
      expect(queries.length).toBeGreaterThan(1)
      expect(await countRows(store.table)).toBe(1)
      expect(await store.load(touched.id)).toBeDefined()
      clock.advance(LIFETIME / 1000)
      await store.sweep()
      expect(await countRows(store.table)).toBe(0)
    })
  })

  test('while another process sweeps, this one does not', async () => {
    const store = open()
    await store.insert(session())
    clock.advance(LIFETIME / 1000)
    const other = await borrow()
    const lock = `hashtextextended('gatepass sweep ' || '"${store.table}"'::regclass::oid, 0)`
    await other.query(`SELECT pg_advisory_lock(${lock})`)
    await store.sweep()
    expect(await countRows(store.table)).toBe(1)
    await other.query(`SELECT pg_advisory_unlock(${lock})`)
    await store.sweep()
    expect(await countRows(store.table)).toBe(0)
  })

  describe('what is announced', () => {
    test('is every record that is replaced, touched or removed, by whatever way', async () => {
      const table = freshTable()
      const [store, other] = [open({ table, announce: true }), open({ table, announce: true })]
      await store.migrate()
      const heard = new Heard()
      const end = store.subscribe(heard)
      await eventually(() => expect(heard.all).toEqual(['up']))
      const [a, b, c, d] = [1, 2, 3, 4].map((n) => session({ subject: 'u', createdAt: clock() + n }))
      if (!a || !b || !c || !d) throw new Error('four sessions')
      const writes: [() => Promise<unknown>, SessionId[]][] = [
        [() => other.insert(a), []],
        [() => other.replace({ ...a, version: 2 }, 1), [a.id]],
        [() => other.replace({ ...a, version: 2 }, 1), []],
        [() => other.touch(a.id, clock() + 1, clock() + LIFETIME), [a.id]],
        [() => other.insertWithin(b, 1), [a.id]],
        [() => other.insert(c), []],
        [() => other.removeBySubject('u', c.id), [b.id]],
        [() => other.remove(c.id, 1), [c.id]],
        [() => other.insert(d), []],
        [() => store.remove(d.id), [d.id]],
      ]
      for (const [write, expected] of writes) {
        heard.all.length = 0
        await write()
        await pool.query(`SELECT pg_notify('gatepass ${table}', 'end')`)
        await eventually(() => expect(heard.all).toContain('end'))
        expect(heard.all).toEqual([...expected, 'end'])
      }
      heard.all.length = 0
      await end()
      expect(heard.all).toEqual(['down'])
    })

    test('is not to be had without `announce`, or without a pool', () => {
      const client = new Client(connection)
      expect(() => open().subscribe(new Heard())).toThrow(misused)
      expect(() => postgresStore({ client, announce: true }).subscribe(new Heard())).toThrow(misused)
    })

    test('is in doubt as soon as the connection is lost, and certain again on the next one', async () => {
      const name = freshTable()
      const own = new Pool({ ...connection, application_name: name })
      const store = open({ pool: own, announce: true })
      const record = session()
      await store.insert(record)
      const heard = new Heard()
      const end = store.subscribe(heard)
      await eventually(() => expect(heard.all).toEqual(['up']))
      await pool.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [name])
      await eventually(() => expect(heard.all).toEqual(['up', 'down', 'up']))
      await store.remove(record.id)
      await eventually(() => expect(heard.all).toEqual(['up', 'down', 'up', record.id]))
      await end()
      await own.end()
    })
  })
})

describe('options', () => {
  test('that are no plain names never reach SQL', () => {
    for (const name of ['', '1a', 'a b', 'a"b', "a'b", 'a;DROP TABLE x', 'ä', 'a'.repeat(49)]) {
      expect(() => postgresStore({ pool, table: name })).toThrow(misused)
      expect(() => postgresStore({ pool, schema: name })).toThrow(misused)
    }
  })

  test('have either a pool or a client, and a limit of time above 0', () => {
    const client = new Client(connection)
    expect(() => postgresStore({})).toThrow(misused)
    expect(() => postgresStore({ pool, client })).toThrow(misused)
    expect(() => postgresStore({ pool: {} as never })).toThrow(misused)
    for (const timeout of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => postgresStore({ pool, timeout })).toThrow(misused)
    }
  })
})

describe('the timer of sweeping', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  const answering = (rows: unknown[][]) => {
    const query = vi.fn(async ({ text }: { text: string }) => {
      const isolation = text.includes('transaction_isolation')
      return { rows: isolation ? [['read committed']] : text.includes('version FROM') ? [[1]] : rows, rowCount: 1 }
    })
    const client = { query, on: () => {}, removeListener: () => {}, release: () => {} }
    const sweeps = () => query.mock.calls.filter(([{ text }]) => text.includes('SKIP LOCKED')).length
    return { sweeps, pool: { connect: async () => client, on: () => {}, removeListener: () => {} } }
  }

  test('begins with the first operation, hurries while there is more, and ends with close', async () => {
    const { pool, sweeps } = answering([[1000]])
    const store = postgresStore({ pool })
    expect(vi.getTimerCount()).toBe(0)
    await store.migrate()
    await vi.advanceTimersByTimeAsync(29_000)
    expect(sweeps()).toBe(0)
    await vi.advanceTimersByTimeAsync(62_000)
    expect(sweeps()).toBeGreaterThan(10)
    await store.close()
    const before = sweeps()
    await vi.advanceTimersByTimeAsync(600_000)
    expect(sweeps()).toBe(before)
    expect(vi.getTimerCount()).toBe(0)
  })
})

async function tableExists(table: string): Promise<boolean> {
  return (await pool.query('SELECT to_regclass($1) IS NOT NULL AS found', [`"${table}"`])).rows[0].found
}

async function persistence(table: string): Promise<string> {
  return (await pool.query('SELECT relpersistence FROM pg_class WHERE relname = $1', [table])).rows[0].relpersistence
}

async function countRows(table: string): Promise<number> {
  return Number((await pool.query(`SELECT count(*) FROM "${table}"`)).rows[0].count)
}

/** Backends report what they did when they next have nothing to do. */
async function hotShare(table: string): Promise<number> {
  return eventually(async () => {
    const sql = 'SELECT n_tup_upd::int AS all, n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = $1'
    const { all, hot } = (await pool.query(sql, [table])).rows[0]
    expect(all).toBe(1000)
    return hot / all
  })
}

async function waitingForLocks(count: number): Promise<void> {
  await eventually(async () => {
    const { rows } = await pool.query('SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted')
    expect(rows[0].n).toBeGreaterThanOrEqual(count)
  })
}

/** What is sent to the server meanwhile. */
async function queriesDuring(work: () => Promise<unknown>): Promise<{ name?: string; values?: unknown[] }[]> {
  const queries = vi.spyOn(Client.prototype, 'query')
  try {
    await work()
    return queries.mock.calls.map(([query]) => query as never)
  } finally {
    queries.mockRestore()
  }
}
