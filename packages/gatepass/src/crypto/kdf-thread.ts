// Runs on each thread of `kdf.ts`. It computes one job at a time and answers in order.
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import type { Answer, Job } from './kdf.ts'
import { computeNow } from './kdf-functions.ts'

// A tenth of the weight of the main thread (sched(7)): on a busy machine a login waits, but does not starve as it would with 19.
const NICENESS = 10

// Only Linux has a priority per thread. Elsewhere this would slow down the whole process.
if (process.platform === 'linux') {
  try {
    setPriority(NICENESS)
  } catch {
    // A sandbox may forbid it. Hashing still works.
  }
}

parentPort?.on('message', (job: Job) => parentPort?.postMessage(answer(job)))

function answer(job: Job): Answer {
  try {
    return { value: computeNow(job) }
  } catch (error) {
    return { error }
  }
}
