import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

const running = new Set<ChildProcess>()
// The servers end with the tests, also if these crash.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts a server as a child of the tests. */
export function startChild(program: string, args: readonly string[], folder: string): ChildProcess {
  const child = spawn(program, args, { cwd: folder, stdio: 'ignore' })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

/** Ends a server like a crash: it writes nothing more. */
export async function killChild(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}
