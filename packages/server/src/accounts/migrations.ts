import { StoreError } from 'gatepass'
import { type Kysely, sql } from 'kysely'
import type { AccountTables } from './database.ts'

/** One step of the schema; once released it is never edited. */
interface Migration {
  readonly name: string
  up(database: Kysely<AccountTables>): Promise<void>
}

const migrations: readonly Migration[] = [
  {
    name: '0001-accounts',
    async up(database) {
      await database.schema
        .createTable('accounts')
        .addColumn('id', 'text', (column) => column.primaryKey().notNull())
        .addColumn('email', 'text', (column) => column.notNull())
        .addColumn('email_key', 'text', (column) => column.notNull().unique())
        .addColumn('name', 'text', (column) => column.notNull())
        .addColumn('password_hash', 'text', (column) => column.notNull())
        .addColumn('password_version', 'integer', (column) => column.notNull())
        .addColumn('created_at', 'integer', (column) => column.notNull())
        .addColumn('failures', 'integer', (column) => column.notNull().defaultTo(0))
        .addColumn('password_disabled_at', 'integer')
        .addColumn('disabled_at', 'integer')
        .modifyEnd(sql`strict`)
        .execute()
    },
  },
  {
    name: '0002-identities',
    async up(database) {
      // SQLite cannot take NOT NULL away from a column: the table is made anew (https://sqlite.org/lang_altertable.html §7).
      await sql`create table accounts_0002 (
        id text primary key not null,
        email text,
        email_key text unique,
        email_verified_at integer,
        name text not null,
        password_hash text,
        password_version integer not null,
        created_at integer not null,
        failures integer not null default 0,
        password_disabled_at integer,
        disabled_at integer,
        generation integer not null default 1
      ) strict`.execute(database)
      const kept = sql`id, email, email_key, name, password_hash, password_version, created_at, failures, password_disabled_at, disabled_at`
      await sql`insert into accounts_0002 (${kept}) select ${kept} from accounts`.execute(database)
      await sql`drop table accounts`.execute(database)
      await sql`alter table accounts_0002 rename to accounts`.execute(database)
      // No foreign key: a new identity names its account before there is one (see identities.ts).
      await sql`create table identities (
        handle text primary key not null,
        issuer text not null,
        subject text not null,
        account_id text not null,
        generation integer not null,
        provider text not null,
        email text,
        created_at integer not null,
        last_used_at integer not null,
        unique (issuer, subject)
      ) strict`.execute(database)
      await sql`create index identities_of_account on identities (account_id)`.execute(database)
    },
  },
]

/**
 * Brings the schema to this version, all steps or none; two processes that start at once take turns.
 *
 * @throws {StoreError} `ERR_STORE_SCHEMA` if a newer version has written to the file
 */
export async function migrate(database: Kysely<AccountTables>): Promise<void> {
  // Nothing else uses the file through this process yet, so that this one transaction may await.
  await database.connection().execute(async (connection) => {
    await sql`begin immediate`.execute(connection)
    try {
      await applyMissing(connection)
      await sql`commit`.execute(connection)
    } catch (error) {
      await sql`rollback`.execute(connection)
      throw error
    }
  })
}

async function applyMissing(database: Kysely<AccountTables>): Promise<void> {
  await sql`create table if not exists account_migrations (name text primary key, applied_at integer not null) strict`.execute(
    database,
  )
  const { rows } = await sql<{ name: string }>`select name from account_migrations`.execute(database)
  const applied = new Set(rows.map((row) => row.name))
  refuseNewer(applied)
  for (const migration of migrations) {
    if (applied.has(migration.name)) continue
    await migration.up(database)
    await sql`insert into account_migrations (name, applied_at) values (${migration.name}, ${Date.now()})`.execute(
      database,
    )
  }
}

/** Running on a schema that this version does not know could destroy what the newer one keeps in it. */
function refuseNewer(applied: ReadonlySet<string>): void {
  const known = new Set(migrations.map((migration) => migration.name))
  const unknown = [...applied].filter((name) => !known.has(name))
  if (unknown.length === 0) return
  throw new StoreError(
    'ERR_STORE_SCHEMA',
    `The database was written by a newer version (it has ${unknown.join(', ')})`,
    {
      hint: 'Start the newer version again, or restore a backup from before the upgrade.',
    },
  )
}
