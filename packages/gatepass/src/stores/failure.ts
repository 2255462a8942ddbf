/** Why an engine cannot be reached: the error's code or class only, because a driver's message may quote data. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message
}

/** Whether a driver's own timeout passed before ours. */
export function gaveUpWaiting(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  // mysql2 and the operating system set a code, node-redis has a class, and pg has only the message.
  return reasonOf(error) === 'ETIMEDOUT' || /time-?out/i.test(`${error.constructor.name} ${error.message}`)
}
