import { statSync } from 'node:fs'
import { join } from 'node:path'
import { type SessionId, StoreError } from 'gatepass'
import { type SqliteStore, sqliteStore } from 'gatepass/stores/sqlite'
import { Accounts } from './accounts.ts'
import { LONGEST_WAIT, openDatabase } from './database.ts'
import { Identities } from './identities.ts'
import { migrate } from './migrations.ts'

/** Accounts and sessions, in one file. */
export interface Stores {
  readonly accounts: Accounts
  readonly identities: Identities
  readonly sessions: SqliteStore
  /** @throws {StoreError} if a table cannot be read, or the file was removed or replaced */
  check(): Promise<void>
  close(): Promise<void>
}

export async function openStores({ data }: { readonly data: string }, clock: () => number): Promise<Stores> {
  const file = join(data, 'gatepass.db')
  const database = openDatabase(file)
  const accounts = new Accounts(database, clock)
  try {
    await migrate(database)
    const sessions = sqliteStore(file, { clock, busyTimeout: LONGEST_WAIT })
    database.beginServing()
    const { ino } = statSync(file)
    return {
      accounts,
      identities: new Identities(database, clock),
      sessions,
      check: async () => {
        if (statSync(file, { throwIfNoEntry: false })?.ino !== ino) throw fileGone(file)
        await accounts.check()
        await sessions.load(NO_SESSION)
      },
      close: async () => {
        sessions.close()
        await accounts.close()
      },
    }
  } catch (error) {
    await accounts.close()
    throw error
  }
}

/** No session has this id. Loading it shows that the table answers. */
const NO_SESSION = '' as SessionId

/** SQLite keeps writing to a removed file, and all that is lost when the process ends. */
function fileGone(file: string): StoreError {
  return new StoreError('ERR_STORE_UNAVAILABLE', `${file} was removed or replaced while the server runs`, {
    hint: 'Stop the server, restore a backup, and start it again.',
  })
}
