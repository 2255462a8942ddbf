// Runs on the thread of `checkpoints.ts`. It has a connection of its own and makes one checkpoint for each message.
import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import type { CheckpointMessage, ThreadData } from './checkpoints.ts'

/** How often a checkpoint of a long log is repeated for what was written meanwhile. */
const REPEATS = 10

const { path, long, closed } = workerData as ThreadData
const database = new DatabaseSync(path)
// PASSIVE waits for no lock, and no reader or writer waits for it.
const copy = database.prepare('PRAGMA wal_checkpoint(PASSIVE)')

parentPort?.on('message', (message: CheckpointMessage) => {
  if (message === 'checkpoint') parentPort?.postMessage(checkpoint())
  else close()
})

/** @returns the pages in the log. The next write begins a new log if all pages of the old one are copied. */
function checkpoint(): number {
  for (let before = -1, n = 0; ; n++) {
    const { busy, log } = copy.get() as { busy: number; log: number }
    if (busy !== 0 || log < long || log === before || n === REPEATS) return log
    before = log
  }
}

function close(): void {
  database.close()
  Atomics.store(closed, 0, 1)
  Atomics.notify(closed, 0)
  parentPort?.close()
}
