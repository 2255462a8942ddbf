/**
 * Tells an application's listener of an event. Its failure only prints a warning: a log that is down must not fail a login.
 *
 * @param source whose listener it is, for the warning
 * @param tell calls the listener
 * @param listener the option that it was passed as
 */
export function report(source: string, tell: () => unknown, listener = 'onEvent'): void {
  const warn = (error: unknown): void => {
    const reason = error instanceof Error ? error.message : String(error)
    process.emitWarning(`${source}: ${listener} failed: ${reason}`, { code: 'GATEPASS_LISTENER' })
  }
  try {
    const answer = tell()
    if (answer instanceof Promise) answer.catch(warn)
  } catch (error) {
    warn(error)
  }
}
