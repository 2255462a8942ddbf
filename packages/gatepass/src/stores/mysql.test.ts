import { inspect } from 'node:util'
import { type MysqlStore, type MysqlStoreOptions, mysqlStore } from 'gatepass/stores/mysql'
import { storeSuite } from 'gatepass/testing'
import callbacks from 'mysql2'
import mysql, { type Pool, type PoolConnection, type RowDataPacket } from 'mysql2/promise'
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest'
import { eventually } from '../../test/engines/until.ts'
import { unavailable } from '../../test/engines/visitors.ts'
import { LIFETIME, misused, sqlServer } from '../../test/stores/sql-server.ts'

const connection = { host: '127.0.0.1', user: 'root', database: 'test' }
const pool = mysql.createPool(connection)
const server = await sqlServer('MySQL answers on 127.0.0.1:3306', () => pool.query('SELECT 1'))
const { absent, here, runner, clock, freshTable, session } = server
afterAll(() => pool.end())

const stores: (MysqlStore & { table: string })[] = []
function open(options: Partial<MysqlStoreOptions> = {}): MysqlStore & { table: string } {
  const { table = freshTable() } = options
  const source = options.connection ? {} : { pool }
  const store = Object.assign(mysqlStore({ ...source, clock, ...options, table }), { table })
  stores.push(store)
  return store
}

/** A connection that is ended after the test, and its transaction with it. */
async function borrow(): Promise<PoolConnection> {
  const connection = await pool.getConnection()
  borrowed.push(connection)
  return connection
}
const borrowed: PoolConnection[] = []

async function dropAll(): Promise<void> {
  for (const connection of borrowed.splice(0)) connection.destroy()
  for (const store of stores.splice(0)) {
    store.close()
    const { table } = store
    await pool.query(`DROP TABLE IF EXISTS \`${table}\`, \`${table}_schema\`, \`${table}_locks\``)
  }
}

storeSuite(
  `mysqlStore on a pool with promises, and one with callbacks, counting changed rows, in latin1${here}`,
  ({ clock }) => {
    const table = freshTable()
    const other = callbacks.createPool({ ...connection, flags: ['-FOUND_ROWS'], charset: 'latin1_swedish_ci' })
    const [store, second] = [open({ table, clock }), open({ table, clock, pool: other })]
    const close = async () => {
      await dropAll()
      await other.promise().end()
    }
    return { store, second, close }
  },
  runner,
)

storeSuite(
  `mysqlStore on one connection${here}`,
  async ({ clock }) => {
    const single = await mysql.createConnection(connection)
    const store = open({ connection: single, clock })
    const close = async () => {
      await dropAll()
      await single.end()
    }
    return { store, close }
  },
  runner,
)

