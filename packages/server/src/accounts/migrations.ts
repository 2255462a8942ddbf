import { StoreError } from 'gatepass'
import type { AccountDatabase } from './database.ts'

/** One step of the schema. After its release it is never edited. */
interface Migration {
  readonly name: string
  readonly sql: string
}

const migrations: readonly Migration[] = [
  {
    name: '0001-accounts',
    sql: `
      create table accounts (
        id text primary key not null,
        email text not null,
        email_key text not null unique,
        name text not null,
        password_hash text not null,
        password_version integer not null,
        created_at integer not null,
        failures integer not null default 0,
        password_disabled_at integer,
        disabled_at integer
      ) strict;`,
  },
  {
    name: '0002-identities',
    // SQLite cannot remove NOT NULL from a column, so the table is replaced (https://sqlite.org/lang_altertable.html §7).
    // No foreign key: an identity names its account before the account exists (see identities.ts).
    sql: `
      create table accounts_0002 (
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
      ) strict;
      insert into accounts_0002
        (id, email, email_key, name, password_hash, password_version, created_at, failures, password_disabled_at, disabled_at)
        select id, email, email_key, name, password_hash, password_version, created_at, failures, password_disabled_at, disabled_at
        from accounts;
      drop table accounts;
      alter table accounts_0002 rename to accounts;
      create table identities (
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
      ) strict;
      create index identities_of_account on identities (account_id);`,
  },
]

/**
 * Brings the schema to this version, with all steps or none. Two processes that start at once take turns.
 *
 * @throws {StoreError} `ERR_STORE_SCHEMA` if a newer version has written to the file
 */
export async function migrate(database: AccountDatabase): Promise<void> {
  // Nothing else in this process uses the file yet, so this one transaction may await.
  database.execute('begin immediate')
  try {
    await applyMissing(database)
    database.execute('commit')
  } catch (error) {
    database.execute('rollback')
    throw error
  }
}

async function applyMissing(database: AccountDatabase): Promise<void> {
  database.execute(
    'create table if not exists account_migrations (name text primary key, applied_at integer not null) strict',
  )
  const rows = await database.query<{ name: string }>('select name from account_migrations')
  const applied = rows.map((row) => row.name)
  // Running on an unknown schema could destroy data of the newer version.
  const unknown = applied.filter((name) => migrations.every((known) => known.name !== name))
  if (unknown.length > 0) {
    const message = `The database was written by a newer version (it has ${unknown.join(', ')})`
    const hint = 'Start the newer version again, or restore a backup from before the upgrade.'
    throw new StoreError('ERR_STORE_SCHEMA', message, { hint })
  }
  for (const { name, sql } of migrations) {
    if (applied.includes(name)) continue
    database.execute(sql)
    const insert = 'insert into account_migrations (name, applied_at) values (:name, :now)'
    await database.query(insert, { name, now: Date.now() })
  }
}
