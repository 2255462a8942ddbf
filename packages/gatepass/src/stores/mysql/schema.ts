import { StoreError, UsageError } from '../../error.ts'
import { writtenByLater } from '../failure.ts'
import { countOf, errnoOf, type MysqlConnection, noSuchTable, rowsOf, whileLocked } from './driver.ts'

/** Rows of the table of locks. Subjects with different rows never wait for each other. */
export const LOCKS = 256
/** Seconds to wait while another process makes the tables. */
const LOCK_TIMEOUT = 20

/** Each entry updates the tables from the version of its index to the next. It can be repeated after a crash. */
const migrations: readonly ((table: string) => readonly string[])[] = [createSessions]

/**
 * Creates or updates the tables of this store. Any number of processes may start at once.
 *
 * @throws {StoreError} `ERR_STORE_SCHEMA` if a later version of Gatepass wrote them
 * @throws {UsageError} `ERR_STORE_OPTIONS` if the connections have no autocommit
 */
export async function migrate(connection: MysqlConnection, table: string): Promise<void> {
  await checkAutocommit(connection)
  // A process that only serves needs no right to create tables.
  if ((await storedVersion(connection, table)) === migrations.length) return
  const lock = `gatepass ${table}`
  const done = await whileLocked(connection, { lock, seconds: LOCK_TIMEOUT }, () => migrateAlone(connection, table))
  if (done === undefined) throw stillLocked(table)
}

async function migrateAlone(connection: MysqlConnection, table: string): Promise<true> {
  const version = await storedVersion(connection, table)
  for (const migration of migrations.slice(version)) {
    for (const sql of migration(table)) await connection.query({ sql, rowsAsArray: true })
  }
  await countOf(
    connection,
    `INSERT INTO \`${table}_schema\` SELECT 0 FROM DUAL
    WHERE NOT EXISTS (SELECT 1 FROM \`${table}_schema\`)`,
  )
  await countOf(connection, `UPDATE \`${table}_schema\` SET version = ?`, [migrations.length])
  return true
}

async function checkAutocommit(connection: MysqlConnection): Promise<void> {
  const [row] = await rowsOf(connection, 'SELECT @@autocommit')
  if (Number(row?.[0]) === 1) return
  throw new UsageError('ERR_STORE_OPTIONS', 'The connections of the MySQL store have no autocommit', {
    hint: 'Give the store a pool with autocommit = 1, the default of MySQL.',
  })
}

/** @returns 0 if there is no table yet */
async function storedVersion(connection: MysqlConnection, table: string): Promise<number> {
  try {
    const [row] = await rowsOf(connection, `SELECT version FROM \`${table}_schema\``)
    const version = Number(row?.[0] ?? 0)
    if (version > migrations.length) throw writtenByLater(table, version, migrations.length)
    return version
  } catch (error) {
    if (errnoOf(error) === noSuchTable) return 0
    throw error
  }
}

function stillLocked(table: string): StoreError {
  return new StoreError('ERR_STORE_UNAVAILABLE', `Another process is still making the tables of ${table}`, {
    hint: `Look for the process that holds the lock 'gatepass ${table}'.`,
  })
}

/**
 * Every text is a BLOB, so that only equal bytes are equal: a collation could treat `a`, `A` and `a ` as one subject.
 *
 * `due_at` is when the sweeper checks a row: its expiry when it was inserted or last checked. Only `due_at` is indexed, not
 * `expires_at`, so a touch changes no index.
 */
function createSessions(table: string): readonly string[] {
  const slots = Array.from({ length: LOCKS }, (_, slot) => `(${slot})`)
  return [
    `CREATE TABLE IF NOT EXISTS \`${table}_schema\` (version INT NOT NULL) ENGINE=InnoDB`,
    `CREATE TABLE IF NOT EXISTS \`${table}\` (
      id VARBINARY(64) NOT NULL PRIMARY KEY,
      handle VARBINARY(64) NOT NULL,
      version INT NOT NULL,
      subject BLOB NULL,
      data LONGBLOB NOT NULL,
      about LONGBLOB NOT NULL,
      created_at BIGINT NOT NULL,
      seen_at BIGINT NOT NULL,
      expires_at BIGINT NOT NULL,
      due_at BIGINT NOT NULL,
      KEY subject (subject(64)),
      KEY due (due_at)
    ) ENGINE=InnoDB`,
    `CREATE TABLE IF NOT EXISTS \`${table}_locks\` (slot SMALLINT NOT NULL PRIMARY KEY) ENGINE=InnoDB`,
    `INSERT IGNORE INTO \`${table}_locks\` VALUES ${slots.join()}`,
  ]
}
