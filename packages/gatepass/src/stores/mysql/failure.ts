import { setTimeout as sleep } from 'node:timers/promises'
import { GatepassError, StoreError } from '../../error.ts'
import { reasonOf } from '../failure.ts'

/** Attempts at a transaction that the server has refused because of another one. */
const ATTEMPTS = 8
/** Pause before another attempt, in milliseconds. It grows each time, and is random so that two transactions do not meet again. */
const PAUSE = 10
/** ER_LOCK_DEADLOCK, and ER_CHECKREAD of a MariaDB with innodb_snapshot_isolation: the transaction was rolled back. */
const passing: ReadonlySet<number> = new Set([1213, 1020])
/** ER_DISK_FULL and ER_RECORD_FILE_FULL. */
const full: ReadonlySet<number> = new Set([1021, 1114])

export const duplicateEntry = 1062
export const noSuchTable = 1146

/** Whether the error is an answer of the server, after which the connection is still usable. */
export function isRefusal(error: unknown): boolean {
  return errnoOf(error) !== undefined && (error as { fatal?: unknown }).fatal !== true
}

/** The number of an error that the server has sent. */
export function errnoOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('sqlState' in error) || !('errno' in error)) return undefined
  return typeof error.errno === 'number' ? error.errno : undefined
}

/** Runs `work` again if the server rolled it back because of a deadlock. */
export async function persistently<T>(work: () => Promise<T>, attempt: number = 1): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (attempt >= ATTEMPTS || !passing.has(errnoOf(error) ?? 0)) throw error
    await sleep(PAUSE * attempt * Math.random())
    return persistently(work, attempt + 1)
  }
}

/** Makes the error for the engine. The server's error is the cause: it contains no data, because every value is a parameter. */
export function storeError(error: unknown, engine: string): GatepassError {
  if (error instanceof GatepassError) return error
  const errno = errnoOf(error)
  if (errno !== undefined && full.has(errno)) {
    return new StoreError('ERR_STORE_FULL', `${engine} has no room left`, {
      hint: 'Nothing was stored. See the cause.',
      cause: error,
    })
  }
  const what = errno === undefined ? `cannot be reached: ${reasonOf(error)}` : `answered with ${errno}`
  return new StoreError('ERR_STORE_UNAVAILABLE', `${engine} ${what}`, {
    hint: 'See the cause; until it works again, requests that need a session are answered with 503.',
    cause: error,
  })
}
