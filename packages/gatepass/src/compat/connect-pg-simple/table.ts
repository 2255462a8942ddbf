/** The table of connect-pg-simple, under the names that it gives. Processes that start together wait for the first one. */
export function tableDefinition(table: string): string {
  const [name = table] = table.match(/"(?:[^"]|"")+"$/) ?? []
  const [key, index] =
    name === '"session"' ? ['"session_pkey"', '"IDX_session_expire"'] : [named(name, 'pkey'), named(name, 'expire')]
  // One transaction, as all statements of one text.
  return `SELECT pg_advisory_xact_lock(hashtext('gatepass connect-pg-simple'));
  CREATE TABLE IF NOT EXISTS ${table} (
    sid varchar NOT NULL COLLATE "default",
    sess json NOT NULL,
    expire timestamp(6) NOT NULL,
    CONSTRAINT ${key} PRIMARY KEY (sid)
  );
  CREATE INDEX IF NOT EXISTS ${index} ON ${table} (expire)`
}

function named(quoted: string, suffix: string): string {
  return `${quoted.slice(0, -1)}_${suffix}"`
}
