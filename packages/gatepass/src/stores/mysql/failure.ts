import type { ServerErrors } from '../sql/failure.ts'

export const duplicateEntry = 1062
export const noSuchTable = 1146

/** The error number that the server sent, if it did. */
export function errnoOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('sqlState' in error) || !('errno' in error)) return undefined
  return typeof error.errno === 'number' ? error.errno : undefined
}

/** They name no data, because every value is a parameter. */
export const mysqlErrors: ServerErrors = {
  codeOf: errnoOf,
  isRefusal: (error) => errnoOf(error) !== undefined && (error as { fatal?: unknown }).fatal !== true,
  // ER_LOCK_DEADLOCK, and ER_CHECKREAD of a MariaDB with innodb_snapshot_isolation.
  passing: new Set([1213, 1020]),
  // ER_DISK_FULL and ER_RECORD_FILE_FULL.
  full: new Set([1021, 1114]),
}
