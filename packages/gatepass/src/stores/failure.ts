/** Why an engine cannot be reached, in a word where there is one: what else a driver says may quote what it was sent. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message
}

/** Whether a driver itself gave up waiting, before our time was up. */
export function gaveUpWaiting(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  // mysql2 and the operating system have the code, node-redis the class, and pg nothing but the sentence.
  return reasonOf(error) === 'ETIMEDOUT' || /time-?out/i.test(`${error.constructor.name} ${error.message}`)
}
