import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Row } from './rows.ts'
import type { StoreFigures } from './stores-process.ts'

const run = promisify(execFile)

/** A million sessions in memory, each store in its own process: their bytes, and how long they stop the process. */
export async function benchStores(): Promise<Row[]> {
  const ours = await measure('gatepass')
  const rows: Row[] = []
  for (const peerName of ['express-session', 'memorystore'] as const) {
    const peer = await measure(peerName)
    const row = (name: string, unit: string, figure: keyof StoreFigures, goal?: string): Row => ({
      group: 'memory store',
      name,
      ours: ours[figure],
      peer: peer[figure],
      peerName,
      unit,
      ...(goal === undefined ? {} : { goal }),
    })
    rows.push(
      row('a session of a million, in all', 'bytes', 'bytesInAll', 'at most half as much again'),
      row('a session of a million, beside its text', 'bytes', 'bytesBesideText', 'at most 210'),
      row('longest call while growing to a million', 'ms', 'longestCall', 'at most 10'),
      row('stall when 500,000 expire at once', 'ms', 'stall', 'at most 10'),
    )
  }
  return rows
}

type Store = 'gatepass' | 'express-session' | 'memorystore'

/** Takes the lower figures of two runs, because other work on the machine only adds. */
async function measure(store: Store): Promise<StoreFigures> {
  const [one, two] = [await measureOnce(store), await measureOnce(store)]
  return {
    bytesInAll: Math.min(one.bytesInAll, two.bytesInAll),
    bytesBesideText: Math.min(one.bytesBesideText, two.bytesBesideText),
    longestCall: Math.min(one.longestCall, two.longestCall),
    stall: Math.min(one.stall, two.stall),
  }
}

async function measureOnce(store: Store): Promise<StoreFigures> {
  const program = fileURLToPath(new URL('./stores-process.ts', import.meta.url))
  const options = ['--conditions=gatepass:source', '--expose-gc', '--max-old-space-size=4096', program, store]
  const { stdout } = await run(process.execPath, options)
  return JSON.parse(stdout) as StoreFigures
}
