import { StoreError } from '../error.ts'

/** Why an engine cannot be reached: the error's code or class only, because a driver's message may quote data. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message
}

/** The driver's own error; ours if it has none, since the engine does not answer. */
export function causeOf(error: unknown): unknown {
  return error instanceof StoreError ? (error.cause ?? error) : error
}

/** Whether a driver's own timeout passed before ours. */
export function gaveUpWaiting(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  // mysql2 and the operating system set a code, node-redis has a class, and pg has only the message.
  return reasonOf(error) === 'ETIMEDOUT' || /time-?out/i.test(`${error.constructor.name} ${error.message}`)
}

/** What `insert` throws for an id that a live record has. */
export function duplicate(): StoreError {
  return new StoreError('ERR_STORE_DUPLICATE', 'The store already has a session with this id', {
    hint: 'Ids are random. Does `genid` of express-session return the same one twice, or was a record inserted twice?',
  })
}

/** What a store throws that finds tables of a later version. */
export function writtenByLater(table: string, version: number, own: number): StoreError {
  return new StoreError(
    'ERR_STORE_SCHEMA',
    `The table ${table} has version ${version}, but this Gatepass knows only versions up to ${own}`,
    {
      hint: 'A later version of Gatepass has used this database. Install that version again.',
    },
  )
}
