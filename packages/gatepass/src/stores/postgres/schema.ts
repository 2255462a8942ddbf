import { UsageError } from '../../error.ts'
import { writtenByLater } from '../failure.ts'
import { undoing } from '../sql/connections.ts'
import type { PostgresClient } from './driver.ts'

/** The table's names in SQL, and how to make it if it does not exist. */
export interface Layout {
  readonly schema: string | undefined
  readonly table: string
  readonly unlogged: boolean
}

/** `"schema"."name"`, or `"name"` if the connection's search path decides. */
export function qualified({ schema }: Pick<Layout, 'schema'>, name: string): string {
  return schema === undefined ? `"${name}"` : `"${schema}"."${name}"`
}

/** Each entry updates the tables from the version of its index to the next. */
const migrations: readonly ((layout: Layout) => string)[] = [createSessions]

/**
 * Creates or updates the tables of this store. Any number of processes may start at once.
 *
 * @throws {StoreError} `ERR_STORE_SCHEMA` if a later version of Gatepass wrote them
 * @throws {UsageError} `ERR_STORE_OPTIONS` if transactions are not READ COMMITTED
 */
export async function migrate(client: PostgresClient, layout: Layout): Promise<void> {
  await checkIsolation(client)
  // A process that only serves needs no right to create tables.
  if ((await storedVersion(client, layout)) === migrations.length) return
  await run(client, 'BEGIN')
  const committed = async () => {
    await migrateAlone(client, layout)
    await run(client, 'COMMIT')
  }
  await undoing(committed, () => run(client, 'ROLLBACK'))
}

async function migrateAlone(client: PostgresClient, layout: Layout): Promise<void> {
  await run(client, 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`gatepass ${layout.table}`])
  const version = await storedVersion(client, layout)
  if (version === 0) await createVersion(client, layout)
  for (const migration of migrations.slice(version)) await run(client, migration(layout))
  await run(client, `UPDATE ${versionTable(layout)} SET version = ${migrations.length}`)
}

/** The functions below must see what was committed while they waited for a lock. A fixed snapshot would hide it. */
async function checkIsolation(client: PostgresClient): Promise<void> {
  const [row] = await run(client, `SELECT current_setting('transaction_isolation')`)
  if (row?.[0] === 'read committed') return
  throw new UsageError('ERR_STORE_OPTIONS', `The connections of the PostgreSQL store begin ${row?.[0]} transactions`, {
    hint: 'Give the store a pool whose default_transaction_isolation is "read committed", as PostgreSQL has it.',
  })
}

/**
 * Asks the catalogue whether the table exists. `to_regclass` answers from a cache, which may not have the table yet that another
 * process made while this one waited for the lock.
 *
 * @returns 0 if there is no table yet
 */
async function storedVersion(client: PostgresClient, layout: Layout): Promise<number> {
  const found = await run(
    client,
    `SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE relname = $1
      AND nspname = ANY (CASE WHEN $2::name IS NULL THEN current_schemas(false) ELSE ARRAY[$2::name] END)`,
    [`${layout.table}_schema`, layout.schema ?? null],
  )
  if (found.length === 0) return 0
  const [row] = await run(client, `SELECT version FROM ${versionTable(layout)}`)
  const version = Number(row?.[0] ?? 0)
  if (version > migrations.length) throw writtenByLater(layout.table, version, migrations.length)
  return version
}

function versionTable(layout: Layout): string {
  return qualified(layout, `${layout.table}_schema`)
}

async function createVersion(client: PostgresClient, layout: Layout): Promise<void> {
  const { schema } = layout
  if (schema !== undefined && !(await schemaExists(client, schema))) await run(client, `CREATE SCHEMA "${schema}"`)
  await run(client, `CREATE TABLE IF NOT EXISTS ${versionTable(layout)} (version integer NOT NULL)`)
  await run(
    client,
    `INSERT INTO ${versionTable(layout)} SELECT 0 WHERE NOT EXISTS (SELECT FROM ${versionTable(layout)})`,
  )
}

async function schemaExists(client: PostgresClient, schema: string): Promise<boolean> {
  return (await run(client, 'SELECT FROM pg_namespace WHERE nspname = $1', [schema])).length > 0
}

