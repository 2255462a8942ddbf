import { GatepassError, StoreError } from '../../error.ts'
import { reasonOf } from '../failure.ts'

/** Attempts at a statement that the server has refused because of another one. */
const ATTEMPTS = 5
/** Serialization failure and deadlock (PostgreSQL, appendix A): the statement did nothing, and may succeed the next time. */
const passing: ReadonlySet<string> = new Set(['40001', '40P01'])

/** Whether the error is an answer of the server, after which the connection is still usable. */
export function isRefusal(error: unknown): boolean {
  return codeOf(error) !== undefined && (error as { severity?: unknown }).severity === 'ERROR'
}

/** SQLSTATE, if the server has sent one. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('severity' in error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** Runs `work` again if the server refused it because of a deadlock or a serialization failure. */
export async function persistently<T>(work: () => Promise<T>, attempt: number = 1): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (attempt >= ATTEMPTS || !passing.has(codeOf(error) ?? '')) throw error
    return persistently(work, attempt + 1)
  }
}

/** What is thrown to the engine; the server's own error is the cause. */
export function storeError(error: unknown, engine: string): GatepassError {
  if (error instanceof GatepassError) return error
  const code = codeOf(error)
  const cause = withoutRow(error)
  if (code === '53100') {
    return new StoreError('ERR_STORE_FULL', `${engine} has no room left`, {
      hint: 'Its disk is full, and nothing was stored. See the cause.',
      cause,
    })
  }
  const what = code === undefined ? `cannot be reached: ${reasonOf(error)}` : `answered with ${code}`
  return new StoreError('ERR_STORE_UNAVAILABLE', `${engine} ${what}`, {
    hint: 'See the cause; until it works again, requests that need a session are answered with 503.',
    cause,
  })
}

/** The detail of an integrity violation quotes the row, and the row holds what the application keeps in a session. */
function withoutRow(error: unknown): unknown {
  if (codeOf(error)?.startsWith('23')) Object.assign(error as Error, { detail: undefined })
  return error
}
