import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

const SERVER = join(import.meta.dirname, '..')

export interface Running {
  readonly child: ChildProcess
  readonly origin: string
  readonly port: number
  /** What it has written so far. */
  output(): string
  /** How it ended: exit code, or signal. */
  readonly ended: Promise<number | string>
}

/** Runs the command line in a process of its own, until it says where it listens. */
export async function startProcess(args: readonly string[], options: SpawnOptions = {}): Promise<Running> {
  const [node = '', ...rest] = commandLine(args)
  return startProgram(node, rest, options)
}

/** The same for a program that runs the command line. */
export async function startProgram(
  program: string,
  args: readonly string[],
  options: SpawnOptions = {},
): Promise<Running> {
  const { child, output, ended } = spawnProgram(program, args, options)
  await new Promise<void>((resolve, reject) => {
    child.stdout?.on('data', () => (output().includes('sys_startup') ? resolve() : undefined))
    child.once('exit', () => reject(new Error(`it ended before it listened:\n${output()}`)))
  })
  // Words in dev, JSON in production.
  const [, origin = ''] = /"origin":"([^"]+)"|origin=(\S+)/.exec(output())?.filter(Boolean) ?? []
  const [, port] = /"port":(\d+)|port=(\d+)/.exec(output())?.filter(Boolean) ?? []
  return { child, origin, port: Number(port), output, ended }
}

/** Runs the command line to its end. */
export async function runCommand(
  args: readonly string[],
  options: SpawnOptions = {},
): Promise<{ code: number | string; output: string }> {
  const [node = '', ...rest] = commandLine(args)
  const { output, ended } = spawnProgram(node, rest, options)
  return { code: await ended, output: output() }
}

export interface SpawnOptions {
  readonly environment?: Readonly<Record<string, string>>
  readonly folder?: string
}

/** Node with the command line, run from the sources. */
export function commandLine(args: readonly string[]): readonly string[] {
  return [process.execPath, '--conditions=gatepass:source', join(SERVER, 'src/main.ts'), ...args]
}

/** Runs a program. `ended` settles when it and all that it started have closed their output. */
export function spawnProgram(
  program: string,
  args: readonly string[],
  { environment = {}, folder = SERVER }: SpawnOptions,
): Pick<Running, 'child' | 'output' | 'ended'> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(?:GATEPASS|npm)_/.test(name))
  const child = spawn(program, args, {
    cwd: folder,
    env: { ...Object.fromEntries(inherited), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Its own process group ends with the test: a shell and npm do not end what they have started.
    detached: true,
  })
  let text = ''
  const keep = (chunk: Buffer): void => {
    text += chunk.toString('utf8')
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const ended = new Promise<number | string>((resolve) =>
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown')),
  )
  onTestFinished(() => {
    if (child.pid === undefined) return
    try {
      process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It has ended already.
    }
  })
  return { child, output: () => text, ended }
}