async function run(client: PostgresClient, text: string, values?: unknown[]): Promise<unknown[][]> {
  const { rows } = await client.query({ text, ...(values && { values }), rowMode: 'array' })
  return rows
}

/**
 * `due_at` is when the sweeper checks a row: its expiry when it was inserted or last checked. Only `due_at` is indexed, not
 * `expires_at`, and a part of each page stays free, so a touch changes no index and writes the new row beside the old one.
 *
 * The functions hold a lock on the subject until they commit. Separate statements follow the lock, because a statement sees only what
 * was committed before it began to wait.
 */
function createSessions(layout: Layout): string {
  const { table, unlogged } = layout
  const sessions = qualified(layout, table)
  return `
    CREATE ${unlogged ? 'UNLOGGED ' : ''}TABLE ${sessions} (
      id text COLLATE "C" PRIMARY KEY,
      handle text COLLATE "C" NOT NULL,
      version integer NOT NULL,
      subject text COLLATE "C",
      data text NOT NULL,
      about text NOT NULL,
      created_at bigint NOT NULL,
      seen_at bigint NOT NULL,
      expires_at bigint NOT NULL,
      due_at bigint NOT NULL
    ) WITH (fillfactor = 80);
    CREATE INDEX "${table}_subject" ON ${sessions} USING hash (subject) WHERE subject IS NOT NULL;
    CREATE INDEX "${table}_due" ON ${sessions} (due_at);

    CREATE FUNCTION ${qualified(layout, `${table}_lock`)}(subject text) RETURNS void LANGUAGE sql AS $gatepass$
      SELECT pg_advisory_xact_lock('${sessions}'::regclass::oid::integer, hashtext(subject))
    $gatepass$;

    CREATE FUNCTION ${qualified(layout, `${table}_insert`)}(
      new_id text, new_handle text, new_version integer, new_subject text, new_data text, new_about text,
      new_created_at bigint, new_seen_at bigint, new_expires_at bigint,
      now bigint, keep integer, channel text
    ) RETURNS integer LANGUAGE plpgsql AS $gatepass$
    DECLARE removed integer;
    BEGIN
      PERFORM ${qualified(layout, `${table}_lock`)}(new_subject);
      INSERT INTO ${sessions} AS s
        VALUES (new_id, new_handle, new_version, new_subject, new_data, new_about,
          new_created_at, new_seen_at, new_expires_at, new_expires_at)
        ON CONFLICT (id) DO UPDATE SET (handle, version, subject, data, about, created_at, seen_at, expires_at, due_at) =
          (new_handle, new_version, new_subject, new_data, new_about,
            new_created_at, new_seen_at, new_expires_at, new_expires_at)
          WHERE s.expires_at <= now;
      IF NOT FOUND THEN RETURN -1; END IF;
      IF keep IS NULL THEN RETURN 0; END IF;
      WITH others AS (SELECT id, handle, created_at FROM ${sessions}
          WHERE subject = new_subject AND expires_at > now AND handle <> new_handle),
        surplus AS (SELECT handle FROM others GROUP BY handle ORDER BY max(created_at) DESC OFFSET keep - 1),
        removed_ids AS (DELETE FROM ${sessions}
          WHERE id IN (SELECT id FROM others JOIN surplus USING (handle)) RETURNING id)
      SELECT count(CASE WHEN channel IS NULL THEN '' ELSE pg_notify(channel, id)::text END) INTO removed FROM removed_ids;
      RETURN removed;
    END $gatepass$;

    CREATE FUNCTION ${qualified(layout, `${table}_remove`)}(
      old_subject text, now bigint, except_id text, channel text
    ) RETURNS integer LANGUAGE plpgsql AS $gatepass$
    DECLARE removed integer;
    BEGIN
      PERFORM ${qualified(layout, `${table}_lock`)}(old_subject);
      WITH removed_ids AS (DELETE FROM ${sessions}
        WHERE subject = old_subject AND expires_at > now AND id IS DISTINCT FROM except_id RETURNING id)
      SELECT count(CASE WHEN channel IS NULL THEN '' ELSE pg_notify(channel, id)::text END) INTO removed FROM removed_ids;
      RETURN removed;
    END $gatepass$;`
}
