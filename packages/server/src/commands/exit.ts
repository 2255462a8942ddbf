/** Exit codes: the command worked, it could not, or its arguments were not understood. */
export const DONE = 0
export const FAILED = 1
export const MISUSED = 2

/** Prints why a command failed, and returns its exit code. */
export function fail(message: string, code: typeof FAILED | typeof MISUSED = FAILED): number {
  console.error(`gatepass: ${message}`)
  return code
}
