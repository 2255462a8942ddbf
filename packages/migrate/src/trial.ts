import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as wait } from 'node:timers/promises'

/** How to find out whether an application still works. */
export interface Trial {
  /** A command that ends with code 0 if all is well: the application's tests. */
  readonly test: string | undefined
  /** A command that starts the application and does not end. */
  readonly start: string | undefined
  /** A page that the started application answers. */
  readonly url: URL | undefined
}

/** Seconds that a start without a page has to live, and that one with a page has until it answers. */
const ALIVE = 5
const PATIENCE = 60

/** Runs the tests and starts the application. Returns what went wrong, with the end of the output; `undefined` if it works. */
export async function failureOf(folder: string, { test, start, url }: Trial): Promise<string | undefined> {
  if (test !== undefined) {
    const failure = await runToEnd(folder, test)
    if (failure !== undefined) return failure
  }
  return start === undefined ? undefined : await startFailure(folder, start, url)
}

/** Runs a command to its end. Returns what went wrong. */
export async function runToEnd(folder: string, command: string): Promise<string | undefined> {
  const { ended, output } = run(folder, command)
  const code = await ended
  return code === 0 ? undefined : `${command} ended with ${code}\n${output()}`
}

async function startFailure(folder: string, command: string, url: URL | undefined): Promise<string | undefined> {
  const { child, ended, output } = run(folder, command)
  const state: { code?: number | string } = {}
  void ended.then((code) => {
    state.code = code
  })
  try {
    const until = Date.now() + (url === undefined ? ALIVE : PATIENCE) * 1000
    let answer = 'nothing answers'
    while (Date.now() < until) {
      if (state.code !== undefined) return `${command} ended with ${state.code}\n${output()}`
      if (url !== undefined) {
        answer = await statusOf(url)
        if (/^[1-4]/.test(answer)) return undefined
      }
      await wait(200)
    }
    return url === undefined ? undefined : `${command} runs, but at ${url.href}: ${answer}\n${output()}`
  } finally {
    stop(child)
    await ended
  }
}

async function statusOf(url: URL): Promise<string> {
  try {
    const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(5000) })
    await response.body?.cancel()
    return String(response.status)
  } catch {
    return 'nothing answers'
  }
}

interface Run {
  readonly child: ChildProcess
  /** The exit code, or the signal. */
  readonly ended: Promise<number | string>
  readonly output: () => string
}

function run(folder: string, command: string): Run {
  // A group of its own, so that what a shell or npm starts is stopped with it.
  const child = spawn(command, {
    cwd: folder,
    shell: true,
    detached: process.platform !== 'win32',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-4000)
    })
  const ended = new Promise<number | string>((resolve) => {
    child.on('error', ({ message }) => resolve(message))
    child.on('exit', (code, signal) => resolve(code ?? signal ?? 1))
  })
  return { child, ended, output: () => text.trim().replace(/^/gm, '    ') }
}

function stop(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    if (process.platform === 'win32') child.kill('SIGKILL')
    else process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has ended already.
  }
}
