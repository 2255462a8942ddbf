import type { ServerErrors } from '../sql/failure.ts'

/** SQLSTATE, if the server has sent one. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('severity' in error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

export const postgresErrors: ServerErrors = {
  codeOf,
  isRefusal: (error) => codeOf(error) !== undefined && (error as { severity?: unknown }).severity === 'ERROR',
  // Serialization failure and deadlock (PostgreSQL, appendix A).
  passing: new Set(['40001', '40P01']),
  // disk_full
  full: new Set(['53100']),
  // The detail of an integrity violation quotes the row, and the row holds what the application keeps in a session.
  withoutData(error) {
    if (codeOf(error)?.startsWith('23')) Object.assign(error as Error, { detail: undefined })
    return error
  },
}
