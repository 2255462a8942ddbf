import { GatepassError } from 'gatepass'
import type { Log } from './log.ts'

/** Milliseconds. */
const BUSY_INTERVAL = 1000

/** Logs errors of this server. Mistakes of a browser are not logged. */
export class ErrorLog {
  readonly #log: Log
  #busy = 0
  #pause: NodeJS.Timeout | undefined

  constructor(log: Log) {
    this.#log = log
  }

  /** @param requestId `undefined` if the error came after the answer */
  record(error: unknown, requestId: string | undefined): void {
    if (error instanceof GatepassError && error.status < 500) return
    if (error instanceof GatepassError && error.code === 'ERR_PASSWORD_BUSY') this.#recordBusy(requestId)
    else this.#log.error({ event: 'request_failed', requestId, err: error })
  }

  /** A flood of logins must not become a flood of lines: one line a second says how many were refused. */
  #recordBusy(requestId: string | undefined): void {
    this.#busy += 1
    if (this.#pause === undefined) this.#sayBusy(requestId)
  }

  #sayBusy(requestId?: string): void {
    this.#log.warn({ event: 'sys_password_busy', count: this.#busy, requestId })
    this.#busy = 0
    this.#pause = setTimeout(() => {
      this.#pause = undefined
      if (this.#busy > 0) this.#sayBusy()
    }, BUSY_INTERVAL).unref()
  }
}