describe.skipIf(absent)(`mysqlStore${here}`, () => {
  afterEach(dropAll)

  describe('its tables', () => {
    test('are made once, however many processes start at the same moment', async () => {
      const table = freshTable()
      const starting = Array.from({ length: 8 }, () => open({ table }))
      await Promise.all(starting.map((store) => store.migrate()))
      const record = session()
      await starting[0]?.insert(record)
      expect(await starting[7]?.load(record.id)).toEqual(record)
      expect(await rows(`SELECT version FROM ${table}_schema`)).toEqual([{ version: 1 }])
    })

    test('that are half made are finished', async () => {
      const store = open()
      await pool.query(`CREATE TABLE ${store.table}_schema (version INT NOT NULL)`)
      await store.migrate()
      expect(await store.insertWithin(session({ subject: 'u' }), 1)).toBe(0)
    })

    test('that a later version has written are refused and stay as they are', async () => {
      const { table } = open()
      await open({ table }).migrate()
      await pool.query(`UPDATE ${table}_schema SET version = 99`)
      await expect(open({ table }).load(session().id)).rejects.toMatchObject({ code: 'ERR_STORE_SCHEMA', status: 503 })
      expect(await rows(`SELECT version FROM ${table}_schema`)).toEqual([{ version: 99 }])
    })
  })

  test('connections that do not commit by themselves are refused', async () => {
    const single = await mysql.createConnection(connection)
    await single.query('SET autocommit = 0')
    await expect(open({ connection: single }).migrate()).rejects.toEqual(misused)
    await single.end()
  })

  test('reads of one turn of the event loop are one query, which names each id once', async () => {
    const store = open()
    const records = [session(), session(), session()]
    for (const record of records) await store.insert(record)
    const lent = vi.spyOn(pool, 'getConnection')
    const ids = [...records, ...records].map(({ id }) => id)
    const loaded = await Promise.all([...ids, session().id].map((id) => store.load(id)))
    expect(lent).toHaveBeenCalledTimes(1)
    lent.mockRestore()
    expect(loaded).toEqual([...records, ...records, undefined])
    expect(loaded[0]).not.toBe(loaded[3])
  })

  test('texts that no character set can hold stay different', async () => {
    const store = open()
    const subjects = ['\ud800', '\udfff', '\ufffd', '\u0001d800', '\u0001', '\u00010001']
    for (const subject of subjects) await store.insert(session({ subject, data: subject }))
    for (const subject of subjects) {
      expect(await store.listBySubject(subject)).toEqual([expect.objectContaining({ subject, data: subject })])
    }
  })

  describe('at the same moment on several connections', () => {
    test('no login gets past the limit of a subject', async () => {
      const table = freshTable()
      const pools = Array.from({ length: 3 }, () => mysql.createPool({ ...connection, connectionLimit: 5 }))
      const processes = pools.map((pool) => open({ pool, table }))
      for (let round = 0; round < 3; round++) {
        const logins = Array.from({ length: 30 }, (_, n) =>
          processes[n % 3]?.insertWithin(session({ subject: 'u', createdAt: clock() + n }), 3),
        )
        await Promise.all(logins)
        expect(await processes[0]?.listBySubject('u')).toHaveLength(3)
      }
      await Promise.all(pools.map((pool) => pool.end()))
    })

    test('logins of many subjects, with removals among them, all succeed', async () => {
      const store = open()
      const work = Array.from({ length: 200 }, (_, n) => {
        const subject = `subject ${n % 20}`
        return n % 5 ? store.insertWithin(session({ subject }), 2) : store.removeBySubject(subject)
      })
      await Promise.all(work)
      for (let n = 0; n < 20; n++) {
        expect((await store.listBySubject(`subject ${n}`)).length).toBeLessThanOrEqual(2)
      }
    })

    test('a session that is moved to another id does not outlive the removal of all', async () => {
      const store = open()
      const [old, moved] = [session({ subject: 'u' }), session({ subject: 'u' })]
      await store.insert(old)
      const other = await borrow()
      // As far as the removal has the lock, and has not committed.
      await other.query('START TRANSACTION')
      await other.query(`SELECT slot FROM ${store.table}_locks FOR UPDATE`)
      const moving = store.insert(moved).then(() => store.remove(old.id, 1))
      await waitingForLocks()
      await other.query(`DELETE FROM ${store.table} WHERE subject = 'u'`)
      await other.query('COMMIT')
      expect(await moving).toBe('gone')
    })

    test('a deadlock is ended by sending again what the server undid', async () => {
      const store = open()
      const [a, b] = [session({ subject: 'u' }), session()]
      for (const record of [a, b]) await store.insert(record)
      const other = await borrow()
      await other.query('START TRANSACTION')
      // Heavier than what the store does, so that it is the store's transaction that is undone.
      await other.query(`UPDATE ${store.table} SET about = 'x'`)
      await other.query(`INSERT INTO ${store.table} SELECT CONCAT('x', slot), 'h', 1, NULL, '', '', 0, 0, 0, 0
        FROM ${store.table}_locks`)
      const removing = store.removeBySubject('u')
      await waitingForLocks()
      await other.query(`SELECT slot FROM ${store.table}_locks FOR UPDATE`)
      await other.query('COMMIT')
      expect(await removing).toBe(1)
    })
  })

  describe('a limit of time', () => {
    test('ends an operation that has to wait, and its connection is not used again', async () => {
      const own = mysql.createPool({ ...connection, connectionLimit: 1 })
      const store = open({ pool: own, timeout: 0.3 })
      const record = session()
      await store.insert(record)
      const before = await connectionId(own)
      const other = await borrow()
      await other.query(`LOCK TABLES ${store.table} WRITE`)
      await expect(store.touch(record.id, clock(), record.expiresAt)).rejects.toEqual(unavailable)
      await other.query('UNLOCK TABLES')
      expect(await store.load(record.id)).toEqual(record)
      expect(await connectionId(own)).not.toBe(before)
      await own.end()
    })

    test('ends waiting for a pool that has no connection left, which goes back when it comes', async () => {
      const own = mysql.createPool({ ...connection, connectionLimit: 1 })
      const store = open({ pool: own, timeout: 0.2 })
      await store.migrate()
      const taken = await own.getConnection()
      await expect(store.load(session().id)).rejects.toEqual(unavailable)
      taken.release()
      expect(await store.load(session().id)).toBeUndefined()
      await own.end()
    })
  })

  test('a connection that the server ends is a 503, and the next operation succeeds', async () => {
    const own = mysql.createPool({ ...connection, connectionLimit: 1 })
    const store = open({ pool: own })
    const record = session()
    await store.insert(record)
    const id = await connectionId(own)
    const other = await borrow()
    await other.query(`LOCK TABLES ${store.table} WRITE`)
    const loading = store.load(record.id).catch((error: unknown) => error)
    await eventually(async () => {
      const waiting = await rows(
        `SELECT 1 FROM information_schema.processlist WHERE id = ${id} AND state LIKE 'Waiting%'`,
      )
      expect(waiting).toHaveLength(1)
    })
    await pool.query(`KILL ${id}`)
    expect(await loading).toEqual(unavailable)
    await other.query('UNLOCK TABLES')
    expect(await store.load(record.id)).toEqual(record)
    await own.end()
  })

  describe('a clean-up that fails too', () => {
    test.each(['a transaction', 'a sweep'])('hides no error: %s reports the loss of its connection', async (kind) => {
      const own = mysql.createPool({ ...connection, connectionLimit: 1 })
      const store = open({ pool: own })
      await store.insert(session({ subject: 'u' }))
      clock.advance(LIFETIME / 1000)
      const id = await connectionId(own)
      const other = await borrow()
      await other.query('START TRANSACTION')
      await other.query(`SELECT slot FROM ${store.table}_locks FOR UPDATE`)
      await other.query(`SELECT id FROM ${store.table} FOR UPDATE`)
      const work = kind === 'a sweep' ? store.sweep() : store.insert(session({ subject: 'u' }))
      const failing = work.catch((error: unknown) => error)
      await waitingForLocks()
      await pool.query(`KILL ${id}`)
      expect(await failing).toEqual(unavailable)
      const lost = /^(ER_CONNECTION_KILLED|PROTOCOL_CONNECTION_LOST|ECONNRESET|ER_QUERY_INTERRUPTED)$/
      expect(((await failing) as Error).cause).toMatchObject({ code: expect.stringMatching(lost) })
      await own.end()
    })

    test('hides no error of a migration either', async () => {
      const own = mysql.createPool({ ...connection, connectionLimit: 1 })
      const store = open({ pool: own })
      const failing = failingOnce(own, 'RELEASE_LOCK')
      await pool.query(`CREATE TABLE ${store.table}_locks (slot INT, other INT)`)
      expect(await store.migrate().catch((error: unknown) => error)).toMatchObject({ cause: { errno: 1136 } })
      expect(failing.destroyed).toBe(1)
      await own.end()
    })

    test('ends the connection, so that no later work continues a transaction', async () => {
      const own = mysql.createPool({ ...connection, connectionLimit: 1 })
      const store = open({ pool: own })
      const record = session({ subject: 'u' })
      await store.insert(record)
      const failing = failingOnce(own, 'ROLLBACK')
      await pool.query(`ALTER TABLE ${store.table} ADD CHECK (data <> 'no')`)
      const refused = await store.insert(session({ subject: 'u', data: 'no' })).catch((error: unknown) => error)
      expect(refused).toMatchObject({ cause: { errno: 4025 } })
      expect(failing.destroyed).toBe(1)
      expect(await store.listBySubject('u')).toEqual([record])
      await own.end()
    })
  })

  test('the loss of a single connection ends no process, and operations are a 503 from then on', async () => {
    const single = callbacks.createConnection(connection)
    const store = open({ connection: single })
    const record = session()
    await store.insert(record)
    const lost = new Promise((resolve) => single.once('end', resolve))
    await pool.query(`KILL ${single.threadId}`)
    await lost
    await expect(store.load(record.id)).rejects.toEqual(unavailable)
  })

  test.each([
    mysql.createPool({ host: '127.0.0.1', port: 1, database: 'app', user: 'app', password: 'hunter2' }),
    mysql.createPool('mysql://app:hunter2@127.0.0.1:1/app'),
    callbacks.createPool('mysql://app:hunter2@127.0.0.1:1/app'),
  ])(
    'a server that cannot be reached is named with its address and the reason, and without the password',
    async (nowhere) => {
      const store = mysqlStore({ pool: nowhere })
      const failure = await store.load(session().id).catch((error: unknown) => error)
      expect(failure).toEqual(unavailable)
      expect(failure).toMatchObject({
        message: 'MySQL at 127.0.0.1:1/app cannot be reached: ECONNREFUSED',
        cause: { code: 'ECONNREFUSED' },
      })
      expect(inspect(failure, { depth: 9 })).not.toContain('hunter2')
      store.close()
      await nowhere.end()
    },
  )

  test('sweeping deletes what has expired, a few at a time, and leaves what was touched until its last expiry', async () => {
    const store = open()
    await store.migrate()
    const expired = Array.from({ length: 700 }, (_, n) => `('x${n}', 'h', 1, NULL, '', '', 0, 0, 1, 1)`)
    await pool.query(`INSERT INTO ${store.table} VALUES ${expired.join()}`)
    const touched = session()
    await store.insert(touched)
    await store.touch(touched.id, clock(), clock() + 2 * LIFETIME)
    clock.advance(LIFETIME / 1000)
    await store.sweep()
    expect(await store.load(touched.id)).toBeDefined()
    expect(await rows(`SELECT COUNT(*) AS n FROM ${store.table}`)).toEqual([{ n: 1 }])
    clock.advance(LIFETIME / 1000)
    await store.sweep()
    expect(await rows(`SELECT COUNT(*) AS n FROM ${store.table}`)).toEqual([{ n: 0 }])
  })

  test('while another process sweeps, this one does not', async () => {
    const store = open()
    await store.insert(session())
    clock.advance(LIFETIME / 1000)
    const other = await borrow()
    await other.query(`SELECT GET_LOCK('gatepass sweep ${store.table}', 0)`)
    await store.sweep()
    expect(await rows(`SELECT COUNT(*) AS n FROM ${store.table}`)).toEqual([{ n: 1 }])
    await other.query(`SELECT RELEASE_LOCK('gatepass sweep ${store.table}')`)
    await store.sweep()
    expect(await rows(`SELECT COUNT(*) AS n FROM ${store.table}`)).toEqual([{ n: 0 }])
  })
})

