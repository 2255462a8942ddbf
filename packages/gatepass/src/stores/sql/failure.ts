import type { Failure } from '../../session/guarded-store.ts'
import { setTimeout } from '../../timers.ts'
import { reasonOf } from '../failure.ts'

/** How to read the errors of a server. */
export interface ServerErrors {
  /** The server's own code for an error; `undefined` if the server did not send the error. */
  codeOf(error: unknown): string | number | undefined
  /** Whether the server refused a statement, so that the connection can still be used. */
  isRefusal(error: unknown): boolean
  /** Codes of a deadlock or an overlap: the server undid the work, and it may succeed the next time. */
  readonly passing: ReadonlySet<string | number>
  /** Codes of a full disk or table. */
  readonly full: ReadonlySet<string | number>
  /** Removes data of a session from an error. Default: the server's errors have none. */
  withoutData?(error: unknown): unknown
}

const ATTEMPTS = 8
/**
 * Milliseconds before the second attempt. The pause grows and is random: two transactions that conflicted would conflict again at
 * the same pace.
 */
const PAUSE = 10

/** Does `work` again when the server had to undo it to get out of a deadlock or an overlap. */
export async function persistently<T>(errors: ServerErrors, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (attempt === ATTEMPTS || !errors.passing.has(errors.codeOf(error) ?? '')) throw error
      await new Promise((resolve) => setTimeout(resolve, PAUSE * attempt * Math.random()))
    }
  }
}

/** What an error of a driver means. */
export function failureOf(errors: ServerErrors, error: unknown, engine: string): Failure {
  const code = errors.codeOf(error)
  const cause = errors.withoutData === undefined ? error : errors.withoutData(error)
  if (code !== undefined && errors.full.has(code)) {
    const hint = 'Its disk is full, and nothing was stored. See the cause.'
    return { code: 'ERR_STORE_FULL', message: `${engine} has no room left`, hint, cause }
  }
  const what = code === undefined ? `cannot be reached: ${reasonOf(error)}` : `answered with ${code}`
  const hint = 'See the cause; until it works again, requests that need a session are answered with 503.'
  return { message: `${engine} ${what}`, hint, cause }
}
