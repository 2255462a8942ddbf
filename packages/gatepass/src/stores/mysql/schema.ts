import { StoreError, UsageError } from '../../error.ts'
import { countOf, type MysqlConnection, rowsOf } from './driver.ts'
import { errnoOf, noSuchTable } from './failure.ts'

/** Rows of the table of locks: so many subjects can log in at the same moment without ever waiting for each other. */
export const LOCKS = 256
/** Seconds to wait while another process makes the tables. */
const LOCK_TIMEOUT = 20

/** Each brings the tables from the version of its position to the next one; done again after a crash, it finishes. */
const migrations: readonly ((table: string) => readonly string[])[] = [createSessions]

/**
 * Creates the tables of this store, or brings them up to date. Any number of processes may start at once.
 *
 * @throws {StoreError} `ERR_STORE_SCHEMA` if a later version of Gatepass wrote them
 * @throws {UsageError} `ERR_STORE_OPTIONS` if statements are not committed by themselves
 */
export async function migrate(connection: MysqlConnection, table: string): Promise<void> {
  await checkAutocommit(connection)
  // A process that only serves needs no right to create tables.
  if ((await storedVersion(connection, table)) === migrations.length) return
  const lock = `gatepass ${table}`
  const [row] = await rowsOf(connection, 'SELECT GET_LOCK(?, ?)', [lock, LOCK_TIMEOUT])
  if (Number(row?.[0]) !== 1) throw stillLocked(table)
  try {
    await migrateAlone(connection, table)
  } finally {
    await rowsOf(connection, 'SELECT RELEASE_LOCK(?)', [lock])
  }
}

async function migrateAlone(connection: MysqlConnection, table: string): Promise<void> {
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
}

async function checkAutocommit(connection: MysqlConnection): Promise<void> {
  const [row] = await rowsOf(connection, 'SELECT @@autocommit')
  if (Number(row?.[0]) === 1) return
  throw new UsageError('ERR_STORE_OPTIONS', 'the connections of the store do not commit by themselves', {
    hint: 'Give the store a pool with autocommit = 1, as MySQL has it.',
  })
}

/** @returns 0 if there is no table yet */
async function storedVersion(connection: MysqlConnection, table: string): Promise<number> {
  try {
    const [row] = await rowsOf(connection, `SELECT version FROM \`${table}_schema\``)
    const version = Number(row?.[0] ?? 0)
    if (version > migrations.length) throw writtenByLater(table, version)
    return version
  } catch (error) {
    if (errnoOf(error) === noSuchTable) return 0
    throw error
  }
}

function writtenByLater(table: string, version: number): StoreError {
  return new StoreError(
    'ERR_STORE_SCHEMA',
    `the table ${table} has version ${version}, this is for ${migrations.length}`,
    { hint: 'A later version of Gatepass has used this database: install that version again.' },
  )
}

function stillLocked(table: string): StoreError {
  return new StoreError('ERR_STORE_UNAVAILABLE', `the tables of ${table} are still being made by another process`, {
    hint: `Look for who holds the lock 'gatepass ${table}'.`,
  })
}

/**
 * Every text is a BLOB: equal are those with the same bytes, and no collation finds that `a`, `A` and `a ` are one subject.
 *
 * `due_at` is when the sweeper looks at a row: its expiry when it was inserted or last looked at. Only it is indexed, not
 * `expires_at`, so that a touch changes no index.
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