describe('options', () => {
  test('that are no plain names never reach SQL', () => {
    for (const table of ['', '1a', 'a b', 'a`b', 'a;DROP TABLE x', 'ä', 'a'.repeat(49)]) {
      expect(() => mysqlStore({ pool, table })).toThrow(misused)
    }
  })

  test('have either a pool or a connection, and a limit of time above 0', () => {
    expect(() => mysqlStore({})).toThrow(misused)
    expect(() => mysqlStore({ pool, connection: {} as never })).toThrow(misused)
    expect(() => mysqlStore({ pool: {} as never })).toThrow(misused)
    for (const timeout of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => mysqlStore({ pool, timeout })).toThrow(misused)
    }
  })
})

/** Refuses one statement with this word, and counts the connections that are destroyed. */
function failingOnce(pool: Pool, word: string): { destroyed: number } {
  const counted = { destroyed: 0 }
  const connect = pool.getConnection.bind(pool)
  vi.spyOn(pool, 'getConnection').mockImplementation(async () => {
    const connection = await connect()
    for (const method of ['query', 'execute'] as const) {
      const send: (statement: never) => Promise<unknown> = connection[method].bind(connection)
      vi.spyOn(connection, method).mockImplementation(((statement: { sql: string }) =>
        statement.sql.includes(word)
          ? Promise.reject(Object.assign(new Error('refused'), { errno: 1317, sqlState: '70100' }))
          : send(statement as never)) as never)
    }
    const destroy = connection.destroy.bind(connection)
    vi.spyOn(connection, 'destroy').mockImplementation(() => {
      counted.destroyed += 1
      destroy()
    })
    return connection
  })
  return counted
}

async function rows(sql: string): Promise<RowDataPacket[]> {
  return (await pool.query<RowDataPacket[]>(sql))[0]
}

async function connectionId(pool: Pool): Promise<number> {
  return (await pool.query<RowDataPacket[]>('SELECT CONNECTION_ID() AS id'))[0][0]?.id
}

/** InnoDB renews that view only if it was not read for a tenth of a second. */
async function waitingForLocks(): Promise<void> {
  const waiting = `SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'`
  await eventually(async () => expect(await rows(waiting)).not.toEqual([]), 200)
}
