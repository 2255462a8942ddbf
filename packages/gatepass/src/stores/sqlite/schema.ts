import { writtenByLater } from '../failure.ts'
import { type Connection, firstOf, quietly, withStoreErrors } from './database.ts'

/**
 * Each entry updates the tables from the version of its index to the next. Entries are added and never changed.
 *
 * `due_at` is when the sweeper checks a record: not before its expiry when it was written. A touch does not change it, so no
 * index changes with a touch, which halves its cost.
 */
const migrations: readonly ((table: string) => string)[] = [
  (table) => `
    CREATE TABLE "${table}" (
      id TEXT PRIMARY KEY NOT NULL,
      version INTEGER NOT NULL,
      subject TEXT,
      data TEXT NOT NULL,
      about TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      seen_at INTEGER NOT NULL,
      expires_at INTEGER NOT NULL,
      due_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX "${table}_subject" ON "${table}" (subject, created_at) WHERE subject IS NOT NULL;
    CREATE INDEX "${table}_due" ON "${table}" (due_at);`,
  // In earlier versions the handle was in `about`.
  (table) => `
    ALTER TABLE "${table}" ADD COLUMN handle TEXT NOT NULL DEFAULT '';
    UPDATE "${table}" SET handle = coalesce(about ->> '$.handle', id);`,
]

/**
 * Creates or updates the tables of this store.
 *
 * @throws {StoreError} `ERR_STORE_SCHEMA` if a later version of Gatepass wrote them
 */
export function migrate(connection: Connection, table: string): void {
  const { database, name } = connection
  withStoreErrors(name, () => database.exec('BEGIN IMMEDIATE'))
  try {
    const version = currentVersion(connection, table)
    if (version > migrations.length) throw writtenByLater(table, version, migrations.length)
    withStoreErrors(name, () => {
      for (const migration of migrations.slice(version)) database.exec(migration(table))
      database.exec(`UPDATE "${table}_schema" SET version = ${migrations.length} WHERE version < ${migrations.length}`)
      database.exec('COMMIT')
    })
  } catch (error) {
    quietly(() => database.exec('ROLLBACK'))
    throw error
  }
}

function currentVersion(connection: Connection, table: string): number {
  const { database, name } = connection
  withStoreErrors(name, () =>
    database.exec(`CREATE TABLE IF NOT EXISTS "${table}_schema" (version INTEGER NOT NULL) STRICT`),
  )
  const row = withStoreErrors(name, () => database.prepare(`SELECT version FROM "${table}_schema"`).get())
  if (row !== undefined) return Number(firstOf(row))
  withStoreErrors(name, () => database.exec(`INSERT INTO "${table}_schema" VALUES (0)`))
  return 0
}
