/** Where a command writes; the process's own streams, and lists in tests. */
export interface Output {
  out(text: string): void
  err(text: string): void
}

export const processOutput: Output = {
  out: (text) => process.stdout.write(`${text}\n`),
  err: (text) => process.stderr.write(`${text}\n`),
}

/** Exit codes: the command worked, it could not, or it was not understood. */
export const DONE = 0
export const FAILED = 1
export const MISUSED = 2
