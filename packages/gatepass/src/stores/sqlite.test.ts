import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { SessionRecord } from 'gatepass/session'
import { type SqliteDatabase, sqliteStore } from 'gatepass/stores/sqlite'
import { storeSuite, testClock } from 'gatepass/testing'
import { afterAll, afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { recordAt } from '../testing/store-records.ts'
import { openDatabase } from './sqlite/database.ts'

type Driver = new (path: string, options?: { timeout: number }) => SqliteDatabase

/** No dependency of the repository: older versions of npm want to compile it. Continuous integration installs it. */
const BetterSqlite = betterSqlite()
const note = BetterSqlite === undefined ? ' (SKIPPED: better-sqlite3 is not installed)' : ''

function betterSqlite(): Driver | undefined {
  try {
    return createRequire(import.meta.url)('better-sqlite3') as Driver
  } catch (error) {
    if (process.env.CI) throw error
    return undefined
  }
}

const folder = mkdtempSync(join(tmpdir(), 'gatepass-sqlite-'))
afterAll(() => rmSync(folder, { recursive: true }))
let files = 0
const freshPath = (): string => join(folder, `${++files}.db`)

storeSuite(
  'sqliteStore on a file, through two connections of node:sqlite',
  ({ clock }) => {
    const path = freshPath()
    const [store, second] = [sqliteStore(path, { clock }), sqliteStore(path, { clock })]
    const close = () => {
      store.close()
      second.close()
      rmSync(path)
    }
    return { store, second, close }
  },
  { test, describe },
)

if (BetterSqlite === undefined) test.skip(`sqliteStore on a database of better-sqlite3${note}`, () => {})
else
  storeSuite(
    'sqliteStore on a database of better-sqlite3',
    ({ clock }) => {
      const store = sqliteStore(new BetterSqlite(':memory:'), { clock, closeDatabase: true })
      return { store, close: () => store.close() }
    },
    { test, describe },
  )

const LIFETIME = 600_000
const clock = testClock()

function session(differing: Partial<SessionRecord> = {}): SessionRecord {
  return recordAt(clock(), { expiresAt: clock() + LIFETIME, ...differing })
}

const unavailable = expect.objectContaining({ code: 'ERR_STORE_UNAVAILABLE', status: 503, cause: expect.any(Error) })
const misused = expect.objectContaining({ code: 'ERR_STORE_OPTIONS', status: 500 })

const drivers: [string, (path: string) => SqliteDatabase][] = [['node:sqlite', (path) => new DatabaseSync(path)]]
if (BetterSqlite !== undefined) drivers.push(['better-sqlite3', (path) => new BetterSqlite(path, { timeout: 0 })])

describe('a file', () => {
  test('keeps its sessions when it is closed and opened again', () => {
    const path = freshPath()
    const record = session({ subject: 'u' })
    const store = sqliteStore(path, { clock })
    store.insert(record)
    store.close()
    const again = sqliteStore(path, { clock })
    expect(again.load(record.id)).toEqual(record)
    again.close()
  })

  test.skipIf(process.platform === 'win32')('can be read by its owner alone, whatever the umask', () => {
    for (const mask of [0o000, 0o777]) {
      const path = freshPath()
      const before = process.umask(mask)
      const store = sqliteStore(path, { clock })
      store.insert(session())
      process.umask(before)
      const modes = [path, `${path}-wal`, `${path}-shm`].map((file) => (statSync(file).mode & 0o777).toString(8))
      store.close()
      expect(modes).toEqual(['600', '600', '600'])
    }
  })

  test('is in WAL mode, and alone again after close', () => {
    const path = freshPath()
    const store = sqliteStore(path, { clock })
    store.insert(session())
    expect(existsSync(`${path}-wal`)).toBe(true)
    store.close()
    expect(existsSync(`${path}-wal`)).toBe(false)
    const database = new DatabaseSync(path)
    expect(database.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' })
    database.close()
  })

  test.each([
    [false, 1],
    [true, 2],
  ])('with durable %s has synchronous %i', (durable, synchronous) => {
    const database = openDatabase(freshPath(), durable)
    expect(database.prepare('PRAGMA synchronous').get()).toEqual({ synchronous })
    expect(database.prepare('PRAGMA busy_timeout').get()).toEqual({ timeout: 2000 })
    database.close()
  })

  describe('whose loads of one turn of the event loop share a transaction', () => {
    const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

    function sharedFile() {
      const path = freshPath()
      let now = clock()
      const store = sqliteStore(path, { clock: () => now })
      // As another process sees it: no store of this process knows of its writes.
      const other = new DatabaseSync(path)
      onTestFinished(() => {
        store.close()
        other.close()
      })
      const record = session()
      store.insert(record)
      const change = () => other.exec('UPDATE gatepass_sessions SET version = version + 1')
      return { store, other, record, change, wait: () => now++ }
    }

    test('sees what another process wrote in the next turn, and a millisecond later', async () => {
      const { store, record, change, wait } = sharedFile()
      expect(store.load(record.id)?.version).toBe(1)
      change()
      await nextTurn()
      expect(store.load(record.id)?.version).toBe(2)
      change()
      wait()
      expect(store.load(record.id)?.version).toBe(3)
    })

    test('writes to what another process has just changed', () => {
      const { store, record, change } = sharedFile()
      store.load(record.id)
      change()
      expect(store.replace(record, 1)).toBe('conflict')
      expect(store.load(record.id)?.version).toBe(2)
      change()
      expect(store.replace(record, 3)).toBe('done')
    })

    test('holds nothing of the file after the turn, or after close', async () => {
      const { store, other, record } = sharedFile()
      const truncate = () => other.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()
      store.load(record.id)
      await nextTurn()
      expect(truncate()).toMatchObject({ busy: 0 })
      store.load(record.id)
      store.close()
      expect(truncate()).toMatchObject({ busy: 0 })
      await nextTurn()
    })
  })

  test('in a folder that is missing is refused by name', () => {
    const path = join(folder, 'missing', 'app.db')
    const error = expect.objectContaining({ message: expect.stringContaining(path), hint: 'Create the folder first.' })
    expect(() => sqliteStore(path)).toThrow(unavailable)
    expect(() => sqliteStore(path)).toThrow(error)
  })

  test('that is no database is refused and left as it is', () => {
    const path = freshPath()
    writeFileSync(path, 'not a database, but long enough to be taken for one'.repeat(20))
    expect(() => sqliteStore(path)).toThrow(unavailable)
    expect(statSync(path).size).toBe(1020)
  })

  test('is named by a path: neither by nothing nor by a URL', () => {
    for (const path of ['', 'file:app.db']) expect(() => sqliteStore(path)).toThrow(misused)
  })

  test('that a later version has written is refused, and stays as it is', () => {
    const path = freshPath()
    sqliteStore(path, { clock }).close()
    const database = new DatabaseSync(path)
    database.exec('UPDATE gatepass_sessions_schema SET version = 99')
    expect(() => sqliteStore(path)).toThrow(expect.objectContaining({ code: 'ERR_STORE_SCHEMA' }))
    expect(database.prepare('SELECT version FROM gatepass_sessions_schema').all()).toEqual([{ version: 99 }])
    database.close()
  })

  test('that the first version has written keeps its sessions and their handles', () => {
    const path = freshPath()
    const before = sqliteStore(path, { clock })
    const record = { ...session(), handle: 'h'.repeat(22), about: `{"handle":"${'h'.repeat(22)}","client":{}}` }
    before.insert(record)
    before.close()
    const database = new DatabaseSync(path)
    database.exec('ALTER TABLE gatepass_sessions DROP COLUMN handle; UPDATE gatepass_sessions_schema SET version = 1')
    database.close()
    const store = sqliteStore(path, { clock })
    expect(store.load(record.id)).toEqual(record)
    store.close()
  })

  test('may hold several tables, each with sessions of its own', () => {
    const path = freshPath()
    const [one, two] = [sqliteStore(path, { clock }), sqliteStore(path, { clock, table: 'Select' })]
    const record = session()
    one.insert(record)
    expect(two.load(record.id)).toBeUndefined()
    two.insert({ ...record, data: '{"two":2}' })
    expect(one.load(record.id)).toEqual(record)
    one.close()
    two.close()
  })
})

test('a table name that is no plain word never reaches SQL', () => {
  for (const table of ['', '1a', 'a b', 'a"b', 'a;DROP TABLE x', 'sqlite_x', 'ä', 'a'.repeat(61)]) {
    expect(() => sqliteStore(':memory:', { table })).toThrow(misused)
  }
})

test('a busy timeout that is not a number of seconds up to 60 is refused, also beside a database that has its own', () => {
  for (const busyTimeout of [-1, 61, Number.NaN, Number.POSITIVE_INFINITY, '1'] as number[]) {
    expect(() => sqliteStore(':memory:', { busyTimeout })).toThrow(misused)
    expect(() => sqliteStore(new DatabaseSync(':memory:'), { busyTimeout })).toThrow(misused)
  }
})

test('what is neither a path nor a database is refused', () => {
  for (const wrong of [undefined, null, 7, {}]) expect(() => sqliteStore(wrong as never)).toThrow(misused)
})

describe('while another writer holds the database', () => {
  test('one write waits, those after it fail at once, and the first that succeeds brings the waiting back', () => {
    const path = freshPath()
    const store = sqliteStore(path, { clock })
    const other = new DatabaseSync(path)
    const looks = vi.spyOn(Atomics, 'wait')
    onTestFinished(() => looks.mockRestore())
    const looked = (count: 'several times' | 'never') => {
      expect(looks.mock.calls.length > 0 ? 'several times' : 'never').toBe(count)
      looks.mockClear()
    }
    for (let round = 0; round < 2; round++) {
      other.exec('BEGIN IMMEDIATE')
      expect(() => store.insert(session())).toThrow(unavailable)
      looked('several times')
      for (let n = 0; n < 5; n++) expect(() => store.insertWithin(session({ subject: 'u' }), 1)).toThrow(unavailable)
      store.load(session().id)
      expect(() => store.touch(session().id, 0, 1)).toThrow(unavailable)
      looked('never')
      other.exec('ROLLBACK')
      store.insert(session())
      looked('never')
    }
    other.close()
    store.close()
  })

  test.each(drivers)(
    'a database of %s that is handed in waits once as its owner wants it to, and is left so',
    (_, connect) => {
      const path = freshPath()
      connect(path).exec('PRAGMA journal_mode = WAL')
      const database = connect(path)
      database.exec('PRAGMA busy_timeout = 20')
      const timeouts: unknown[] = []
      const timeout = () => Object.values(database.prepare('PRAGMA busy_timeout').get() as object)[0]
      const store = sqliteStore(
        watched(database, () => timeouts.push(timeout())),
        { clock },
      )
      const other = connect(path)
      other.exec('BEGIN IMMEDIATE')
      timeouts.length = 0
      for (let n = 0; n < 3; n++) expect(() => store.insert(session())).toThrow(unavailable)
      other.exec('ROLLBACK')
      store.insert(session())
      store.insert(session())
      expect(timeouts).toEqual([20, 0, 0, 0, 20])
      expect(timeout()).toBe(20)
      other.close()
      database.close()
    },
  )

  test('the error names the file, and what to look for', () => {
    const path = freshPath()
    const store = sqliteStore(path, { clock, busyTimeout: 0 })
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    expect(() => store.insert(session())).toThrow(`SQLite in ${path} is locked by another program`)
    other.close()
    store.close()
  })

  test('a write fails as unavailable and is not there later; reading goes on', () => {
    const path = freshPath()
    const store = sqliteStore(path, { clock, busyTimeout: 0 })
    const [there, late] = [session({ subject: 'u' }), session({ subject: 'u' })]
    store.insert(there)
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    expect(() => store.insert(late)).toThrow(unavailable)
    expect(() => store.insertWithin(late, 1)).toThrow(unavailable)
    expect(() => store.replace({ ...there, version: 2 }, 1)).toThrow(unavailable)
    expect(() => store.remove(there.id)).toThrow(unavailable)
    expect(store.load(there.id)).toEqual(there)
    other.exec('ROLLBACK')
    other.close()
    expect(store.load(late.id)).toBeUndefined()
    expect(store.insertWithin(late, 1)).toBe(1)
    store.close()
  })
})

/** The database, with a look before each statement that is run. */
function watched(database: SqliteDatabase, before: () => void): SqliteDatabase {
  return {
    exec: (sql) => database.exec(sql),
    close: () => database.close(),
    prepare(sql) {
      const statement = database.prepare(sql)
      const run: (typeof statement)['run'] = (...parameters) => {
        before()
        return statement.run(...parameters)
      }
      return { get: (...p) => statement.get(...p), all: (...p) => statement.all(...p), run }
    },
  }
}

describe.each(drivers)('a database of %s that is handed in', (_, connect) => {
  test('stays open when the store closes, unless the store is to close it', () => {
    const database = connect(':memory:')
    const store = sqliteStore(database, { clock })
    store.close()
    expect(database.prepare('SELECT count(*) AS n FROM gatepass_sessions').get()).toEqual({ n: 0 })
    const closing = sqliteStore(database, { clock, closeDatabase: true })
    closing.close()
    closing.close()
    expect(() => database.prepare('SELECT 1')).toThrow(/not open/)
  })

  test('keeps the settings that it has', () => {
    const database = connect(freshPath())
    sqliteStore(database, { clock }).close()
    expect(database.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'delete' })
    database.close()
  })

  test('that is closed answers as unavailable', () => {
    const database = connect(':memory:')
    const store = sqliteStore(database, { clock })
    database.close()
    const record = session({ subject: 'u' })
    expect(() => store.load(record.id)).toThrow(unavailable)
    expect(() => store.insert(record)).toThrow(unavailable)
    expect(() => store.insertWithin(record, 1)).toThrow(unavailable)
    expect(() => store.listBySubject('u')).toThrow(unavailable)
    store.close()
  })

  test('that has no room left answers as full, and what was stored is whole', () => {
    const database = connect(':memory:')
    const store = sqliteStore(database, { clock })
    const record = session()
    store.insert(record)
    database.exec('PRAGMA max_page_count = 20')
    const large = session({ data: 'x'.repeat(200_000) })
    expect(() => store.insert(large)).toThrow(expect.objectContaining({ code: 'ERR_STORE_FULL', status: 503 }))
    expect(store.load(large.id)).toBeUndefined()
    expect(store.load(record.id)).toEqual(record)
    store.close()
  })

  test('may be in a transaction of its owner when a login comes', () => {
    const database = connect(':memory:')
    const store = sqliteStore(database, { clock })
    const [old, kept, undone] = [session({ subject: 'u' }), session({ subject: 'u' }), session({ subject: 'u' })]
    store.insert(old)
    database.exec('BEGIN')
    expect(store.insertWithin(kept, 1)).toBe(1)
    database.exec('COMMIT')
    database.exec('BEGIN')
    store.insertWithin(undone, 1)
    database.exec('ROLLBACK')
    expect(store.listBySubject('u')).toEqual([kept])
    store.close()
  })

  test('keeps nothing of a login of which one half fails', () => {
    const database = connect(':memory:')
    const store = sqliteStore(database, { clock })
    const [old, late] = [session({ subject: 'u' }), session({ subject: 'u' })]
    store.insert(old)
    database.exec(`CREATE TRIGGER keep BEFORE DELETE ON gatepass_sessions BEGIN SELECT RAISE(ABORT, 'kept'); END`)
    expect(() => store.insertWithin(late, 1)).toThrow(unavailable)
    expect(store.listBySubject('u')).toEqual([old])
    database.exec('DROP TRIGGER keep')
    expect(store.insertWithin(late, 1)).toBe(1)
    store.close()
  })
})

/** A database like that of Node 22.13, whose statements can only answer with objects. */
function onlyObjects(database: DatabaseSync): SqliteDatabase {
  const prepare = (sql: string) => Object.assign(database.prepare(sql), { setReturnArrays: undefined })
  return { exec: (sql) => database.exec(sql), prepare, close: () => database.close() }
}

test('a database that answers with bigints, arrays or objects is understood', () => {
  const record = session({ subject: 'u' })
  const bigints = sqliteStore(new DatabaseSync(':memory:', { readBigInts: true }), { clock })
  bigints.insert(record)
  expect(bigints.load(record.id)).toEqual(record)
  expect(bigints.removeBySubject('u')).toBe(1)
  const arrays = sqliteStore(new DatabaseSync(':memory:', { returnArrays: true }), { clock })
  arrays.insert(record)
  expect(arrays.load(record.id)).toEqual(record)
  expect(arrays.listBySubject('u')).toEqual([record])
  const plain = sqliteStore(onlyObjects(new DatabaseSync(':memory:')), { clock })
  plain.insert(record)
  expect(plain.load(record.id)).toEqual(record)
  expect(plain.listBySubject('u')).toEqual([record])
  if (BetterSqlite === undefined) return
  const safe = new BetterSqlite(':memory:') as SqliteDatabase & { defaultSafeIntegers(): void }
  safe.defaultSafeIntegers()
  const better = sqliteStore(safe, { clock })
  better.insert(record)
  expect(better.listBySubject('u')).toEqual([record])
})

describe('sweeping', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  const countRows = (database: SqliteDatabase) => database.prepare('SELECT count(*) FROM gatepass_sessions').all()

  test.each(drivers)('deletes expired records by itself, a few at a time (%s)', async (_, connect) => {
    const database = connect(':memory:')
    const store = sqliteStore(database, { clock })
    for (let n = 0; n < 700; n++) store.insert(session())
    const lasting = session({ expiresAt: clock() + 3 * LIFETIME })
    store.insert(lasting)
    clock.advance(LIFETIME / 1000)
    await vi.advanceTimersToNextTimerAsync()
    expect(countRows(database)).toEqual([{ 'count(*)': 681 }])
    await vi.advanceTimersByTimeAsync(29_000)
    expect(countRows(database)).toEqual([{ 'count(*)': 1 }])
    expect(store.load(lasting.id)).toEqual(lasting)
    store.close()
  })

  test('leaves what was touched, and deletes it after its last expiry', async () => {
    const database = new DatabaseSync(':memory:')
    const store = sqliteStore(database, { clock })
    const records = Array.from({ length: 500 }, () => session())
    const sweep = () => Promise.all([store.sweep(), vi.advanceTimersByTimeAsync(20_000)])
    for (const record of records) store.insert(record)
    clock.advance(500)
    for (const { id } of records) store.touch(id, clock(), clock() + LIFETIME)
    clock.advance(500)
    await sweep()
    expect(countRows(database)).toEqual([{ 'count(*)': 500 }])
    clock.advance(100)
    await sweep()
    expect(countRows(database)).toEqual([{ 'count(*)': 0 }])
    store.close()
  })

  test('is tried again later when it fails, and ends with close', async () => {
    const path = freshPath()
    const store = sqliteStore(path, { clock, busyTimeout: 0 })
    store.insert(session())
    clock.advance(LIFETIME / 1000)
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    await vi.advanceTimersByTimeAsync(90_000)
    other.exec('ROLLBACK')
    expect(countRows(other)).toEqual([{ 'count(*)': 1 }])
    await vi.advanceTimersByTimeAsync(90_000)
    expect(countRows(other)).toEqual([{ 'count(*)': 0 }])
    other.close()
    store.close()
    expect(vi.getTimerCount()).toBe(0)
  })
})

test('the timer of a store keeps no process alive, and importing it loads no SQLite', () => {
  const program = `
    const { sqliteStore } = await import(${JSON.stringify(new URL('./sqlite.ts', import.meta.url).href)})
    const loaded = () => process.moduleLoadList.some((name) => /sqlite/.test(name))
    console.log(loaded())
    sqliteStore(':memory:')
    console.log(loaded())`
  const args = ['--conditions=gatepass:source', '--input-type=module', '--eval', program]
  const output = execFileSync(process.execPath, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 20_000,
  })
  expect(output).toBe('false\ntrue\n')
})
