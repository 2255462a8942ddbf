import { GatepassError } from 'gatepass'
import type { Log } from './log.ts'

/** Broken things are errors, busy ones warnings; what a browser did wrong is none of ours. */
export function logError(log: Log, error: unknown, requestId: string | undefined): void {
  if (error instanceof GatepassError && error.status < 500) return
  const level = error instanceof GatepassError && error.code === 'ERR_PASSWORD_BUSY' ? 'warn' : 'error'
  log[level]({ event: 'request_failed', requestId, err: error })
}
